"""`--method paper` and `--method all`."""

import pytest

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.pipeline.published.groups import expand
from uvlp.tables import published


def test_paper_is_the_implemented_columns_between_random_and_full() -> None:
    columns = {cell.method for cell in published.cells() if cell.dataset == "imagewoof"}
    found = expand(["paper"], "imagewoof")
    assert found[0] == "random" and found[-1] == "full" and len(set(found)) == len(found)
    assert set(found) == (columns & set(plugins.names("methods"))) | {"random", "full"}
    assert found.index("dm") < found.index("d4m") < found.index("uvlp")


def test_all_is_every_method() -> None:
    found = expand(["all"], "digits")
    assert set(found) == set(plugins.names("methods"))
    assert found[0] == "random" and found[-1] == "full"


def test_other_names_stay_and_duplicates_go() -> None:
    found = expand(["uvlp:top-k=1", "paper", "uvlp"], "imagenette")
    assert found[0] == "uvlp:top-k=1" and found.count("uvlp") == 1


def test_a_dataset_without_a_published_table_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        expand(["paper"], "folder:somewhere")
    assert caught.value.got == "folder:somewhere" and "imagewoof" in str(caught.value.allowed)
    assert "--method all" in str(caught.value.fix)
