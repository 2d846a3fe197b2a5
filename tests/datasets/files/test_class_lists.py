"""The class lists: pinned files, alphabetical order, names for prompts."""

import hashlib

import pytest

from uvlp.datasets.files.class_lists import FOLDER, exchanged, numbered_classes, wordnet_classes

PINNED = {
    "cifar10": "cae578c14da2294a",
    "cifar100": "9cccbc7c6954fb2b",
    "cifar100_prompt_file_order": "5d54be3b09a9efee",
    "imageidc": "d4f5d3511ede1d46",
    "imagenet100": "c592199af1b3029b",
    "imagenet1k": "c98cf8e050b2f67f",
    "imagenette": "994f21937a9bb097",
    "imagewoof": "56ad7baa48b87c31",
    "tinyimagenet": "5ce1fc83f3ad864c",
}


def test_the_class_lists_are_pinned() -> None:
    hashes = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in FOLDER.glob("*.tsv")}
    assert hashes == PINNED


@pytest.mark.parametrize(
    ("stem", "count"),
    [
        ("imagenette", 10),
        ("imagewoof", 10),
        ("imageidc", 10),
        ("imagenet100", 100),
        ("tinyimagenet", 200),
        ("imagenet1k", 1000),
    ],
)
def test_classes_are_in_alphabetical_order_with_unique_names(stem: str, count: int) -> None:
    classes = wordnet_classes(stem)
    ids = [entry.id for entry in classes]
    assert len(classes) == count
    assert ids == sorted(set(ids))
    assert len({entry.name for entry in classes}) == count
    assert all(entry.name in (entry.id, *entry.synonyms.split(", ")) for entry in classes)


def test_every_subset_is_part_of_imagenet() -> None:
    known = {entry.id: entry.synonyms for entry in wordnet_classes("imagenet1k")}
    for stem in ("imagenette", "imagewoof", "imageidc", "imagenet100"):
        assert all(known[entry.id] == entry.synonyms for entry in wordnet_classes(stem)), stem


def test_names_are_the_first_unused_synonyms() -> None:
    named = {entry.id: entry for entry in wordnet_classes("imagenet1k")}
    assert named["n01440764"].name == "tench"
    assert named["n01440764"].synonyms == "tench, Tinca tinca"
    # The first crane and the first maillot keep the name (decisions: class names).
    assert (named["n02012849"].name, named["n03126707"].name) == ("crane", "n03126707")
    assert (named["n03710637"].name, named["n03710721"].name) == ("maillot", "tank suit")
    others = [entry for entry in named.values() if entry.name != entry.synonyms.split(", ")[0]]
    assert {entry.id for entry in others} == {"n03126707", "n03710721"}


def test_cifar_names_are_the_folder_names_with_spaces() -> None:
    classes = numbered_classes("cifar100")
    assert [entry.id for entry in classes] == sorted(entry.id for entry in classes)
    assert (classes[1].id, classes[1].name, classes[1].synonyms) == (
        *("aquarium_fish", "aquarium fish", "aquarium fish"),
    )
    assert [entry.id for entry in numbered_classes("cifar10")][:3] == ["airplane", "automobile", "bird"]


def test_exchanged_names_keep_the_synonyms() -> None:
    before = {entry.id: entry for entry in wordnet_classes("imagewoof")}
    after = {entry.id: entry for entry in exchanged(wordnet_classes("imagewoof"), "n02093754", "n02096294")}
    assert (before["n02093754"].name, after["n02093754"].name) == ("Border terrier", "Australian terrier")
    assert after["n02096294"].name == "Border terrier"
    assert after["n02096294"].synonyms == "Australian terrier"
    assert {key for key in before if before[key] != after[key]} == {"n02093754", "n02096294"}
