"""recipe -> the tasks that make its table. Nothing is read or made here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from uvlp.artifacts import (
    captions,
    distilled,
    features,
    pixels,
    prototypes,
    scores,
    tables,
    teachers,
    weights,
)
from uvlp.artifacts.dataset_manifest import DatasetManifest, DatasetSpec
from uvlp.artifacts.manifest import Task
from uvlp.contenders import Folder, Method
from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.hashing import file_sha256
from uvlp.recipes.remarks import remarks
from uvlp.recipes.schema import Recipe, SynthesisSettings

STAGES = (
    *("caption", "finetune", "embed", "prototype", "synthesise", "collect"),
    *("pixels", "teacher", "evaluate", "tabulate"),
)


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Builds tasks for one recipe on one dataset; equal tasks have equal keys, so sharing is free."""

    recipe: Recipe
    manifest: DatasetManifest
    spec: DatasetSpec

    def _task(self, kind: str, stage: str, title: str, **more: Any) -> Task:
        return Task(
            kind=kind,
            stage=stage,
            title=title,
            dataset=self.manifest.content_hash,
            dataset_spec=self.spec,
            **more,
        )

    def captions(self) -> Task:
        """Captions of the training images; independent of the seed."""
        settings = self.recipe.caption
        file = settings.captioner == "file"
        return self._task(
            captions.KIND,
            "caption",
            "captions",
            plugin=settings.captioner,
            revision=_revision("stages/caption" if file else f"models/captioners/{settings.captioner}"),
            schema=captions.SCHEMA,
            settings=settings,
            facts={"image_px": self.recipe.image_px},
        )

    def weights(self, part: str, seed: int) -> Task:
        """One part of the models."""
        inputs = {}
        facts: dict[str, Any] = {"seed": seed, "image_px": self.recipe.image_px}
        if part == "embedder":
            inputs["captions"] = self.captions()
            facts["further_texts"] = [SynthesisSettings().negative_prompt]
        if part == "diffuser":
            inputs["captions"] = self.captions()
            inputs |= {name: self.weights(name, seed) for name in ("embedder", "autoencoder")}
        return self._task(
            weights.KIND,
            "finetune",
            f"{part}, seed {seed}",
            plugin=part,
            revision=_revision(f"models/{part}"),
            schema=weights.SCHEMA,
            settings=getattr(self.recipe, part),
            facts=facts,
            inputs=inputs,
        )

    def features(self, part: str, seed: int) -> Task:
        """CLIP features or VAE latents of the training images."""
        model = {"clip": "embedder", "latents": "autoencoder"}[part]
        inputs = {model: self.weights(model, seed)}
        if part == "clip":
            inputs["captions"] = self.captions()
        return self._task(
            features.KIND,
            "embed",
            f"{part} features, seed {seed}",
            plugin=part,
            revision=_revision("stages/embed"),
            schema=features.SCHEMA,
            settings=self.recipe.embed,
            facts={"seed": seed, "image_px": self.recipe.image_px},
            inputs=inputs,
        )

    def prototypes(self, method: Method, seed: int) -> Task:
        """Prototypes of a method that makes them."""
        inputs = {part: self.features(part, seed) for part in method.module.FEATURES}
        return self._task(
            prototypes.KIND,
            "prototype",
            f"{method.spec} prototypes, seed {seed}",
            plugin=method.name,
            revision=method.module.REVISION,
            schema=prototypes.SCHEMA,
            settings=method.settings,
            facts={"method": method.name, "ipc": self.recipe.ipc, "seed": seed},
            inputs=inputs | {"captions": self.captions()},
        )

    def collected(self, folder: Folder, seed: int) -> Task:
        """The images that are taken from somebody's folder."""
        return self._task(
            distilled.KIND,
            "collect",
            f"images of {folder.title}" + (f", seed {seed}" if "seed" in folder.facts[seed] else ""),
            revision=_revision("stages/collect"),
            schema=distilled.SCHEMA,
            facts=folder.facts[seed],
            origins={"images": folder.origin},
        )

    def distilled(self, method: Method | Folder, seed: int) -> Task:
        """The image folder of any method."""
        if isinstance(method, Folder):
            return self.collected(method, seed)
        facts: dict[str, Any] = {"method": method.name}
        if not method.whole_set:
            facts |= {"ipc": self.recipe.ipc, "seed": seed}
        if method.synthesis is not None:
            settings: Any = method.synthesis
            inputs = {"prototypes": self.prototypes(method, seed), "diffuser": self.weights("diffuser", seed)}
        else:
            settings = method.settings
            inputs = {part: self.features(part, seed) for part in method.module.FEATURES}
        return self._task(
            distilled.KIND,
            "synthesise",
            f"{method.spec} images" + ("" if method.whole_set else f", seed {seed}"),
            plugin=method.name,
            revision=method.module.REVISION,
            schema=distilled.SCHEMA,
            settings=settings,
            facts=facts,
            inputs=inputs,
        )

    @property
    def _protocol(self) -> ModuleType:
        return plugins.load("evaluators", self.recipe.protocol)

    @property
    def _evaluation(self) -> Any:
        """The settings of the recipe's protocol."""
        return getattr(self.recipe, self._protocol.SETTINGS)

    def pixels(self) -> Task:
        """The validation images at the networks' input size."""
        size_px = self._evaluation.size_px
        return self._task(
            pixels.KIND,
            "pixels",
            f"test images at {size_px} px",
            plugin=self.recipe.protocol,
            revision=_revision("stages/pixels"),
            schema=pixels.SCHEMA,
            facts={"size_px": size_px},
        )

    def teacher(self, student: str) -> Task:
        """The network whose soft labels ``student`` learns; its seed is that of no distillation."""
        settings = self.recipe.teacher
        facts = {
            "network": self._protocol.canonical(settings.network or student),
            "size_px": self._evaluation.size_px,
            "flip": self._evaluation.flip,
            "seed": 0,
        }
        origins = {}
        if settings.source not in ("trained", "torchvision"):
            # The key holds what the file contains, not where it lies.
            origins["checkpoint"], facts["file"] = settings.source, _checkpoint_hash(settings.source)
            settings = replace(settings, source="file")
        # The facts name the network, whether it was asked for or is the student's own.
        settings = replace(settings, network="")
        return self._task(
            teachers.KIND,
            "teacher",
            f"teacher {facts['network']}",
            plugin=facts["network"],
            revision=_revision("models/teacher"),
            schema=teachers.SCHEMA,
            settings=settings,
            facts=facts,
            inputs={"validation": self.pixels()},
            origins=origins,
        )

    def score(self, method: Method | Folder, network: str, seed: int, repeat: int) -> Task:
        """One training of one network."""
        facts: dict[str, Any] = {"network": network, "seed": seed, "repeat": repeat}
        if not method.whole_set:
            facts["ipc"] = self.recipe.ipc
        inputs = {"distilled": self.distilled(method, seed), "validation": self.pixels()}
        if self._protocol.TEACHER:
            inputs["teacher"] = self.teacher(network)
        return self._task(
            scores.KIND,
            "evaluate",
            f"{method.spec} scored by {network}, seed {seed}, repeat {repeat}",
            plugin=self.recipe.protocol,
            revision=_revision(f"evaluators/{self.recipe.protocol}"),
            schema=scores.SCHEMA,
            settings=self._evaluation,
            facts=facts,
            inputs=inputs,
        )

    def table(self, methods: Sequence[Method | Folder], name: str = "") -> Task:
        """The table of the whole recipe, named after dataset and IPC if not by ``name``."""
        recipe = self.recipe
        inputs: dict[str, Task] = {}
        cells = []
        for method in methods:
            for network in recipe.networks:
                made = {
                    f"{method.spec} {network} seed {seed} repeat {repeat}": self.score(
                        method, network, seed, repeat
                    )
                    for seed in recipe.seeds
                    for repeat in range(1, recipe.repeats + 1)
                }
                inputs |= made
                cells.append(
                    {"method": method.spec, "title": method.title, "network": network, "scores": list(made)}
                )
        name = name or f"{self.manifest.name}-ipc{recipe.ipc}"
        return self._task(
            tables.KIND,
            "tabulate",
            f"table {name}",
            schema=tables.SCHEMA,
            facts={
                "name": name,
                "caption": f"{self.manifest.name}, {recipe.ipc} images per class, "
                f"{recipe.protocol} protocol, profile {recipe.profile}",
                "cells": cells,
                "notes": self._notes(methods),
            },
            inputs=inputs,
        )

    def _notes(self, methods: Sequence[Method | Folder]) -> list[str]:
        """The recipe's remarks that hold for a table of these methods."""
        synthesised = any(isinstance(method, Method) and method.synthesis for method in methods)
        sections = [self._protocol.SETTINGS, *["teacher"] * self._protocol.TEACHER]
        return remarks(self.recipe, sections, synthesised)


