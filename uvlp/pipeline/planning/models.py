"""Tasks that make what the methods of a recipe read: captions, models, features, teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from uvlp.artifacts import (
    captions,
    features,
    pixels,
    teachers,
    weights,
)
from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.artifacts.task import Task
from uvlp.captioners.texts import imported
from uvlp.core import plugins, portable
from uvlp.core.files.paths import expand_home
from uvlp.core.plugins import Origin
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.network import NetworkDeclaration, declared_network, package
from uvlp.declarations.protocol import declared_protocol
from uvlp.models.published.find import LocalModel
from uvlp.pipeline.planning.imagenet_labels import imagenet_labels
from uvlp.recipes.schema import Recipe, SynthesisSettings


@dataclass(frozen=True, kw_only=True)
class ModelPlanner:
    """Builds the tasks of what methods read; equal tasks have equal keys, so sharing is free.

    Attributes:
        recipe: fully resolved.
        manifest: manifest of the dataset.
        spec: how to open the dataset.
        find: returns location and hash of a part of the published models (`models/published/find.py`);
            "finetuned" is the user's own fine-tuned pipeline.
        imported: file of `uvlp captions import`; None if there is none.
    """

    recipe: Recipe
    manifest: DatasetManifest
    spec: DatasetSpec
    find: Callable[[str], LocalModel]
    imported: Path | None = None

    def _task(
        self,
        kind: str,
        stage: str,
        title: str,
        *,
        schema: int,
        revision: int,
        plugin: str = "",
        settings: Any = None,
        facts: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Task] | None = None,
        unhashed: Mapping[str, Task] | None = None,
        origins: Mapping[str, str] | None = None,
        revisions: Mapping[str, int] | None = None,
        declared_in: Origin | None = None,
        network: NetworkDeclaration | None = None,
    ) -> Task:
        """Return a task on the dataset.

        Args:
            inputs: inputs that are part of the key.
            unhashed: further inputs, see `Task`.
            declared_in: the origin of ``plugin``.
        """
        dataset = declared_dataset(self.spec.name)
        built = network.origin if network else None
        roles = {"dataset": dataset.origin, "plugin": declared_in, "network": built}
        own = {"portable": portable.identity()} if self.recipe.portable else {}
        return Task(
            kind=kind,
            stage=stage,
            title=title,
            plugin=plugin,
            revision=revision,
            revisions={
                "dataset": dataset.revision,
                **({"network": network.revision} if network else {}),
                **(revisions or {}),
            },
            packages=self._packages(roles, (facts or {}).get("network", "")),
            schema=schema,
            settings=settings,
            facts={**(facts or {}), **own},
            inputs={**(inputs or {}), **(unhashed or {})},
            unhashed=tuple(unhashed or ()),
            dataset=self.manifest.content_hash,
            dataset_spec=self.spec,
            origins=origins or {},
            sources={role: str(plugins.source(origin)) for role, origin in roles.items() if origin},
        )

    def _packages(self, roles: Mapping[str, Origin | None], network: str) -> dict[str, str]:
        """Return packages of other sources by role: of plug-ins, and of a test network by its name."""
        of_plugins = {role: origin.package for role, origin in roles.items() if origin and origin.package}
        library = package(network)
        return of_plugins | ({"network": library} if library else {})

    def _published(self, **parts: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return facts and origins of published models; ``parts``: part by the task's name for it."""
        models = {name: self.find(part) for name, part in parts.items()}
        hashes = {name: model.sha256 for name, model in models.items()}
        origins = {name: model.path for name, model in models.items()}
        return {"models": hashes, "precision": self.recipe.models.precision}, origins

    def captions(self) -> Task:
        """Captions of the training images; independent of the seed."""
        settings = self.recipe.caption
        captioner = None if settings.captioner == "file" else declared_captioner(settings.captioner)
        facts: dict[str, Any] = {"image_px": self.recipe.image_px}
        origins: dict[str, str] = {}
        if captioner is not None and captioner.model:
            facts, origins = self._published(**{captioner.model: captioner.model})
        elif captioner is None and self.imported is not None:
            # The key contains the hash of the imported file, not its path.
            facts, origins = {"file": self._imported_sha256}, {"file": str(self.imported)}
        return self._task(
            captions.KIND,
            "caption",
            "captions",
            plugin=settings.captioner,
            revision=plugins.revision("stages/caption") if captioner is None else captioner.revision,
            declared_in=captioner.origin if captioner else None,
            schema=captions.SCHEMA,
            settings=settings,
            facts=facts,
            origins=origins,
        )

    @cached_property
    def _imported_sha256(self) -> str:
        assert self.imported is not None
        return imported.sha256(self.imported)

    def pixels(self, protocol: str = "", size_px: int = 0) -> Task:
        """The validation images at the networks' input size or another, resized as a protocol requires."""
        protocol = protocol or self.recipe.protocol
        declared = declared_protocol(protocol)
        size_px = size_px or declared.settings_in(self.recipe).size_px
        return self._task(
            pixels.KIND,
            "pixels",
            f"test images at {size_px} px",
            plugin=protocol,
            revision=plugins.revision("stages/pixels"),
            revisions={"protocol": declared.pixels_revision},
            declared_in=declared.origin,
            schema=pixels.SCHEMA,
            facts={"size_px": size_px},
        )

    def _models_seed(self, seed: int) -> int:
        """Return the seed of models that are trained for a distillation seed."""
        return seed if self.recipe.models_seed < 0 else self.recipe.models_seed

    def finetuned(self, seed: int) -> Task:
        """Stable Diffusion, fine-tuned on the images and their captions."""
        seed = self._models_seed(seed)
        facts, origins = self._published(diffusion="diffusion")
        return self._task(
            weights.KIND,
            "finetune",
            f"fine-tuned Stable Diffusion, seed {seed}",
            plugin="stable-diffusion",
            revision=plugins.revision("models/finetuning/job"),
            schema=weights.SCHEMA,
            settings=self.recipe.finetune,
            facts={"seed": seed, **facts},
            inputs={"captions": self.captions()},
            unhashed={"latents": self.latents()} if self.recipe.finetune.cache_latents else {},
            origins=origins,
        )

    def latents(self) -> Task:
        """What fine-tunings read instead of images; the same for every seed."""
        own = self.recipe.finetune
        models, origins = self._published(autoencoder="autoencoder")
        return self._task(
            features.KIND,
            "encode",
            "latents for fine-tuning",
            plugin=features.LATENTS,
            revision=plugins.revision("stages/encode"),
            schema=features.SCHEMA,
            # The last bits depend on the batch.
            facts={"size_px": own.resolution_px, "mirrored": own.random_flip, "batch": own.batch, **models},
            origins=origins,
        )

    def weights(self, part: str, seed: int) -> Task:
        """One of the small models, trained only on the dataset, or a DiT that is fine-tuned."""
        seed = self._models_seed(seed)
        inputs = {}
        facts: dict[str, Any] = {"seed": seed, "image_px": self.recipe.image_px}
        if part == "embedder":
            inputs["captions"] = self.captions()
            facts["further_texts"] = [SynthesisSettings().negative_prompt]
        if part == "diffuser":
            inputs["captions"] = self.captions()
            inputs |= {name: self.weights(name, seed) for name in ("embedder", "autoencoder")}
        origins: dict[str, str] = {}
        if part == "transformer":
            inputs["autoencoder"] = self.weights("autoencoder", seed)
        if part == "difffit" and self.recipe.pretrained:
            published, origins = self._class_conditional(transformer="dit")
            facts = {"seed": seed, **published}
        elif part == "difffit":
            inputs["transformer"] = self.weights("transformer", seed)
        return self._task(
            weights.KIND,
            "finetune",
            f"{part}, seed {seed}",
            plugin=part,
            revision=plugins.revision(weights.FILES[part]),
            schema=weights.SCHEMA,
            settings=getattr(self.recipe, part),
            facts=facts,
            inputs=inputs,
            origins=origins,
        )

    def features(self, part: str, seed: int) -> Task:
        """CLIP features and VAE latents of the training images, or CLIP features of their texts."""
        seed = self._models_seed(seed)
        inputs = {"captions": self.captions()} if part == "texts" else {}
        facts: dict[str, Any] = {"image_px": self.recipe.image_px} if part == "images" else {}
        origins: dict[str, str] = {}
        names = {"images": ("embedder", "autoencoder"), "texts": ("embedder",)}[part]
        if self.recipe.pretrained:
            published = {"embedder": "clip", "autoencoder": "autoencoder"}
            models, origins = self._published(**{name: published[name] for name in names})
            facts |= models
        else:
            inputs |= {name: self.weights(name, seed) for name in names}
        return self._task(
            features.KIND,
            "embed",
            f"features of {part}" + ("" if self.recipe.pretrained else f", seed {seed}"),
            plugin=part,
            revision=plugins.revision("stages/embed"),
            schema=features.SCHEMA,
            settings=self.recipe.embed,
            facts=facts,
            inputs=inputs,
            origins=origins,
        )

    def representation(self, seed: int) -> Task:
        """Features of the training images from a network that was trained on all of them."""
        seed = self._models_seed(seed)
        return self._task(
            features.KIND,
            "represent",
            f"features of a network trained on the whole set, seed {seed}",
            plugin="network",
            revision=plugins.revision("stages/represent"),
            network=network_of(features.PROTOCOL, features.NETWORK),
            schema=features.SCHEMA,
            settings=self.recipe.evaluate,
            facts={"seed": seed},
            inputs={"validation": self.pixels(features.PROTOCOL)},
        )

    def teacher(self, student: str) -> Task:
        """The network whose soft labels ``student`` learns; it does not depend on distillation seeds."""
        protocol = declared_protocol(self.recipe.protocol)
        network = protocol.canonical(self.recipe.teacher.network or student)
        return self.teacher_for(network, protocol.settings_in(self.recipe), self.pixels())

    def teacher_for(self, network: str, evaluation: Any, validation: Task) -> Task:
        """A teacher of an architecture for the images of an evaluation; see `teacher`."""
        settings = self.recipe.teacher
        facts = {"network": network, "size_px": evaluation.size_px, "flip": evaluation.flip, "seed": 0}
        origins = {}
        if settings.source not in ("trained", "torchvision"):
            # The key contains the hash of the file, not its path.
            checkpoint = str(expand_home(settings.source))
            origins["checkpoint"], facts["file"] = checkpoint, teachers.checkpoint_hash(checkpoint)
            settings = replace(settings, source="file")
        # The facts name the network, whether it was set or is that of the student.
        settings = replace(settings, network="")
        return self._task(
            teachers.KIND,
            "teacher",
            f"teacher {network}",
            plugin=network,
            revision=plugins.revision("protocols/training/teacher"),
            network=network_of(teachers.PROTOCOL, network),
            schema=teachers.SCHEMA,
            settings=settings,
            facts=facts,
            inputs={"validation": validation},
            origins=origins,
        )

    def _class_conditional(self, **parts: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return facts and origins of a published model of ImageNet's classes; it computes in float32."""
        facts, origins = self._published(**parts)
        return {"models": facts["models"], "labels": imagenet_labels(self.manifest)}, origins

    def _teacher_of(self, network: str) -> Task:
        """The teacher that a method reads; its images have the side that the recipe's protocol uses."""
        own = declared_protocol(self.recipe.protocol)
        if own.teacher:
            return self.teacher_for(own.canonical(network), own.settings_in(self.recipe), self.pixels())
        protocol = declared_protocol(teachers.PROTOCOL)
        settings = protocol.settings_in(self.recipe)
        evaluation = own.settings_in(self.recipe)
        flip = getattr(evaluation, "flip", settings.flip)
        settings = replace(settings, size_px=evaluation.size_px, flip=flip)
        validation = self.pixels(teachers.PROTOCOL, evaluation.size_px)
        return self.teacher_for(protocol.canonical(network), settings, validation)


def network_of(protocol: str, network: str) -> NetworkDeclaration | None:
    """Return the declaration of a network's family in `uvlp/networks`; None for torchvision's networks."""
    family = declared_protocol(protocol).family(network)
    return declared_network(family) if family else None
