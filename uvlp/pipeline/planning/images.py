"""Tasks that make the images of a recipe's rows, from prototypes to distilled sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import (
    distilled,
    prototypes,
)
from uvlp.artifacts.task import Task
from uvlp.core import plugins
from uvlp.declarations.network import check_network, declared_network, family
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.planning.contenders import Folder, Method
from uvlp.pipeline.planning.imagenet_labels import imagenet_labels
from uvlp.pipeline.planning.models import ModelPlanner


@dataclass(frozen=True, kw_only=True)
class ImagePlanner(ModelPlanner):
    """Builds the tasks of a recipe's images."""

    def _features_of(self, method: Method, seed: int) -> dict[str, Task]:
        """The features that a method uses."""
        return {
            part: self.representation(seed) if part == "network" else self.features(part, seed)
            for part in method.features
        }

    def prototypes(self, method: Method, seed: int) -> Task:
        """Prototypes of a method that synthesises images."""
        inputs = self._features_of(method, seed)
        # Small models know a class only by the words of the captioner.
        if method.declared.captions or not self.recipe.pretrained:
            inputs |= {"captions": self.captions()}
        return self._task(
            prototypes.KIND,
            "prototype",
            f"{method.spec} prototypes, seed {seed}",
            plugin=method.name,
            revision=method.declared.revision,
            declared_in=method.declared.origin,
            schema=prototypes.SCHEMA,
            settings=method.settings,
            facts={"method": method.name, "ipc": self.recipe.ipc, "seed": seed},
            inputs=inputs,
        )

    def collected(self, folder: Folder, seed: int) -> Task:
        """The images that are selected from an image folder."""
        return self._task(
            distilled.KIND,
            "collect",
            f"images of {folder.title}"
            + (f", seed {seed}" if folder.several or "seed" in folder.facts[seed] else ""),
            revision=plugins.revision("stages/collect"),
            schema=distilled.SCHEMA,
            facts=folder.facts[seed],
            origins={"images": folder.origins[seed]},
        )

    def distilled(self, method: Method | Folder, seed: int) -> Task:
        """The distilled images of any method."""
        if isinstance(method, Folder):
            return self.collected(method, seed)
        if method.stage in ("optimise", "sample"):
            return self._computed(method, seed)
        return self._synthesised(method, seed)

    def _computed(self, method: Method, seed: int) -> Task:
        """The images of a method that computes them with networks."""
        evaluation = declared_protocol(self.recipe.protocol).settings_in(self.recipe)
        size_px, declared = evaluation.size_px, method.declared
        flip = getattr(evaluation, "flip", 0.5) > 0
        inputs = self._features_of(method, seed)
        network = None
        if declared.network is not None:
            name = declared.network(method.settings, size_px)
            check_network(name, size_px)
            network = declared_network(family(name) or "")
        read, models, origins = self._models_of(method, seed)
        inputs |= read
        if declared.teacher is not None:
            inputs["teacher"] = self._teacher_of(declared.teacher(method.settings, size_px))
        return self._task(
            distilled.KIND,
            method.stage,
            f"{method.spec} images, seed {seed}",
            plugin=method.name,
            revision=declared.revision,
            declared_in=declared.origin,
            network=network,
            schema=distilled.SCHEMA,
            settings=method.settings,
            # Side and flip are in every key, also of `dit` and `minimax`, which ignore them: which of the two
            # a method reads is not declared, and without them images made before would have other keys.
            facts={
                "method": method.name,
                "ipc": self.recipe.ipc,
                "seed": seed,
                "size_px": size_px,
                "flip": flip,
                **models,
            },
            inputs=inputs,
            origins=origins,
        )

    def _models_of(self, method: Method, seed: int) -> tuple[dict[str, Task], dict[str, Any], dict[str, str]]:
        """Return inputs, facts and origins: the parts of the models that a method reads."""
        declared = method.models
        if "stylegan_xl" in declared:
            return {}, *self._class_conditional(stylegan_xl="stylegan_xl")
        if not self.recipe.pretrained:
            return {part: self.weights(part, seed) for part in declared}, {}, {}
        if "transformer" in declared:
            return {}, *self._class_conditional(transformer="dit")
        if "difffit" in declared:
            labels = imagenet_labels(self.manifest)
            return {"difffit": self.weights("difffit", seed)}, {"labels": labels}, {}
        facts, origins = self._published(**{part: part for part in declared}) if declared else ({}, {})
        return {}, facts, origins

    def _synthesised(self, method: Method, seed: int) -> Task:
        """The images of a method that selects real ones, or makes prototypes of them."""
        facts: dict[str, Any] = {"method": method.name}
        if not method.whole_set:
            facts |= {"ipc": self.recipe.ipc, "seed": seed}
        origins: dict[str, str] = {}
        revisions = {}
        if method.synthesis is not None:
            revisions["sampler"] = plugins.revision("models/sampling/sampler")
            settings: Any = method.synthesis
            inputs = {"prototypes": self.prototypes(method, seed)}
            if not self.recipe.pretrained:
                inputs["diffuser"] = self.weights("diffuser", seed)
            elif not method.declared.finetuned or self.recipe.models.finetuned:
                part = "finetuned" if method.declared.finetuned else "diffusion"
                models, origins = self._published(diffuser=part)
                facts |= models
            else:
                inputs["diffuser"] = self.finetuned(seed)
                facts["precision"] = self.recipe.models.precision
        else:
            settings = method.settings
            inputs = self._features_of(method, seed)
        return self._task(
            distilled.KIND,
            "synthesise",
            f"{method.spec} images" + ("" if method.whole_set else f", seed {seed}"),
            plugin=method.name,
            revision=method.declared.revision,
            declared_in=method.declared.origin,
            revisions=revisions,
            schema=distilled.SCHEMA,
            settings=settings,
            facts=facts,
            inputs=inputs,
            origins=origins,
        )
