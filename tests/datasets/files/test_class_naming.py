"""Folders may be named by any synonym; a synonym of two classes is refused."""

import pytest

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError
from uvlp.datasets.files.class_lists import wordnet_classes
from uvlp.datasets.files.class_naming import Names, assign


def names_of(*ids: str) -> Names:
    chosen = [entry for entry in wordnet_classes("imagenet1k") if entry.id in ids]
    return Names(
        tuple(
            ClassInfo(id=entry.id, name=entry.name, index=index, train=1, val=1, synonyms=entry.synonyms)
            for index, entry in enumerate(chosen)
        )
    )


@pytest.mark.parametrize("folder", ["tench", "Tinca_tinca", "tench, Tinca tinca", "Tinca tinca"])
def test_every_synonym_matches_its_class(folder: str) -> None:
    assigned = assign(names_of("n01440764", "n02012849"), [folder, "crane"], "somewhere")
    assert assigned.folder_of == {"n01440764": folder, "n02012849": "crane"}


def test_a_synonym_of_two_classes_is_refused() -> None:
    names = names_of("n02012849", "n03126707")
    with pytest.raises(UvlpError) as caught:
        assign(names, ["crane"], "somewhere")
    assert caught.value.got == "crane" and "n02012849" in str(caught.value.allowed)
