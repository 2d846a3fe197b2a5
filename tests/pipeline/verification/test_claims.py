"""Claims: cells with a published counterpart, and the digits with what is committed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.verification.editing import score
from tests.pipeline.verification.ground import fill
from tests.stored_tables import IMAGES
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.artifacts.tables import Cell, Table
from uvlp.pipeline.verification import claims
from uvlp.pipeline.verification.contents import Artifact, CellFacts, Measured, TableFacts
from uvlp.pipeline.verification.datasets import OF_STORE, Known
from uvlp.pipeline.verification.report import Check
from uvlp.pipeline.verification.verify import verify
from uvlp.tables import published
from uvlp.tables.uncertainty import summarise

WOOF = "imagewoof"


def one_cell(values: tuple[float, ...]) -> Cell:
    seeds = tuple(range(len(values)))
    return Cell(
        method="uvlp",
        title="UVLP",
        network="resnet-ap-10",
        seeds=seeds,
        repeats=(1,) * len(values),
        best_pct=values,
        last_pct=values,
        top5_best_pct=(),
        top5_last_pct=(),
        best=summarise(values, seeds, IMAGES),
        last=summarise(values, seeds, IMAGES),
        top5_best=None,
        top5_last=None,
        validation_set=WOOF,
        validation_images=IMAGES,
        scores=tuple(f"scores/{seed}" for seed in seeds),
    )


def checked(cell: Cell, variant: str, notes: tuple[str, ...] = ()) -> Check:
    """The check of a table with one cell."""
    cells = (CellFacts(method="uvlp", title="UVLP", network=cell.network, scores=cell.scores),)
    caption = f"{WOOF}, 10 images per class, minimax protocol, profile sd15"
    facts = TableFacts(name="woof", caption=caption, cells=cells, notes=notes)
    artifact = Artifact(name="tables/0", folder=Path(), facts=facts)
    found = Table(name="woof", caption=caption, cells=(cell,), comparisons=(), notes=notes)
    manifest = DatasetManifest(
        name=WOOF,
        argument="",
        variant=variant,
        classes=(ClassInfo(id="a", name="a", index=0, train=1, val=1),),
        content_hash="",
        image_px=0,
        source="",
    )
    shown = Measured(artifact=artifact, facts=facts, table=found)
    check = Check(name="claims", one="", many="")
    stated = {"ipc": "10", "protocol": "minimax", "profile": "sd15"}
    claims._check_published(check, shown, stated, Known(manifest=manifest, source=OF_STORE))
    return check


@pytest.fixture
def cell_of_uvlp() -> published.Published:
    found = published.find(WOOF, 10, "uvlp", "resnet-ap-10", "minimax")
    return next(each for each in found if each.validation_set)


def variant_of(cell: published.Published) -> str:
    return "" if cell.validation_set == "ilsvrc" else "fastai"


def test_a_reproduced_cell_is_ok(cell_of_uvlp: published.Published) -> None:
    values = tuple(cell_of_uvlp.mean_pct + each for each in (-0.1, 0.0, 0.1))
    check = checked(one_cell(values), variant_of(cell_of_uvlp))
    assert check.checked and not check.findings and any("reproduced" in line for line in check.remarks)


def test_another_accuracy_is_a_failure(cell_of_uvlp: published.Published) -> None:
    values = tuple(cell_of_uvlp.mean_pct + 20 + each for each in (-0.1, 0.0, 0.1))
    check = checked(one_cell(values), variant_of(cell_of_uvlp))
    assert check.findings and "not reproduced" in check.findings[0].what


def test_other_settings_are_not_comparable(cell_of_uvlp: published.Published) -> None:
    note = "settings that are not the minimax protocol's: evaluate.epochs=1"
    check = checked(one_cell((1.0, 1.1, 1.2)), variant_of(cell_of_uvlp), (note,))
    assert not check.findings and not check.checked and check.skipped


def of_claims(root: Path) -> Check:
    return next(check for check in verify(root, None, None, None) if check.name == "claims")


@pytest.fixture(scope="module")
def portable_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores that say to be made with `--portable`."""
    root = tmp_path_factory.mktemp("portable") / "store"
    fill(root, portable=True)
    return root


def committed(root: Path) -> dict[str, Any]:
    """A record of what the store holds."""
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in root.glob("scores/*/manifest.json")]
    versions = manifests[0]["made"]["versions"]
    return {
        "made_by": {"versions": {name: text for name, text in versions.items() if name != "uvlp"}},
        "files": {"evaluate": {each["title"]: each["files"] for each in manifests}},
    }


def test_portable_digits_are_compared_by_hash(monkeypatch: pytest.MonkeyPatch, portable_store: Path) -> None:
    record = committed(portable_store)
    monkeypatch.setattr(claims, "_record", lambda table: record if table == "digits-ipc2-portable" else {})
    check = of_claims(portable_store)
    assert check.checked == 8 and not check.findings
    record["files"]["evaluate"]["random scored by convnet-3, seed 0, repeat 1"]["score.json"] = "0" * 64
    named = [one.file for one in of_claims(portable_store).findings]
    assert named == [f"scores/{score(portable_store).name}/score.json"]


def test_digits_of_other_packages_are_not_compared(
    monkeypatch: pytest.MonkeyPatch, portable_store: Path
) -> None:
    record = committed(portable_store)
    record["made_by"]["versions"]["torch"] = "1.0"
    monkeypatch.setattr(claims, "_record", lambda table: record)
    check = of_claims(portable_store)
    assert (
        not check.checked
        and check.skipped["scores of digits made with other packages than the committed ones"] == 8
    )


def test_digits_of_other_settings_are_not_compared(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """A table that has the name of the recipe's, with scores under keys that the recipe does not give."""
    monkeypatch.setattr(claims, "_planned_keys", lambda *_: {})
    assert (
        of_claims(root).skipped["scores of digits made with other settings or code than the recipe has now"]
        == 8
    )


@pytest.mark.parametrize(("shift", "failures", "remarks"), [(0.0, 0, 1), (40.0, 2, 1)])
def test_means_of_digits_are_compared_with_ranges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shift: float, failures: int, remarks: int
) -> None:
    root = tmp_path / "store"
    fill(root, ipc=10, profile="tiny", seeds=("0",))
    means = {}
    for cell in json.loads(next(root.glob("tables/*/table.json")).read_text(encoding="utf-8"))["cells"]:
        means[cell["method"]] = [cell[which]["mean_pct"] for which in ("best", "last")]
    means["random"] = [mean + shift for mean in means["random"]]
    monkeypatch.setattr(claims, "_committed_means", lambda: (means,))
    check = of_claims(root)
    assert check.checked == 4 and len(check.findings) == failures and len(check.remarks) == remarks


def test_committed_records_are_found_by_the_name_of_a_table() -> None:
    assert claims._record("digits-ipc10-portable")["files"]["evaluate"]
    assert claims._record("mine") == {}
    assert {"random", "uvlp"} <= set(claims._committed_means()[0])
