"""Estimates agree with calculations by hand, and need neither dataset nor torch."""

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
from uvlp.core.wording import duration
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


def test_finetuning_agrees_with_a_calculation_by_hand() -> None:
    row, encoded = (rows(of(PAPER))[stage] for stage in ("finetune", "encode"))
    # 9,469 images in 8 epochs, three seeds; forward, backward and recomputation, and the text encoder.
    flops = 9469 * 8 * (3_001_812_910_080 + 13_298_503_680)
    share = 36 * 2_406_773_063_680 / 312e12
    # Two encodings of every image once for all seeds, at the share of the synthesis.
    encode = 2 * 9469 * 1_116_658_466_816 / (989e12 * (1.51 * 38 * 1_606_546_882_560 / 312e12))
    assert row.artifacts == 3 and row.work == "3 x 75,752 images in all epochs"
    assert row.seconds == pytest.approx(3 * flops / (989e12 * share), rel=1e-6)
    assert encoded.seconds == pytest.approx(encode, rel=1e-6)
    # Mean and deviation of 4 x 64 x 64 numbers of two bytes, of every image and its mirror image.
    assert encoded.disk_bytes == 9469 * 2 * 2 * 4 * 64 * 64 * 2 and encoded.artifacts == 1


def test_one_score_agrees_with_a_calculation_by_hand() -> None:
    recipe = paper(methods=("random",), seeds=(0,), repeats=1)
    row = rows(of(recipe))["evaluate"]
    # 2,000 epochs of two steps of 15 ms; 100 passes over 3,925 images at a tenth of the TF32 peak.
    train, validate = 4000 * 0.015, 100 * 3925 * 3_641_868_288 / (495e12 * 0.1)
    assert row.seconds == pytest.approx(train + validate, rel=0.01)
    assert row.work == "200,000 images in all epochs"


def test_dm_passes_real_images_forward_and_synthetic_ones_both_ways() -> None:
    row = rows(of(paper(methods=("dm",), seeds=(0,))))["optimise"]
    # A backward pass counts as two; ConvNet-6 at 224 px, at a tenth of the TF32 peak.
    images = 20_001 * 10 * (256 + 3 * 10)
    flops = assumptions.network("convnet-6", 224)
    assert flops is not None
    assert row.seconds == pytest.approx(images * flops["flops"] / (495e12 * 0.1), rel=1e-6)


def test_glad_decodes_every_image_once_without_and_once_with_a_backward_pass() -> None:
    chosen = {"glad": {"prior": "stylegan-xl"}}
    vae, generator = (
        rows(of(paper(methods=("glad",), seeds=(0,), method=method)))["optimise"] for method in ({}, chosen)
    )
    network = assumptions.network("convnet-6", 224)
    assert network is not None
    matched = 1000 * 10 * (256 + 3 * 10) * network["flops"]
    decoded = 1000 * 10 * 10 * 4 * 1_973_523_777_878  # from the map after layer 20, [1024, 148, 148]
    assert generator.seconds == pytest.approx((matched + decoded) / (495e12 * 0.1), rel=1e-6)
    # Of 100 images this map and its momentum, in float32.
    assert generator.gpu_bytes - vae.gpu_bytes == 100 * 2 * 4 * 1024 * 148**2


def test_synthesis_runs_38_calls_with_guidance() -> None:
    recipe = paper(methods=("uvlp",), seeds=(0,))
    row = rows(of(recipe))["synthesise"]
    share = 1.51 * 38 * 1_606_546_882_560 / 312e12
    flops = 100 * (38 * 1_606_546_882_560 + 2_514_518_933_504)
    assert row.seconds == pytest.approx(flops / (989e12 * share), rel=1e-6)


@pytest.mark.parametrize("ipc", [10, 20])
def test_more_images_per_class_take_longer(ipc: int) -> None:
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


def test_checkpointing_trades_time_for_memory() -> None:
    with_it, without = (
        rows(of(paper(finetune=FinetuneSettings(gradient_checkpointing=value))))["finetune"]
        for value in (True, False)
    )
    assert with_it.gpu_bytes < without.gpu_bytes
    assert (with_it.seconds or 0) > (without.seconds or 0)


def test_finished_artifacts_cost_nothing() -> None:
    estimate = report.estimate(planned(PAPER), H200, made=lambda task: task.stage == "finetune", workers=2)
    row = rows(estimate)["finetune"]
    assert (row.done, row.artifacts, row.seconds, row.disk_bytes) == (3, 3, 0, 0)
    assert (estimate.seconds or 0) < (of(PAPER).seconds or 0)
    assert any("3 of 3 done" in line for line in estimate.lines())


