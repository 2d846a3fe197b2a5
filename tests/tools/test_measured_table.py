"""The page of a finished run: relations between methods and the time of each."""

from pathlib import Path

import pytest

from tests.stored_tables import put_table
from tools import measured_table
from uvlp.artifacts import tables


@pytest.mark.parametrize(
    ("natural", "pairs"), [(False, {"dm - random"}), (True, {"dm - random", "herding - k-center"})]
)
def test_relations_are_paired_differences_between_the_methods_of_a_table(
    natural: bool, pairs: set[str], tmp_path: Path
) -> None:
    folder, _ = put_table(tmp_path, methods=("random", "dm", "k-center", "herding"))
    table = tables.read(folder)
    grid = measured_table.relations(table, tmp_path, natural)
    assert {row[0] for row in grid.body} == pairs and {row[2] for row in grid.body} == {"best", "last"}
    means = {cell.method: cell.best.mean_pct for cell in table.cells}
    (row,) = [row for row in grid.body if row[0] == "dm - random" and row[2] == "best"]
    assert row[3].startswith(f"{means['dm'] - means['random']:+.1f} (")
    low, high = (float(each) for each in row[3].partition("(")[2].rstrip(")").split(" to "))
    assert row[5] == ("fails" if high < 0 else "holds" if low > 0 else "cannot tell")


def test_times_are_summed_by_method_and_shared_models_stand_apart() -> None:
    def made(
        stage: str, title: str, seconds: float, inputs: dict[str, str], **facts: object
    ) -> dict[str, object]:
        return {
            "stage": stage,
            "title": title,
            "inputs": inputs,
            "facts": facts,
            "made": {"seconds": seconds},
        }

    known = {
        "model": made("finetune", "autoencoder, seed 0", 30, {}),
        "a": made("optimise", "glad images, seed 0", 60, {"autoencoder": "model"}, method="glad"),
        "b": made("optimise", "glad images, seed 1", 80, {"autoencoder": "model"}, method="glad"),
        "one": made("evaluate", "glad scored by convnet-3, seed 0, repeat 1", 10, {"distilled": "a"}),
        "two": made("evaluate", "glad scored by convnet-3, seed 1, repeat 1", 14, {"distilled": "b"}),
        "table": made("tabulate", "table digits-ipc10", 1, {"first": "one", "second": "two"}),
        "other": made("optimise", "dm images, seed 0", 5, {}, method="dm"),
    }
    grid = measured_table.times(["table"], known)
    assert grid.body == [
        ["glad", "2 sets", "70 s each", "2", "12 s"],
        ["autoencoder, seed 0", "shared", "30 s", "", ""],
    ]
