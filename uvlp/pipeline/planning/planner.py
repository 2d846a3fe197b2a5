"""Tasks that make the table of a recipe. Nothing is read or computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uvlp.artifacts import (
    scores,
    tables,
)
from uvlp.artifacts.task import Task
from uvlp.core import plugins
from uvlp.declarations.network import note
from uvlp.declarations.protocol import ProtocolDeclaration, declared_protocol
from uvlp.pipeline.planning.ablations import Ablated, removed
from uvlp.pipeline.planning.contenders import Folder, Method
from uvlp.pipeline.planning.images import ImagePlanner
from uvlp.pipeline.planning.models import network_of
from uvlp.pipeline.planning.table_names import dataset_name, table_name
from uvlp.recipes.remarks import remarks

STAGES = (
    *("caption", "encode", "finetune", "pixels", "represent", "embed", "prototype"),
    *("optimise", "sample", "synthesise", "collect"),
    *("teacher", "evaluate", "tabulate"),
)


class Planner(ImagePlanner):
    """Builds the tasks of one recipe on one dataset: its images, their scores and the table."""

    @property
    def _protocol(self) -> ProtocolDeclaration:
        return declared_protocol(self.recipe.protocol)

    @property
    def _evaluation(self) -> Any:
        """The settings of the recipe's protocol."""
        return self._protocol.settings_in(self.recipe)

    def score(self, method: Method | Folder, network: str, seed: int, repeat: int, images: Task) -> Task:
        """One training of one network on ``images`` of the method and the seed."""
        shown = method.title if isinstance(method, Folder) else method.spec
        facts: dict[str, Any] = {"network": network, "seed": seed, "repeat": repeat}
        if not method.whole_set:
            facts["ipc"] = self.recipe.ipc
        inputs = {"distilled": images, "validation": self.pixels()}
        if self._protocol.teacher:
            inputs["teacher"] = self.teacher(network)
        return self._task(
            scores.KIND,
            "evaluate",
            f"{shown} scored by {network}, seed {seed}, repeat {repeat}",
            plugin=self.recipe.protocol,
            revision=self._protocol.revision,
            declared_in=self._protocol.origin,
            network=network_of(self.recipe.protocol, network),
            schema=scores.SCHEMA,
            settings=self._evaluation,
            facts=facts,
            inputs=inputs,
        )

    def table(
        self,
        methods: Sequence[Method | Folder],
        folders: str = "",
        notes: Sequence[str] = (),
        ablated: Ablated | None = None,
    ) -> Task:
        """The table of the complete recipe.

        Args:
            methods: its rows.
            folders: titles of scored folders, for its name.
            notes: further notes.
            ablated: the method, if it is the first and the others are its ablations.
        """
        recipe = self.recipe
        inputs: dict[str, Task] = {}
        cells = []
        for method in methods:
            # One task object per seed, so that the keys of its chain are hashed only once.
            images = {seed: self.distilled(method, seed) for seed in filter(method.has, recipe.seeds)}
            for network in recipe.networks:
                trainings = {
                    f"{method.spec} {network} seed {seed} repeat {repeat}": self.score(
                        method, network, seed, repeat, images[seed]
                    )
                    for seed in images
                    for repeat in range(1, recipe.repeats + 1)
                }
                inputs |= trainings
                cells.append(
                    {
                        "method": method.spec,
                        "title": method.title,
                        "network": network,
                        "scores": list(trainings),
                        **self._soft_labels(method, network),
                    }
                )
        name = table_name(recipe, self.manifest, self.spec, folders, ablated)
        own: dict[str, Any] = {}
        if ablated is not None:
            own["ablations"] = removed([each for each in methods if isinstance(each, Method)])
        return self._task(
            tables.KIND,
            "tabulate",
            f"table {name}",
            revision=plugins.revision("stages/tabulate"),
            schema=tables.SCHEMA,
            facts={
                "name": name,
                "caption": f"{dataset_name(self.manifest, self.spec)}, {recipe.ipc} images per class, "
                f"{recipe.protocol} protocol, profile {recipe.profile}",
                "cells": cells,
                "notes": [*self._notes(methods), *notes],
                **own,
            },
            inputs=inputs,
        )

    def _soft_labels(self, method: Method | Folder, network: str) -> dict[str, int]:
        """Return what the size of the soft labels of one training depends on; nothing with hard labels."""
        declared = self._protocol
        if not declared.teacher or declared.workload is None:
            return {}
        classes = len(self.manifest.classes)
        if not classes:
            return {}  # the placeholder of a dataset of unknown size
        images = self.manifest.count("train") if method.whole_set else classes * self.recipe.ipc
        load = declared.workload(
            self._evaluation,
            network,
            ipc=self.recipe.ipc,
            classes=classes,
            images=images,
            full=method.whole_set,
        )
        return {"soft_label_epochs": load.epochs, "classes": classes}

    def _notes(self, methods: Sequence[Method | Folder]) -> list[str]:
        """Return the notes that apply to a table of these methods."""
        own = [method for method in methods if isinstance(method, Method)]
        syntheses = {method.title: method.synthesis for method in own if method.synthesis is not None}
        sections = {self._protocol.section: self._evaluation}
        if self._protocol.teacher:
            sections["teacher"] = self.recipe.teacher
        seeds = [
            f"{method.title}: " + ", ".join(f"seed {seed} is {path}" for seed, path in method.paths.items())
            for method in methods
            if isinstance(method, Folder) and method.several
        ]
        sources = [f"{each.title}: {each.note}" for each in methods if isinstance(each, Folder) and each.note]
        size_px, classes = self._evaluation.size_px, len(self.manifest.classes)
        networks = [note(network, classes, size_px) for network in self.recipe.networks] if classes else []
        hard = [method.title for method in own if method.declared.soft_labels and not self._protocol.teacher]
        return [
            *remarks(self.recipe, sections, syntheses, hard),
            *sources,
            *seeds,
            *filter(None, networks),
            *self.manifest.caveats,
        ]