def test_downloads_are_listed_with_their_sizes() -> None:
    everything = of(PAPER)
    assert [item.what for item in everything.fetched][0] == "imagenette"
    assert len(everything.fetched) == 4
    one = (Download(what="LLaVA-1.5-7B", urls=(), bytes=14_130_000_000, disk_bytes=14_130_000_000, note="x"),)
    some, none = (report.estimate(planned(PAPER), H200, fetched=fetched, workers=2) for fetched in (one, ()))
    assert "download first: LLaVA-1.5-7B, 14.1 GB (x)" in some.lines()
    assert some.disk_bytes - none.disk_bytes == 14_130_000_000


def test_assumptions_and_projection_are_listed() -> None:
    lines = of(PAPER).lines()
    assert lines[0].endswith("projected, not measured")
    for rest in (assumptions.FINETUNE_SHARE, assumptions.CAPTION_TOKENS, assumptions.NETWORK_SHARE):
        assert f"assumed: {rest.because}" in lines
    assert 0.25 < assumptions.FINETUNE_SHARE.value < assumptions.SYNTHESIS_SHARE.value < 0.35


def test_too_small_card_is_reported() -> None:
    lines = report.estimate(planned(PAPER), cards.named("rtx-4090"), workers=2).lines()
    assert "memory of a card, 24.0 GB: enough for every stage" in lines
    assert any(line.startswith("  finetune: ") and " in parts of 4, fits" in line for line in lines)


def test_unknown_card_suggests_the_nearest() -> None:
    with pytest.raises(UvlpError) as caught:
        cards.named("h20")
    assert (caught.value.what, caught.value.got) == ("unknown card", "h20")
    assert "h200" in str(caught.value.fix)


def test_card_without_a_data_sheet_has_no_time() -> None:
    card = replace(H200, known=False, name="NVIDIA X1", source="no data sheet for this card")
    estimate = report.estimate(planned(PAPER), card, workers=2)
    assert estimate.seconds is None
    (total,) = (line for line in estimate.lines() if line.startswith("total"))
    assert "unknown" in total


def test_uncounted_network_has_no_time() -> None:
    estimate = of(paper(evaluate=EvaluateSettings(size_px=100)))
    assert rows(estimate)["evaluate"].seconds is None and estimate.seconds is None
    assert any("were not counted" in line for line in estimate.lines())


def test_size_of_a_folder_dataset_is_unknown_before_it_is_opened() -> None:
    with pytest.raises(UvlpError) as caught:
        of(paper(dataset="folder:/x"))
    assert "folder:/x" in caught.value.what


def test_approximate_sizes_are_marked() -> None:
    assert any(
        "about 1,300 ILSVRC images per class" in line for line in of(paper(dataset="imageidc")).lines()
    )


def test_json_contains_every_row_and_the_total() -> None:
    estimate = of(PAPER)
    value = json.loads(json.dumps(estimate.json()))
    assert [row["stage"] for row in value["rows"]] == [row.stage for row in estimate.rows]
    assert value["total"]["seconds"] == estimate.seconds
    assert value["machine"]["name"] == "NVIDIA H200" and value["rests_on"]


def test_measured_rate_replaces_the_projection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_estimate_for_digits_agrees_with_the_measurement() -> None:
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


def test_dependent_stages_do_not_run_in_parallel() -> None:
    processor = replace(H200, half=55e9, tf32=55e9, single=55e9, bandwidth=0, memory_bytes=0, cores=2)
    estimate = report.estimate(planned(paper(seeds=(0,))), processor, workers=2)
    seconds = {stage: row.seconds or 0.0 for stage, row in rows(estimate).items()}
    # Fine-tuning waits for all captions; six evaluations can share two processes.
    assert (estimate.seconds or 0) > seconds["caption"] + seconds["finetune"]
    assert (estimate.seconds or 0) < sum(seconds.values())


def test_estimate_imports_no_model_library() -> None:
    code = (
        "import sys\nfrom uvlp.pipeline.estimates import cards, report\n"
        "from tests.pipeline.estimates.recipes import PAPER, planned\n"
        "report.estimate(planned(PAPER), cards.this_machine()).lines()\n"
        "print(sorted(set(sys.modules) & {'torch', 'numpy', 'sklearn', 'PIL', 'diffusers'}))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0.2, "1 s"),
        (119, "119 s"),
        (120, "2.0 min"),
        (7200, "2.0 h"),
        (40 * 86400, "40 days"),
    ],
)
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
