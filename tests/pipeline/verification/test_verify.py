"""A calm store passes; so does a part of one; what is asked for wrongly is refused."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.pipeline.verification.editing import of
from uvlp.core.errors import UvlpError
from uvlp.pipeline.verification.verify import failure, verify


def content(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_calm_store_passes_and_stays_as_it_is(root: Path) -> None:
    before = content(root)
    checks = verify(root, None, None, None)
    assert not [(check.name, check.findings) for check in checks if check.findings]
    unchecked = {check.name for check in checks if not check.checked}
    assert unchecked == {"claims"}  # of two images per class nothing is published
    assert content(root) == before
    assert failure(checks) is None


def test_a_store_that_cannot_be_written_passes(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert failure(verify(root, None, None, None)) is None
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_tables_and_scores_alone_pass_and_what_is_absent_is_counted(root: Path) -> None:
    for path in root.iterdir():
        if path.name not in ("tables", "scores"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    checks = {check.name: check for check in verify(root, None, None, None)}
    assert failure(list(checks.values())) is None
    assert checks["inputs"].skipped == {
        "inputs not in this store (distilled)": 8,
        "inputs not in this store (pixels)": 8,
    }
    assert checks["table"].checked == 1 and checks["images"].checked == 0
    assert checks["accuracies"].skipped["scores whose dataset is not recorded in this store"] == 8


def test_the_dataset_itself_is_compared_where_it_is_asked_for(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "datasets")
    checks = {check.name: check for check in verify(root, None, str(tmp_path), None)}
    assert failure(list(checks.values())) is None
    assert checks["accuracies"].remarks == [
        "number of validation images of 8 scores checked against the dataset"
    ]


def test_a_table_is_looked_at_with_what_is_behind_it(root: Path) -> None:
    (of(root, "captions") / "prompts.json").write_text("{}", encoding="utf-8")
    table = next((root / "tables").iterdir()).name
    assert failure(verify(root, None, None, None)) is not None
    for name in ("digits-ipc2", table, table[:6], f"digits-ipc2@{table[:4]}"):
        checks = verify(root, name, None, None)
        assert failure(checks) is None and checks[0].checked == 1 + 8 + 3 + 1


def test_a_table_that_is_not_there_is_named_with_the_nearest(root: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        verify(root, "digits-ipc20", None, None)
    assert caught.value.got == "digits-ipc20" and "'digits-ipc2'" in str(caught.value.fix)


def test_two_tables_of_one_name_are_both_named(root: Path) -> None:
    table = next((root / "tables").iterdir())
    other = table.with_name("0" * 16)
    shutil.copytree(table, other)
    with pytest.raises(UvlpError) as caught:
        verify(root, "digits-ipc2", None, None)
    assert table.name in str(caught.value.allowed) and other.name in str(caught.value.allowed)


def test_of_a_table_that_a_later_revision_made_again_the_last_is_looked_at(root: Path) -> None:
    table = next((root / "tables").iterdir())
    earlier = Path(shutil.copytree(table, table.with_name("0" * 16)))
    content = json.loads((earlier / "manifest.json").read_text(encoding="utf-8"))
    content["revision"] -= 1
    (earlier / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    assert failure(verify(root, "digits-ipc2", None, None)) is None


@pytest.mark.parametrize("there", [False, True])
def test_a_store_with_nothing_finished_is_refused(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "scores").mkdir()
    with pytest.raises(UvlpError) as caught:
        verify(tmp_path, None, None, None)
    assert caught.value.got == str(tmp_path)


def test_a_store_of_a_later_version_is_refused(root: Path) -> None:
    (root / "uvlp_store.json").write_text('{"schema": 2}', encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        verify(root, None, None, None)
    assert "schema 2" in str(caught.value.got)


def test_the_first_finding_and_their_number_make_the_error(root: Path) -> None:
    score = of(root, "scores")
    os.remove(score / "score.json")
    wrong = failure(verify(root, None, None, None))
    assert wrong is not None and f"scores/{score.name}/score.json" in wrong.what and wrong.exit_code == 2
