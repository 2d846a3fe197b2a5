"""Intervals agree with exact values, and have their nominal coverage in simulations with known truth."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.tables import uncertainty


def score(best: np.ndarray, last: np.ndarray, name: str = "digits test") -> Score:
    return Score(
        best_pct=100 * float(best.mean()),
        best_epoch=1,
        last_pct=100 * float(last.mean()),
        top5_best_pct=None,
        top5_last_pct=None,
        curve=((1, 100 * float(best.mean())), (2, 100 * float(last.mean()))),
        correct_best=np.packbits(best).tobytes().hex(),
        correct_last=np.packbits(last).tobytes().hex(),
        validation_set=name,
        validation_images=len(best),
        train_images=1,
        parameters=1,
    )


def test_interval_of_one_seed_is_students_t_over_repeats() -> None:
    values = [90.0, 92.0, 94.5]
    summary = uncertainty.summarise(values, [0, 0, 0], images=490)
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (summary.low_pct, summary.high_pct) == pytest.approx(expected)
    assert (summary.basis, summary.ddof, summary.trainings) == ("repeats", 1, 3)
    assert summary.std_pct == pytest.approx(np.std(values, ddof=1))


def test_interval_of_several_seeds_uses_their_means() -> None:
    values, seeds = [50.0, 52.0, 60.0, 62.0, 55.0, 57.0], [0, 0, 1, 1, 2, 2]
    summary = uncertainty.summarise(values, seeds, images=490)
    expected = stats.t.interval(0.95, 2, loc=56, scale=stats.sem([51, 61, 56]))
    assert (summary.low_pct, summary.high_pct) == pytest.approx(expected)
    assert (summary.basis, summary.mean_pct) == ("seeds", 56)
    assert summary.std_pct == pytest.approx(np.std(values, ddof=1))


def test_single_training_has_no_deviation_and_no_interval() -> None:
    summary = uncertainty.summarise([91.0], [3], images=490)
    assert (summary.std_pct, summary.low_pct, summary.high_pct, summary.basis) == (None, None, None, "")
    assert summary.binomial_error_points > 0


def test_interval_of_a_mean_is_clipped_to_percentages() -> None:
    summary = uncertainty.summarise([99.9, 98.0], [0, 0], images=490)
    assert summary.high_pct == 100 and summary.low_pct is not None and summary.low_pct > 0


@pytest.mark.parametrize(("correct", "images"), [(0, 20), (7, 20), (460, 490), (490, 490)])
def test_binomial_error_and_wilson_interval(correct: int, images: int) -> None:
    share = correct / images
    expected = stats.binomtest(correct, images).proportion_ci(0.95, method="wilson")
    assert uncertainty.wilson_interval_pct(100 * share, images) == pytest.approx(
        (100 * expected.low, 100 * expected.high)
    )
    error = uncertainty.binomial_error_points(100 * share, images)
    assert error == pytest.approx(100 * stats.binom(images, share).std() / images)


def test_differences_are_computed_image_by_image() -> None:
    first, second = np.array([1, 1, 0, 0, 1, 0, 1, 1, 1], bool), np.array([1, 0, 1, 0, 1, 0, 0, 0, 1], bool)
    pairs = [(score(first, second), score(second, second)), (score(second, first), score(first, first))]
    assert uncertainty.differences(pairs, "best").tolist() == [
        [0, 1, -1, 0, 0, 0, 1, 1, 0],
        [0, -1, 1, 0, 0, 0, -1, -1, 0],
    ]
    assert not uncertainty.differences(pairs, "last").any()


@pytest.mark.parametrize("other", [score(np.ones(9, bool), np.ones(9, bool)), None])
def test_different_validation_images_are_refused(other: Score | None) -> None:
    ones = np.ones(8, bool)
    other = other or score(ones, ones, name="digits all")
    with pytest.raises(UvlpError) as caught:
        uncertainty.differences([(score(ones, ones), other)], "best")
    assert f"digits test (8 images) and {other.validation_set}" in str(caught.value.got)


def test_agreement_on_all_images_is_inconclusive() -> None:
    result = uncertainty.compare(np.zeros((3, 490)), [0, 0, 0])
    assert (result.points, result.p_value) == (0, 1)
    assert 0 < result.high_points == -result.low_points < 1.5
    assert uncertainty.verdict(result.points, result.p_value) == "cannot tell"


@pytest.mark.parametrize("pairs", [1, 3])
def test_all_correct_against_all_wrong_is_better(pairs: int) -> None:
    result = uncertainty.compare(np.ones((pairs, 490)), [0] * pairs)
    assert result.points == result.high_points == 100 and result.low_points > 99
    assert uncertainty.verdict(result.points, result.p_value) == "better"


@pytest.mark.parametrize(("only_first", "only_second"), [(5, 5), (4, 0), (9, 1), (15, 5), (30, 10), (12, 40)])
def test_one_pair_of_trainings_agrees_with_mcnemar(only_first: int, only_second: int) -> None:
    d = np.zeros((1, 490))
    d[0, :only_first], d[0, only_first : only_first + only_second] = 1, -1
    result = uncertainty.compare(d, [0])
    exact = stats.binomtest(only_first, only_first + only_second).pvalue
    middle = exact - stats.binom(only_first + only_second, 0.5).pmf(only_first)  # mid-p
    assert result.basis == "images"
    assert (result.p_value < 0.05) == (middle < 0.05)
    assert result.p_value == pytest.approx(min(exact, 1), abs=0.15)


def test_exchanging_the_methods_changes_only_the_sign() -> None:
    d = np.random.default_rng(0).integers(-1, 2, (4, 60)).astype(float)
    one, other = uncertainty.compare(d, [0, 0, 0, 0]), uncertainty.compare(-d, [0, 0, 0, 0])
    assert (one.points, one.low_points, one.high_points) == pytest.approx(
        (-other.points, -other.high_points, -other.low_points)
    )
    assert one.p_value == pytest.approx(other.p_value)


def test_single_image_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        uncertainty.compare(np.ones((3, 1)), [0, 0, 0])
    assert (caught.value.got, caught.value.allowed) == (1, "2 or more")


def test_holm_agrees_with_a_worked_example() -> None:
    assert uncertainty.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert uncertainty.holm([0.5, 0.9]) == [1, 1]
    assert uncertainty.holm([0.02]) == [0.02] and uncertainty.holm([]) == []


def test_verdict_depends_on_sign_and_p_value() -> None:
    assert [uncertainty.verdict(*each) for each in ((2, 0.04), (-2, 0.04), (2, 0.06), (-2, 0.06))] == [
        "better",
        "worse",
        "cannot tell",
        "cannot tell",
    ]


class World:
    """Two methods whose answers follow a probit model with known true accuracies.

    An answer is correct if ability + difficulty of the image + method-image interaction
    + effect of the seed's images + effect of the training + noise of the answer is above zero.
    """

    def __init__(
        self, abilities: tuple[float, float], of_seed: float, of_training: float, noise: int
    ) -> None:
        self.abilities, self.of_seed, self.of_training = abilities, of_seed, of_training
        self.random = np.random.default_rng(noise)
        spread = math.sqrt(2**2 + 1 + of_seed**2 + of_training**2 + 1)
        first, second = (100 * stats.norm.cdf(ability / spread) for ability in abilities)
        self.difference_points = float(first - second)

    def draw(self, seeds: int, repeats: int, images: int) -> np.ndarray:
        """d [seeds × repeats, images]."""
        draw, trainings = self.random.normal, seeds * repeats
        difficulty = draw(0, 2, images)
        right = []
        for ability in self.abilities:
            luck = np.repeat(draw(0, self.of_seed, seeds), repeats) + draw(0, self.of_training, trainings)
            of_image = ability + difficulty + draw(0, 1, images)
            right.append(of_image + luck[:, None] + draw(0, 1, (trainings, images)) > 0)
        return right[0].astype(float) - right[1]


def covered(world: World, seeds: int, repeats: int, images: int, times: int = 700) -> tuple[float, float]:
    """Return the shares of intervals that contain the truth, and of p-values below 0.05."""
    labels = [seed for seed in range(seeds) for _ in range(repeats)]
    held = small = 0
    for _ in range(times):
        result = uncertainty.compare(world.draw(seeds, repeats, images), labels)
        held += result.low_points <= world.difference_points <= result.high_points
        small += result.p_value < 0.05
    return held / times, small / times


# In 700 simulations, a true coverage of 95 % is observed as 92.5 to 97.5 % (3 standard errors). The intervals
# may be conservative, since the variance is never below its parts, which matters with few trainings.
@pytest.mark.parametrize(
    ("seeds", "repeats", "images", "of_seed", "of_training"),
    [
        (1, 3, 490, 0, 0),
        (1, 3, 490, 0, 0.1),
        (1, 9, 200, 0, 0.3),
        (3, 3, 200, 0.15, 0.1),
        (5, 2, 200, 0.2, 0.1),
    ],
)
def test_interval_covers_the_true_difference(
    seeds: int, repeats: int, images: int, of_seed: float, of_training: float
) -> None:
    world = World((2.0, 1.5), of_seed, of_training, noise=1)
    share, _ = covered(world, seeds, repeats, images)
    assert 0.925 <= share <= 0.985


@pytest.mark.parametrize(("seeds", "repeats", "of_seed"), [(1, 3, 0), (1, 9, 0), (3, 2, 0.2)])
def test_equal_methods_rarely_differ_significantly(seeds: int, repeats: int, of_seed: float) -> None:
    _, alarms = covered(World((1.5, 1.5), of_seed, 0.1, noise=2), seeds, repeats, 200)
    assert 0.01 <= alarms <= 0.075


def test_trainings_of_one_seed_are_not_independent() -> None:
    world = World((1.5, 1.5), of_seed=0.3, of_training=0.05, noise=3)
    alarms = 0
    for _ in range(300):
        d = world.draw(4, 4, 200)
        alarms += uncertainty.compare(d, [0] * 16).p_value < 0.05
    assert alarms / 300 > 0.15
    _, right = covered(world, 4, 4, 200, times=300)
    assert right < 0.08


def test_true_difference_is_detected() -> None:
    _, result = covered(World((2.5, 1.5), 0, 0.1, noise=4), 1, 3, 490, times=300)
    assert result > 0.9


def test_more_pairs_and_images_narrow_the_interval() -> None:
    widths = {}
    for repeats, images in itertools.product((3, 9), (100, 800)):
        world = World((2.0, 1.5), 0, 0.1, noise=5)
        result = [uncertainty.compare(world.draw(1, repeats, images), [0] * repeats) for _ in range(100)]
        widths[repeats, images] = np.median([one.high_points - one.low_points for one in result])
    assert widths[3, 100] > widths[3, 800] > widths[9, 800]
    assert widths[3, 100] > widths[9, 100] > widths[9, 800]
