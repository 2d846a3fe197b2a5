"""The projected cost table is what its generator writes; its arithmetic for the published code by hand."""

from __future__ import annotations

from functools import cache

import pytest

from tools import projected_cost
from uvlp.core import plugins


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Planning reads a plug-in's source for every task: here once.
    monkeypatch.setattr(plugins, "revision", cache(plugins.revision))


def test_the_table_is_as_it_would_be_written() -> None:
    written = projected_cost.FILE.read_text(encoding="utf-8")
    assert written == projected_cost.text(), "stale: python -m tools.projected_cost"
    assert "nothing here was measured on an H200" in written


def test_the_published_code_by_hand() -> None:
    found = projected_cost.costs("imagenette", 10)
    (caption,) = found["caption"][1]
    assert caption.seconds == pytest.approx(9469 / 0.18)  # 14.6 h, field_notes.md 3d
    uvlp = found["embed"][1][-1]
    assert uvlp.host_bytes - 3e9 == pytest.approx(29.8e9, rel=2e-3)  # methods.md F.1
    made = [cost for cost in found["synthesise"][1] if cost.gpu_bytes]
    assert len(made) == 9
    assert max(cost.seconds or 0 for cost in made) == pytest.approx(100 * (38 + 1.565) / 54.5, rel=1e-3)


def test_ours_is_never_slower_in_a_stage_that_was_changed() -> None:
    found = projected_cost.costs("imagenette", 10)
    for stage in ("caption", "finetune", "embed", "synthesise"):
        ours, theirs = (sum(cost.seconds or 0 for cost in side) for side in found[stage])
        assert ours < theirs, stage
