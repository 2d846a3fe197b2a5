"""Changes of shared code are noticed by the plug-ins that use it, moves by none."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.pins.closure import Reader
from tests.pins.moving import Moves, changed
from tests.pins.mutations import noticed
from tests.pins.pins import Pins, State, report, touched
from tests.pins.sources import Definition

METHODS = {"d4m", "full", "herding", "k_center", "random", "uvlp", "vlcp"}
MODELS = {"model autoencoder", "model diffuser", "model embedder", "model finetuning"}
NAMED_SETS = {"imageidc", "imagenet100", "imagenet1k", "imagenette", "imagewoof", "tiny_imagenet"}
FOLDERS = NAMED_SETS | {"folder"}


def every(word: str, names: set[str]) -> set[str]:
    return {f"{word} {name}" for name in names}


MUTATIONS = {
    "spherical_kmeans": {"method uvlp"},
    "latent_clusters": {"method vlcp"},
    "streamed_centres": {"method d4m"},
    "visiting_order": every("method", METHODS),
    "initialise_by_fan_out": {"network resnet", "network resnet_ap"},
    "AveragePool": {"network convnet"},
    "ARCHITECTURES": {"protocol rded", "model teacher"},
    "LUMINANCE": {"protocol minimax", "model teacher", "stage represent"},
    "PUBLISHED_SEED": {"model sampler"},
    "wordnet_classes": every("dataset", NAMED_SETS | {"folder"}),
    "EXTENSIONS": every("dataset", FOLDERS) | {"stage collect"},
    "wilson_interval_pct": {"stage tabulate"},
    "EmbedSettings": {"stage embed"},
    "QUESTION": {"captioner llava"},
}


def found(reader: Reader, name: str) -> Definition:
    """The one definition of this name that a plug-in reaches."""
    (definition,) = [each for each in reader.known if each.name == name]
    return definition


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_constant_is_noticed_by_those_that_use_it(state: State, reader: Reader, name: str) -> None:
    assert noticed(state, reader, found(reader, name)) == MUTATIONS[name]


def test_what_every_artifact_goes_through_touches_all(state: State, reader: Reader) -> None:
    touches = noticed(state, reader, found(reader, "CLOCK_TICK_NS"))
    assert touches is not None and every("method", METHODS) | MODELS | {"protocol rded"} <= touches


def test_data_files_count_by_content_and_name(state: State) -> None:
    read = {name: set(closure.data) for name, closure in state.closures.items() if closure.data}
    assert "imagewoof.tsv" in read["dataset imagewoof"]
    assert read.keys() == every("dataset", NAMED_SETS | {"cifar10", "cifar100", "folder"})


def test_nothing_of_what_answers_only_the_user_is_pinned(state: State) -> None:
    modules = {each.module for closure in state.closures.values() for each in closure.trees}
    assert not [name for name in modules if name.startswith(("uvlp.cli", "uvlp.pipeline.estimates"))]


@pytest.mark.slow
def test_moved_and_merged_files_change_no_pin(reader: Reader, tmp_path: Path) -> None:
    """A room whose files are loaded by name, a file with data beside it, merges, a file started by name."""
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


def test_the_report_names_what_has_changed_whom_it_touches_and_what_to_do(state: State) -> None:
    now = state.pins()
    assert report(now, state) == ""
    before = replace(
        now,
        plugins={**now.plugins, "method uvlp": (0, "other"), "method old": (1, "gone")},
        definitions={**now.definitions, "spherical_kmeans": ("other",), "forgotten": ("x",)},
    )
    assert touched(before, now) == ["method uvlp", "method old"]
    text = report(before, state)
    for words in (
        "spherical_kmeans (uvlp/methods/algorithms/clustering/spherical_kmeans.py): method uvlp",
        "forgotten: used no longer",
        "method uvlp: REVISION 1 in uvlp/methods/uvlp.py, raised from 0",
        "method old: is gone",
        "python -m tests.pins",
    ):
        assert words in text, text


def test_pins_are_written_as_they_are_read(state: State, tmp_path: Path) -> None:
    (tmp_path / "pins.json").write_text(state.pins().to_json(), encoding="utf-8")
    assert Pins.read(tmp_path / "pins.json") == state.pins()
