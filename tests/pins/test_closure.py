"""Changes of shared code change the hash of the plug-ins that use it; moves change no hash."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.pins.closure import Reader
from tests.pins.moving import Moves, changed
from tests.pins.mutations import noticed
from tests.pins.pins import Pins, State, report, touched
from tests.pins.sources import Definition
from uvlp.core import plugins

METHODS = {name.replace("-", "_") for name in plugins.names("methods")}
MODELS = {"model autoencoder", "model diffuser", "model embedder", "model finetuning"}
NAMED_SETS = {"imageidc", "imagenet100", "imagenet1k", "imagenette", "imagewoof", "tiny_imagenet"}
FOLDERS = NAMED_SETS | {"folder", "hf"}


def every(kind: str, names: set[str]) -> set[str]:
    return {f"{kind} {name}" for name in names}


MUTATIONS = {
    "spherical_kmeans": {"method uvlp"},
    "latent_clusters": {"method vlcp"},
    "streamed_centres": {"method d4m"},
    "visiting_order": every("method", METHODS),
    "initialise_by_fan_out": {"network resnet", "network resnet_ap"},
    "AveragePool": {"network convnet"},
    "ARCHITECTURES": {"protocol rded", "model teacher", "method rded", "method sre2l"},
    "LUMINANCE": {"protocol minimax", "model teacher", "stage represent"},
    "PUBLISHED_SEED": {"model sampler"},
    "wordnet_classes": every("dataset", FOLDERS),
    "EXTENSIONS": every("dataset", FOLDERS) | {"stage collect"},
    "wilson_interval_pct": {"stage tabulate"},
    "EmbedSettings": {"stage embed"},
    "QUESTION": {"captioner llava"},
}


def definition_of(reader: Reader, name: str) -> Definition:
    """Return the one definition of this name that a plug-in reaches."""
    (definition,) = [each for each in reader.known if each.name == name]
    return definition


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_constant_affects_the_plugins_that_use_it(state: State, reader: Reader, name: str) -> None:
    assert noticed(state, reader, definition_of(reader, name)) == MUTATIONS[name]


def test_code_of_every_artifact_affects_all_plugins(state: State, reader: Reader) -> None:
    affected = noticed(state, reader, definition_of(reader, "CLOCK_TICK_NS"))
    assert affected is not None and every("method", METHODS) | MODELS | {"protocol rded"} <= affected


def test_data_files_are_pinned_by_content_and_name(state: State) -> None:
    read = {name: set(closure.data) for name, closure in state.closures.items() if closure.data}
    assert "imagewoof.tsv" in read["dataset imagewoof"]
    assert read.keys() == every("dataset", FOLDERS | {"cifar10", "cifar100"})


def test_the_command_line_and_estimates_are_not_pinned(state: State) -> None:
    modules = {each.module for closure in state.closures.values() for each in closure.trees}
    assert not [name for name in modules if name.startswith(("uvlp.cli", "uvlp.pipeline.estimates"))]


@pytest.mark.slow
def test_moved_and_merged_files_change_no_pin(reader: Reader, tmp_path: Path) -> None:
    """A package whose files are loaded by name, a file with data, merges, and a file run as a module."""
    moves = Moves(
        files={
            "uvlp.protocols": "uvlp.judges",
            "uvlp.protocols.minimax": "uvlp.judges.minimax",
            "uvlp.protocols.rded": "uvlp.judges.rded",
            "uvlp.datasets.files.class_lists": "uvlp.datasets.files.lists.class_lists",
            "uvlp.methods.algorithms.coresets": "uvlp.methods.shared.plain",
            "uvlp.methods.algorithms.prompt_ensemble": "uvlp.methods.shared.plain",
            "uvlp.models.finetuning.job": "uvlp.models.training_job",
        },
        rooms={"protocols": "judges"},
    )
    assert changed(reader.package, moves, tmp_path) == []


def test_the_report_names_changes_affected_plugins_and_the_command(state: State) -> None:
    now = state.pins()
    assert report(now, state) == ""
    before = replace(
        now,
        plugins={**now.plugins, "method uvlp": (0, "other"), "method old": (1, "gone")},
        definitions={**now.definitions, "spherical_kmeans": ("other",), "forgotten": ("x",)},
    )
    assert touched(before, now) == ["method uvlp", "method old"]
    text = report(before, state)
    for expected in (
        "spherical_kmeans (uvlp/methods/algorithms/clustering/spherical_kmeans.py): method uvlp",
        "forgotten: no longer used",
        "method uvlp: REVISION 1 in uvlp/methods/uvlp.py, raised from 0",
        "method old: removed",
        "python -m tests.pins",
    ):
        assert expected in text, text


def test_pins_are_serialised_without_loss(state: State, tmp_path: Path) -> None:
    (tmp_path / "pins.json").write_text(state.pins().to_json(), encoding="utf-8")
    assert Pins.read(tmp_path / "pins.json") == state.pins()
