"""What fits into a card's memory, for a named card or a memory size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.estimates.recipes import PAPER, paper, planned
from uvlp.core.errors import UvlpError
from uvlp.core.scheduling.cards import Asked
from uvlp.core.wording import duration
from uvlp.pipeline.estimates import cards, fitting, report, together
from uvlp.pipeline.estimates.assumptions import PUBLISHED, RECOMPUTED
from uvlp.pipeline.estimates.cost import Cost
from uvlp.pipeline.estimates.fitting import Fit
from uvlp.pipeline.estimates.report import Estimate


def fits(text: str, **changes: object) -> dict[str, Fit]:
    estimate = report.estimate(planned(paper(**changes)), cards.described(text), workers=1)
    return {fit.stage: fit for fit in estimate.fits}


def test_parts_of_finetuning_agree_with_a_calculation_by_hand() -> None:
    weights, kept = PUBLISHED["parameters"], PUBLISHED["kept_bytes"]
    # Weights, gradients, two moments and the average in float32, weights in half precision; VAE and text.
    fixed = (4 * 5 + 2) * weights["unet"] + 2 * (weights["vae"] + weights["text"]) + 1e9
    each = kept["finetune_checkpointed"] + RECOMPUTED * kept["finetune"]
    fit = fits("24GB")["finetune"]
    assert fit.needed_bytes == pytest.approx(fixed + 32 * each)
    assert fit.largest == int((24e9 - fixed) // each)
    assert fit.used_batch == 4 and fit.fits  # 32 halved until at most 6
    assert fit.used_bytes == pytest.approx(fixed + 4 * each) and fit.used_bytes < 24e9


def test_what_does_not_fit_with_one_item_is_said() -> None:
    found = fits("12GB")
    assert not found["finetune"].fits and not found["caption"].fits
    assert found["synthesise"].fits and found["evaluate"].fits
    lines = fitting.lines(list(found.values()), 12e9)
    assert lines[0] == "memory of a card, 12.0 GB: not enough"
    assert any(line.endswith("with a batch of one, does not fit") for line in lines)


def test_a_stage_whose_batch_is_not_divided_fits_or_not() -> None:
    whole = Cost(items=1, unit="images", seconds=1.0, gpu_bytes=10e9)
    for memory, fits_in in ((11e9, True), (9e9, False)):
        fit = fitting.of_stage("sample", [whole], memory)
        assert fit is not None and fit.fits is fits_in
    assert fitting.of_stage("pixels", [replace(whole, gpu_bytes=0.0)], 9e9) is None


def test_the_published_memory_is_compared_at_its_batch() -> None:
    fit = fits("24GB")["finetune"]
    lines = fitting.lines([fit], 24e9)
    below = 1 - fit.single_bytes / 24e9
    assert 0.1 < below < 0.2 and f"{below:.0%} below it" in lines[-1]
    evaluate = fits("24GB")["evaluate"]
    assert "no GPU memory" in fitting.lines([evaluate], 24e9)[-1]


def test_several_cards_take_as_long_as_the_scheduler_needs_on_paper() -> None:
    one, eight = (
        report.estimate(planned(PAPER), cards.described(text), workers=1) for text in ("h100", "h100:8")
    )
    assert one.seconds is not None and eight.seconds is not None
    total = sum(row.seconds for row in one.rows if row.seconds is not None)
    assert one.seconds == pytest.approx(total + 10)
    machine = cards.described("h100:8")
    plan, on = planned(PAPER), together.cards_of(machine, Asked())
    ran = together.on_paper(plan, plan.tasks, on, machine)
    assert eight.seconds == pytest.approx(60 * max(each.ended for each in ran) + 10)
    assert one.seconds > eight.seconds > total / 8, "cards wait for each other"
    total_line = next(line for line in eight.lines() if line.startswith("total"))
    assert total_line.split()[1:3] == ["24", "processes"] and duration(eight.seconds) in total_line
    assert eight.lines()[0].count("8 x NVIDIA H100") == 1


def test_options_of_a_run_count_for_cards_that_are_not_here() -> None:
    def on(**changes: int) -> Estimate:
        return report.estimate(planned(PAPER), cards.described("h100:8"), asked=Asked(**changes))

    usual, two, alone = on(), on(gpus_per_finetune=2), on(per_gpu=1)
    assert None is not usual.seconds != two.seconds and alone.workers == 8
    with pytest.raises(UvlpError) as refused:
        on(gpus_per_finetune=9)
    assert (refused.value.got, refused.value.allowed) == (9, "1 to 8")


def test_of_a_memory_size_no_time_is_known() -> None:
    for text, size in (("24GB", 24e9), ("40 GiB", 40 * 2**30), ("11.5gb", 11.5e9)):
        machine = cards.described(text)
        assert machine.memory_bytes == size and machine.gpu and not machine.known
        estimate = report.estimate(planned(paper(methods=("dm", "uvlp"))), machine, workers=1)
        assert estimate.seconds is None
        assert {row.seconds for row in estimate.rows} == {None}
        assert not estimate.shares and not any("were not counted" in note for note in estimate.notes)


def test_a_card_is_described_by_name_and_number() -> None:
    assert cards.described("rtx3090") == cards.CARDS["rtx-3090"]
    assert cards.described("a100").name == cards.CARDS["a100-40gb"].name  # the smaller of two
    assert (cards.described("h200:8").count, cards.described("24GB:2").count) == (8, 2)


@pytest.mark.parametrize(
    ("text", "what", "allowed"),
    [
        ("h200:0", "the number of cards in --gpu", "1 to 1024"),
        ("h200:many", "the number of cards in --gpu", "1 to 1024"),
        ("h200:", "the number of cards in --gpu", "1 to 1024"),
        ("h200:99999999999", "the number of cards in --gpu", "1 to 1024"),
        ("0GB", "the memory of a card in --gpu", "more than 0"),
        ("24", "unknown card", "a memory size such as 24GB"),
        ("rtx-4091", "unknown card", "rtx-4090"),
        ("", "unknown card", "h200"),
    ],
)
def test_other_descriptions_are_refused(text: str, what: str, allowed: str) -> None:
    with pytest.raises(UvlpError) as refused:
        cards.described(text)
    assert refused.value.what == what and allowed in str(refused.value.allowed)


def test_the_nearest_card_is_suggested() -> None:
    with pytest.raises(UvlpError) as refused:
        cards.described("rtx-4091:2")
    assert (refused.value.got, refused.value.fix) == ("rtx-4091", "did you mean 'rtx-4090'?")
