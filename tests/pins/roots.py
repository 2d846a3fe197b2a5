"""The plug-ins that have a REVISION, and the entry points of the code that builds their artifacts.

When a file is moved, its path here is updated; no pin changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.pins.closure import REVISION, Root
from tests.pins.sources import Definition, Module, Package, Target

ALWAYS = (("pipeline/making/execute", "execute"), ("core/machine", "thread_environment"))
"""Every artifact is built through these."""
OWN = ("networks", "datasets")
"""Packages whose REVISION is part of the keys besides that of the plug-in."""
MESSAGES = ("core/errors", "core/display/messages", "core/display/width")
"""What is printed does not affect results."""
KINDS = ("Method", "Dataset", "Network", "Protocol", "Captioner")
READING = ("declarations/reading", "declarations/settings")
"""Reading a plug-in's declaration does not affect its content."""
SAMPLER = ("models/sampling/sampler", "models/sampling/synthesis")
FINETUNING = {
    "embedder": "_embedder",
    "autoencoder": "_autoencoder",
    "diffuser": "_diffuser",
    "transformer": "_transformer",
    "difffit": "_difffit",
    "finetuning": "_stable_diffusion",
}
"""Models that the stage `finetune` builds, and the function that builds each."""
FILES = {"finetuning": "models/finetuning/job", "transformer": "models/dit/transformer"}
FILES |= {"difffit": "models/dit/difffit"}
"""Files of models with another name."""
SETTINGS = {"embed": (("recipes/schema", "EmbedSettings"),)}
"""Settings that a stage reads without referencing their class; their defaults are not part of keys."""
KIND_STAGES = {
    "select": ("synthesise",),
    "prototypes": ("prototype", "synthesise"),
    "optimise": ("optimise",),
    "sample": ("sample",),
}
"""Functions that make the images of a method, and the stages that call them."""
STAGES = ("collect", "embed", "encode", "pixels", "represent", "tabulate")


@dataclass(frozen=True)
class Plugin:
    """A plug-in with a pin.

    Attributes:
        file: with its REVISION, relative to the package.
        root: of its closure.
    """

    file: str
    root: Root


def plugins(package: Package) -> dict[str, Plugin]:
    """Return every plug-in by its name in reports."""
    return dict(_Roots(package).all())


class _Roots:
    def __init__(self, package: Package) -> None:
        self.package = package

    def all(self) -> Iterator[tuple[str, Plugin]]:
        for name in self.names("methods"):
            yield f"method {name}", self.method(name)
        for name in self.names("protocols"):
            yield (
                f"protocol {name}",
                self.made(f"protocols/{name}", "evaluate", chosen={"protocols": (name,)}),
            )
        for name in self.names("captioners"):
            made = self.made(f"captioners/{name}", "caption", chosen={"captioners": (name,)})
            yield f"captioner {name}", made
        yield "captions from a file", self.made("stages/caption", "caption", chosen={"captioners": ()})
        for name, branch in FINETUNING.items():
            others = [each for each in FINETUNING.values() if each != branch]
            cut = [Definition("uvlp.stages.finetune", each) for each in others]
            yield f"model {name}", self.made(FILES.get(name, f"models/{name}"), "finetune", cut=cut)
        yield "model teacher", self.made("protocols/training/teacher", "teacher")
        sampler = [Module(dotted(file)) for file in SAMPLER]
        yield "model sampler", self.alone(*sampler, file=SAMPLER[0])
        for name in STAGES:
            yield f"stage {name}", self.made(f"stages/{name}", name, entries=SETTINGS.get(name, ()))
        for name in self.names("networks"):
            yield f"network {name}", self.alone(Module(dotted(f"networks/{name}")), file=f"networks/{name}")
        for name in self.names("datasets"):
            opened = Definition(dotted(f"datasets/{name}"), "open_dataset")
            yield f"dataset {name}", self.alone(opened, file=f"datasets/{name}")

    def names(self, room: str) -> list[str]:
        return [name.rpartition(".")[2] for name in self.package.plugins(room)]

    def method(self, name: str) -> Plugin:
        """Return a method with the stages that make its images."""
        defined = self.package.source(f"uvlp.methods.{name}").definitions
        (kind,) = (each for each in KIND_STAGES if each in defined)
        cut: list[Target] = [Module(dotted(file)) for file in SAMPLER]
        if kind in ("select", "prototypes"):
            other = "_synthesise" if kind == "select" else "_select"
            cut.append(Definition("uvlp.stages.synthesise", other))
        return self.made(f"methods/{name}", KIND_STAGES[kind], cut=cut, chosen={"methods": (name,)})

    def made(
        self,
        file: str,
        stages: str | tuple[str, ...],
        *,
        chosen: Mapping[str, tuple[str, ...]] | None = None,
        cut: Iterable[Target] = (),
        entries: tuple[tuple[str, str], ...] = (),
    ) -> Plugin:
        """Return a plug-in whose artifacts are built by stages."""
        stages = (stages,) if isinstance(stages, str) else stages
        begin = tuple(Definition(dotted(path), name) for path, name in (*ALWAYS, *entries))
        rooms: dict[str, tuple[str, ...]] = {"stages": stages, **dict.fromkeys(OWN, ()), **(chosen or {})}
        return Plugin(file, Root(entries=begin, chosen=rooms, cut=frozenset([*cut, *self.own()])))

    def alone(self, *entries: Target, file: str) -> Plugin:
        """Return a plug-in that is called by others."""
        cut = frozenset(self.own()) - {Module(dotted(file))}
        return Plugin(file, Root(entries=entries, chosen=dict.fromkeys(OWN, ()), cut=cut))

    def own(self) -> list[Target]:
        """Return the modules whose REVISION is part of every key, and modules that do not affect results."""
        files = [Module(name) for room in OWN for name in self.package.plugins(room)]
        declared = [
            Definition(dotted(f"declarations/{kind.lower()}"), f"{kind}Declaration") for kind in KINDS
        ]
        return [*files, *declared, *(Module(dotted(file)) for file in (*MESSAGES, *READING))]


def dotted(file: str) -> str:
    """Return the module name of a file, given without extension."""
    return f"uvlp.{file.replace('/', '.')}"


def revision(package: Package, plugin: Plugin) -> int:
    """Return the `REVISION` in a plug-in's source."""
    (statement,) = package.source(dotted(plugin.file)).definitions[REVISION]
    value = statement.value.value  # type: ignore[attr-defined]
    assert isinstance(value, int)
    return value
