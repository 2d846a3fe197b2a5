"""The line of a card gives the settings of the score: profile, options, teacher, order of repeats."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tests.exchange.sets import put_score, put_set, recipe
from uvlp.artifacts import teachers
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, deciding
from uvlp.core.errors import UvlpError
from uvlp.declarations.protocol import declared_protocol
from uvlp.exchange.export_scores import Scored, scores_of
from uvlp.exchange.export_sets import find
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import Recipe


def scored(store: Store) -> list[Scored]:
    chosen = find("uvlp", store)
    assert chosen.dataset is not None
    return scores_of(chosen.key, chosen.dataset, store)


def resolved(words: tuple[str, ...]) -> Recipe:
    """The recipe that the command line resolves from the options of a line."""
    options: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            options.setdefault(word, [])
            last = word
        else:
            options[last].append(word)
    return resolve(
        Request(
            dataset="folder:/data",
            ipc=int(options["--ipc"][0]),
            networks=options["--network"],
            protocol=options["--protocol"][0],
            profile=options["--profile"][0],
            settings=options.get("--set", []),
        )
    )


@pytest.mark.parametrize("profile", ["sd15", "small", "tiny", "nano"])
@pytest.mark.parametrize("protocol", ["minimax", "rded"])
def test_the_line_resolves_to_the_settings_of_the_score(protocol: str, profile: str, tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    used = recipe(profile)
    used = replace(used, evaluate=replace(used.evaluate, epochs=77), rded=replace(used.rded, epochs=78))
    put_score(store, images, 1, used=used, protocol=protocol, network="resnet-18")
    (found,) = scored(store)
    declared = declared_protocol(protocol)
    again = declared.settings_in(resolved(found.line.words))
    assert deciding(again) == deciding(declared.settings_in(used))
    assert ("--no-random" in found.line.words) and found.network == "resnet-18"


def test_repeats_are_one_line_with_an_interval(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    names = [put_score(store, images, repeat) for repeat in (1, 2, 3)]
    (found,) = scored(store)
    assert found.names == tuple(names) and found.line.words[found.line.words.index("--repeats") + 1] == "3"
    pcts = [score.best_pct for score in found.scores]
    assert found.best.trainings == 3 and found.best.mean_pct == pytest.approx(sum(pcts) / 3)
    low, high = found.expected[0] or (0, 0)
    assert found.best.low_pct is not None and low < found.best.low_pct < found.best.mean_pct < high


def test_one_training_has_no_interval(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    put_score(store, images, 1)
    (found,) = scored(store)
    assert found.expected == (None, None) and found.best.show_interval() == ""


def test_scores_with_other_settings_have_their_own_line(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    put_score(store, images, 1)
    put_score(store, images, 1, network="convnet-4")
    put_score(store, images, 1, used=recipe("nano"))
    put_score(store, images, 2, revision=99)
    lines = [shlex.join(one.line.words) for one in scored(store)]
    assert len(lines) == len(set(lines)) == 3, "and none for another revision of the protocol"
    assert sum("--profile nano" in line for line in lines) == 1


def teacher(store: Store, settings: object, **facts: object) -> Task:
    own = {"network": "resnet-18", "size_px": 16, "flip": 0.5, "seed": 0} | facts
    task = Task(kind=teachers.KIND, stage="teacher", plugin="resnet-18", settings=settings, facts=own)
    with store.making(task, print) as folder:
        assert folder is not None
        for name in ("teacher.safetensors", "teacher.json"):
            (folder / name).write_text("{}", encoding="utf-8")
        store.commit(task, folder, {})
    return task


def test_the_line_names_the_teacher(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    used = recipe()
    own = replace(used.teacher, epochs=33, source="file", network="")
    made = teacher(store, own, network="resnet-50", file="cd" * 32)
    put_score(store, images, 1, used=used, protocol="rded", network="resnet-18", teacher=made)
    (found,) = scored(store)
    sets = [word for word in found.line.words if word.startswith("teacher.")]
    assert sets == ["teacher.network=resnet-50", "teacher.source=CHECKPOINT", "teacher.epochs=33"]
    assert any("cd" * 32 in note for note in found.line.notes)


def test_a_teacher_that_is_not_here_is_reported(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    gone = Task(kind=teachers.KIND, stage="teacher", facts={"network": "resnet-18"})
    put_score(store, images, 1, protocol="rded", network="resnet-18", teacher=gone)
    (found,) = scored(store)
    assert any("not in the store" in note for note in found.line.notes)


def test_a_damaged_score_is_refused(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    name = put_score(store, images, 1)
    path = store.root / name / "score.json"
    path.write_text(path.read_text(encoding="utf-8").replace("best_epoch", "best_epoc"), encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        scored(Store(tmp_path))
    assert name in caught.value.what
