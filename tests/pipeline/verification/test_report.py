"""How a check counts."""

from uvlp.pipeline.verification.report import Check


def test_one_thing_and_several_are_worded_apart() -> None:
    check = Check(name="table", one="{} table matches its scores", many="{} tables match their scores")
    check.skipped["tables with a damaged file"] += 1
    assert check.what == "0 tables match their scores"
    assert check.not_checked == ["1 table with a damaged file"]
    check.checked = 1
    check.skipped["tables with a damaged file"] += 1
    assert check.what == "1 table matches its scores"
    assert check.not_checked == ["2 tables with a damaged file"]
