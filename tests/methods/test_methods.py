"""All methods on small data: IPC results per class, from the right class, depending on the seed."""

from dataclasses import replace

import numpy as np
import pytest

from uvlp.core import plugins
from uvlp.core.progress import Progress
from uvlp.declarations.method import declared_method
from uvlp.methods.algorithms.method_input import ClassData, MethodInput

CLASSES, PER_CLASS, IPC, WIDTH = 3, 20, 4, 16
METHODS = plugins.names("methods")
SELECTING = [name for name in METHODS if declared_method(name).select]
MAKING = [name for name in METHODS if declared_method(name).prototypes]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def method_input(seed: int = 0, per_class: int = PER_CLASS) -> MethodInput:
    generator = np.random.default_rng(7)
    names = unit(generator.normal(size=(CLASSES, WIDTH)))
    parts: dict[str, list[np.ndarray]] = {"image": [], "text": [], "latents": []}
    for index in range(CLASSES):
        noise = generator.normal(size=(2, per_class, WIDTH))
        parts["image"].append(unit(3 * names[index] + noise[0]))
        parts["text"].append(unit(3 * names[index] + noise[1]))
        parts["latents"].append(generator.normal(size=(per_class, 4, 2, 2)).astype(np.float32))
    arrays = {name: np.concatenate(part) for name, part in parts.items()}
    classes = [
        ClassData(
            id=f"c{index}",
            name=f"class {index}",
            synonyms=f"class {index}",
            index=index,
            prompt=f"a photo of class {index}",
            rows=tuple(rows),
            captions=tuple(f"a spotted thing number{row} with stripes" for row in rows),
            arrays=arrays,
        )
        for index in range(CLASSES)
        if (rows := range(index * per_class, (index + 1) * per_class))
    ]
    return MethodInput(classes=classes, last_visited=CLASSES - 1, names=names, ipc=IPC, seed=seed)


def run(name: str, given: MethodInput, **changes: object) -> list:
    method = declared_method(name)
    function = method.select or method.prototypes
    assert function is not None
    return list(function(given, method.settings(**changes), Progress()))


@pytest.mark.parametrize("name", SELECTING)
def test_selected_rows_are_distinct_and_of_the_class(name: str) -> None:
    given = method_input()
    for data, rows in zip(given.classes, run(name, given), strict=True):
        assert len(rows) == len(set(rows)) == (PER_CLASS if name == "full" else IPC)
        assert set(rows) <= set(data.rows)


@pytest.mark.parametrize("name", MAKING)
def test_there_are_ipc_prototypes_with_members_of_the_class(name: str) -> None:
    given = method_input()
    for data, result in zip(given.classes, run(name, given), strict=True):
        assert result.latents.shape == (IPC, 4, 2, 2) and result.latents.dtype == np.float32
        assert [prototype.slot for prototype in result.prototypes] == list(range(IPC))
        for prototype in result.prototypes:
            assert prototype.class_id == data.id and set(prototype.members) <= set(data.rows)


@pytest.mark.parametrize("name", MAKING)
def test_a_class_of_ipc_images_gets_ipc_prototypes(name: str) -> None:
    given = method_input(per_class=IPC)
    assert all(len(result.prototypes) == IPC for result in run(name, given))


@pytest.mark.parametrize("name", ["uvlp", "vlcp"])
def test_the_text_prototype_is_a_caption_of_the_class(name: str) -> None:
    given = method_input()
    for data, result in zip(given.classes, run(name, given), strict=True):
        assert all(prototype.text in {*data.captions, ""} for prototype in result.prototypes)


def test_random_depends_on_the_seed_or_selects_the_first_files() -> None:
    assert run("random", method_input(seed=0)) != run("random", method_input(seed=1))
    first = run("random", method_input(seed=0), select="first")
    assert first == run("random", method_input(seed=1), select="first")
    assert first[1] == [PER_CLASS + slot for slot in range(IPC)]


def test_d4m_uses_the_label_prompt() -> None:
    results = run("d4m", method_input())
    assert {prototype.text for prototype in results[2].prototypes} == {"a photo of class 2"}


def test_uvlp_without_outlier_removal_keeps_every_image() -> None:
    kept = sum(
        len(prototype.members) for prototype in run("uvlp", method_input(), contamination=0.0)[0].prototypes
    )
    removed = sum(len(prototype.members) for prototype in run("uvlp", method_input())[0].prototypes)
    assert kept == PER_CLASS and removed == PER_CLASS - 2


def test_uvlp_with_fixed_alpha_does_not_search() -> None:
    for result in run("uvlp", method_input(), search="none", alpha=0.3):
        assert {prototype.details["cluster_alpha"] for prototype in result.prototypes} == {0.3}


def test_uvlp_without_captions_fuses_and_prompts_with_the_name() -> None:
    given = method_input()
    assert given.names is not None
    named = [
        replace(data, arrays={**data.arrays, "text": np.repeat(given.names, PER_CLASS, axis=0)})
        for data in given.classes
    ]
    expected = run("uvlp", replace(given, classes=named))
    for data, one, other in zip(given.classes, run("uvlp", given, text="class-name"), expected, strict=True):
        assert {prototype.text for prototype in one.prototypes} == {data.prompt}
        assert [each.members for each in one.prototypes] == [each.members for each in other.prototypes]
        assert [each.details for each in one.prototypes] == [each.details for each in other.prototypes]


def test_uvlp_with_three_way_fusion_reads_the_latents_and_no_alpha() -> None:
    given = method_input()
    found = run("uvlp", given, fusion="three-way")
    assert all(not any("alpha" in name for name in each.details) for one in found for each in one.prototypes)
    assert all({*each.text} for one in found for each in one.prototypes)
    shuffled = [
        replace(data, arrays={**data.arrays, "latents": data.arrays["latents"][::-1]})
        for data in given.classes
    ]
    other = run("uvlp", replace(given, classes=shuffled), fusion="three-way")
    members = [[[each.members for each in one.prototypes] for one in results] for results in (found, other)]
    assert members[0] != members[1]


@pytest.mark.parametrize(("ipc", "expected"), [(1, 6), (10, 6), (20, 3), (50, 1)])
def test_top_k_is_that_of_the_readme(ipc: int, expected: int) -> None:
    assert plugins.load("methods", "uvlp").top_k(ipc) == expected