def _revision(plugin: str) -> int:
    """`REVISION` of a plug-in, read from its source so that no model library is imported."""
    import ast

    source = (plugins.PACKAGE / f"{plugin.replace('-', '_')}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="REVISION")], value=ast.Constant(value=int(revision))):
                return revision
    raise AssertionError(f"{plugin} declares no REVISION")


def _checkpoint_hash(path: str) -> str:
    """SHA-256 of a teacher's checkpoint.

    Raises:
        UvlpError: there is no such file.
    """
    if not Path(path).is_file():
        raise UvlpError(
            "no such teacher checkpoint",
            got=path,
            allowed="trained, torchvision, or the path of a .safetensors or .pth file",
        )
    return file_sha256(Path(path))


def chain(task: Task) -> Iterator[Task]:
    """The task and all that it is made from, inputs first, each once."""
    seen: set[str] = set()

    def walk(current: Task) -> Iterator[Task]:
        if current.key in seen:
            return
        seen.add(current.key)
        for earlier in current.inputs.values():
            yield from walk(earlier)
        yield current

    yield from walk(task)


def check_names(recipe: Recipe) -> Recipe:
    """Every name in the recipe exists; the recipe with its networks' names as they stand in tables.

    Raises:
        UvlpError: unknown dataset, captioner, network or protocol, with the nearest name.
    """
    for room, name in (("datasets", recipe.dataset.partition(":")[0]), ("evaluators", recipe.protocol)):
        if name.replace("_", "-") not in plugins.names(room):
            raise unknown_name(plugins.SINGULAR[room], name, plugins.names(room))
    captioners = [*plugins.names("models/captioners"), "auto", "file"]
    if recipe.caption.captioner not in captioners:
        raise unknown_name("captioner", recipe.caption.captioner, captioners)
    protocol = plugins.load("evaluators", recipe.protocol)
    networks = dict.fromkeys(protocol.canonical(network) for network in recipe.networks)
    return replace(recipe, networks=tuple(networks))
