"""Estimates: arithmetic by hand, what they grow with, and that they need neither dataset nor torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.estimates.recipes import PAPER, paper, planned
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.datasets import digits
from uvlp.pipeline.estimates import assumptions, cards, cost, report
from uvlp.pipeline.estimates.report import Estimate, Row
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.recipes.schema import FinetuneSettings, Recipe

H200 = cards.named("h200")


def rows(estimate: Estimate) -> dict[str, Row]:
    return {row.stage: row for row in estimate.rows}


def of(recipe: Recipe) -> Estimate:
    return report.estimate(planned(recipe), H200, workers=2)


def test_fine_tuning_by_hand() -> None:
    row = rows(of(PAPER))["finetune"]
    # 9,469 images in 8 epochs, three seeds; forward, backward and recomputation, and the text encoder.
    flops = 9469 * 8 * (3_001_812_910_080 + 13_298_503_680)
    share = 36 * 2_406_773_063_680 / 312e12
    # Two encodings of every image once, at the share of the synthesis.
    encode = 2 * 9469 * 1_116_658_466_816 / (989e12 * (1.51 * 38 * 1_606_546_882_560 / 312e12))
    assert row.artifacts == 3 and row.work == "3 x 75,752 images in all epochs"
    assert row.seconds == pytest.approx(3 * (flops / (989e12 * share) + encode), rel=1e-6)


def test_one_score_by_hand() -> None:
    recipe = paper(methods=("random",), seeds=(0,), repeats=1)
    row = rows(of(recipe))["evaluate"]
    # 2,000 epochs of two steps of 15 ms; 100 passes over 3,925 images at a tenth of the TF32 peak.
    train, validate = 4000 * 0.015, 100 * 3925 * 3_641_868_288 / (495e12 * 0.1)
    assert row.seconds == pytest.approx(train + validate, rel=0.01)
    assert row.work == "200,000 images in all epochs"


def test_synthesis_runs_38_calls_with_guidance() -> None:
    recipe = paper(methods=("uvlp",), seeds=(0,))
    row = rows(of(recipe))["synthesise"]
    share = 1.51 * 38 * 1_606_546_882_560 / 312e12
    flops = 100 * (38 * 1_606_546_882_560 + 2_514_518_933_504)
    assert row.seconds == pytest.approx(flops / (989e12 * share), rel=1e-6)


@pytest.mark.parametrize("ipc", [10, 20])
def test_more_images_per_class_take_longer_to_make(ipc: int) -> None:
    less, more = rows(of(paper(ipc=ipc))), rows(of(paper(ipc=50)))
    for stage in ("synthesise", "prototype"):
        assert (less[stage].seconds or 0) < (more[stage].seconds or 0), stage
        assert less[stage].disk_bytes < more[stage].disk_bytes, stage
    for stage in ("caption", "finetune", "embed"):
        assert less[stage] == more[stage]


def test_more_epochs_take_longer() -> None:
    short, long = (of(paper(finetune=FinetuneSettings(epochs=epochs))) for epochs in (2, 8))
    assert (rows(short)["finetune"].seconds or 0) * 3 < (rows(long)["finetune"].seconds or 0)
    short, long = (of(paper(evaluate=EvaluateSettings(epochs=epochs))) for epochs in (500, 2000))
    assert (rows(short)["evaluate"].seconds or 0) < (rows(long)["evaluate"].seconds or 0)
    assert (short.seconds or 0) < (long.seconds or 0)


def test_without_checkpointing_memory_is_time() -> None:
    with_it, without = (
        rows(of(paper(finetune=FinetuneSettings(gradient_checkpointing=value))))["finetune"]
        for value in (True, False)
    )
    assert with_it.gpu_bytes < without.gpu_bytes
    assert (with_it.seconds or 0) > (without.seconds or 0)


def test_what_is_made_costs_nothing_more() -> None:
    estimate = report.estimate(planned(PAPER), H200, made=lambda task: task.stage == "finetune", workers=2)
    row = rows(estimate)["finetune"]
    assert (row.done, row.artifacts, row.seconds, row.disk_bytes) == (3, 3, 0, 0)
    assert (estimate.seconds or 0) < (of(PAPER).seconds or 0)
    assert any("3 of 3 done" in line for line in estimate.lines())


def test_what_is_fetched_is_said_with_its_size() -> None:
    everything = of(PAPER)
    assert [item.what for item in everything.fetched][0] == "imagenette"
    assert len(everything.fetched) == 4
    one = (Download(what="LLaVA-1.5-7B", urls=(), bytes=14_130_000_000, disk_bytes=14_130_000_000, note="x"),)
    some, none = (report.estimate(planned(PAPER), H200, fetched=fetched, workers=2) for fetched in (one, ()))
    assert "fetched first: LLaVA-1.5-7B, 14.1 GB (x)" in some.lines()
    assert some.disk_bytes - none.disk_bytes == 14_130_000_000


def test_assumptions_and_projection_are_said() -> None:
    lines = of(PAPER).lines()
    assert lines[0].endswith("projected, not measured")
    for rest in (assumptions.FINETUNE_SHARE, assumptions.CAPTION_TOKENS, assumptions.NETWORK_SHARE):
        assert f"assumed: {rest.because}" in lines
    assert 0.25 < assumptions.FINETUNE_SHARE.value < assumptions.SYNTHESIS_SHARE.value < 0.35


def test_a_small_card_is_said_to_be_small() -> None:
    lines = report.estimate(planned(PAPER), cards.named("rtx-4090"), workers=2).lines()
    said = "note: finetune asks for more memory than this card has (24.0 GB): "
    assert said + "its batch will be computed in parts" in lines


def test_unknown_card_is_refused_with_the_nearest() -> None:
    with pytest.raises(UvlpError, match="unknown card: got 'h20'; allowed: .*did you mean"):
        cards.named("h20")


def test_a_card_without_a_data_sheet_has_no_time() -> None:
    found = replace(H200, known=False, name="NVIDIA X1", source="no data sheet for this card here")
    estimate = report.estimate(planned(PAPER), found, workers=2)
    assert estimate.seconds is None
    assert "not known" in estimate.lines()[-len(estimate.rests_on) - len(estimate.fetched) - 1]


def test_a_network_that_was_not_counted_has_no_time() -> None:
    estimate = of(paper(evaluate=EvaluateSettings(size_px=100)))
    assert rows(estimate)["evaluate"].seconds is None and estimate.seconds is None
    assert any("were not counted" in line for line in estimate.lines())


def test_a_folder_is_unknown_before_it_is_opened() -> None:
    with pytest.raises(UvlpError, match="nothing is known of folder:/x before it is opened"):
        of(paper(dataset="folder:/x"))


def test_about_so_many_images_are_said_to_be_so() -> None:
    assert any(
        "about 1,300 ILSVRC images per class" in line for line in of(paper(dataset="imageidc")).lines()
    )


def test_json_holds_every_row_and_the_total() -> None:
    estimate = of(PAPER)
    found = json.loads(json.dumps(estimate.json()))
    assert [row["stage"] for row in found["rows"]] == [row.stage for row in estimate.rows]
    assert found["total"]["seconds"] == estimate.seconds
    assert found["machine"]["name"] == "NVIDIA H200" and found["rests_on"]


def test_a_measured_rate_takes_the_place_of_the_projection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"hardware": "NVIDIA H200", "rates": {"finetune": 100.0}}
    (tmp_path / "finetune_speed_h200.json").write_text(json.dumps(record))
    (tmp_path / "flops.json").write_text("{}")
    monkeypatch.setattr(cost, "FOLDER", tmp_path)
    estimate = of(PAPER)
    row = rows(estimate)["finetune"]
    assert row.basis == "measured" and row.seconds == pytest.approx(3 * 75_752 / 100)
    assert estimate.basis == "measured: finetune; the rest projected"
    assert (
        rows(report.estimate(planned(PAPER), cards.named("h100"), workers=2))["finetune"].basis == "projected"
    )


def test_the_digits_take_about_what_they_were_measured_to_take() -> None:
    # README: 2 min 20 s on two cores of a processor whose one thread reaches 55 GFLOP/s.
    processor = cards.Machine(
        name="",
        half=55e9,
        tf32=55e9,
        single=55e9,
        bandwidth=0,
        memory_bytes=0,
        cores=2,
        source="",
    )
    seconds = report.estimate(planned(digits.recipe(10)), processor, workers=2).seconds
    assert seconds is not None and 100 < seconds < 200


def test_two_processes_do_not_halve_what_waits_for_one_another() -> None:
    processor = replace(H200, half=55e9, tf32=55e9, single=55e9, bandwidth=0, memory_bytes=0, cores=2)
    estimate = report.estimate(planned(paper(seeds=(0,))), processor, workers=2)
    found = {stage: row.seconds or 0.0 for stage, row in rows(estimate).items()}
    # Nothing is fine-tuned before all captions are there; six evaluations can share two processes.
    assert (estimate.seconds or 0) > found["caption"] + found["finetune"]
    assert (estimate.seconds or 0) < sum(found.values())


def test_a_dry_run_imports_no_model_library() -> None:
    code = (
        "import sys\nfrom uvlp.pipeline.estimates import cards, report\n"
        "from tests.pipeline.estimates.recipes import PAPER, planned\n"
        "report.estimate(planned(PAPER), cards.this_machine()).lines()\n"
        "print(sorted(set(sys.modules) & {'torch', 'numpy', 'sklearn', 'PIL', 'diffusers'}))"
    )
    root = Path(__file__).resolve().parents[3]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "not known"),
        (0.2, "1 s"),
        (119, "119 s"),
        (120, "2.0 min"),
        (7200, "2.0 h"),
        (40 * 86400, "40 days"),
    ],
)
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert report.duration(seconds) == text
