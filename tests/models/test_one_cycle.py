from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.flipping import flip
from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.models import one_cycle
from uvlp.models.training_state import Average
from uvlp.recipes.schema import DiffuserSettings

STEPS = 8


class Killed(Exception):
    """What ends a run in the middle."""


def network() -> torch.nn.Module:
    """Convolution with a batch norm, whose buffers are a part of the state, and a number without a shape."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 1, 3)
        )
        made.register_parameter("scale", torch.nn.Parameter(torch.tensor(2.0)))
        return made


def train(
    partial: Path | None = None,
    *,
    killed_at: int = 0,
    precision: str = "float32",
    events: list[Event] | None = None,
) -> dict[str, torch.Tensor]:
    """The weights, buffers and averages after eight steps."""
    model, generator, done = network(), torch.Generator().manual_seed(1), 0
    average = Average(list(model.parameters()), 0.9)

    def loss_of_step() -> torch.Tensor:
        nonlocal done
        if done == killed_at - 1:
            raise Killed
        done += 1
        return (
            (model(torch.randn(4, 3, 8, 8, generator=generator)) - model.get_parameter("scale")) ** 2
        ).mean()

    settings = DiffuserSettings(steps=STEPS, batch=4, lr=0.05, precision=precision)
    progress = Progress((events if events is not None else []).append, "finetune")
    one_cycle.one_cycle(
        "diffuser",
        model,
        loss_of_step,
        settings,
        generator=generator,
        progress=progress,
        average=average,
        partial=partial,
    )
    averages = {f"average.{index}": held for index, held in enumerate(average.weights)}
    return {name: held.clone() for name, held in model.state_dict().items()} | averages


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def minimise(
    loss: Callable[[torch.Tensor], torch.Tensor], steps: int, lr: float, events: list[Event]
) -> float:
    """Where the only weight, which starts at 3, ends."""
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.tensor([3.0]))
    one_cycle.one_cycle(
        "embedder",
        model,
        lambda: loss(model.get_parameter("weight")),
        DiffuserSettings(steps=steps, lr=lr),
        generator=torch.Generator(),
        progress=Progress(events.append, "finetune"),
    )
    return float(model.get_parameter("weight").detach())


def test_it_minimises_and_reports() -> None:
    events: list[Event] = []
    assert abs(minimise(lambda value: (value**2).sum(), 200, 0.1, events)) < 0.1
    assert events[-1] == Event("finetune embedder steps", 200, 200)


def test_a_loss_that_is_not_a_number_is_named() -> None:
    losses = iter([1.0, float("nan")])
    with pytest.raises(
        UvlpError, match=r"loss of the embedder is not a number: step 2 of 5.*embedder\.lr=0\.05"
    ):
        minimise(lambda value: (value * next(losses)).sum(), 5, 0.2, [])


def test_where_the_loss_is_seldom_looked_at_the_steps_between_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(one_cycle.CHECK_EVERY, "cpu", 3)
    losses = iter([1.0, 1.0, 1.0, 1.0, float("inf"), 1.0])
    with pytest.raises(UvlpError, match=r"is not a number: one of the steps 4 to 6 of 8;"):
        minimise(lambda value: (value * next(losses)).sum(), 8, 0.2, [])


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 400])
def test_the_cycle_rises_then_falls_to_zero(steps: int) -> None:
    shares = [one_cycle.one_cycle_share(step, steps) for step in range(1, steps + 1)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert shares[:peak] == sorted(shares[:peak]) and shares[peak:] == sorted(shares[peak:], reverse=True)
    if steps == 400:
        assert max(shares) > 0.99 and shares[-1] < 0.001 and shares[0] < 0.05


def test_on_a_cpu_it_is_the_plain_loop_to_the_bit() -> None:
    """What profile tiny trained before there were GPUs, scalers and checkpoints."""
    model, generator = network(), torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.05, fused=True)
    for step in range(1, STEPS + 1):
        optimiser.param_groups[0]["lr"] = 0.05 * one_cycle.one_cycle_share(step, STEPS)
        loss = (
            (model(torch.randn(4, 3, 8, 8, generator=generator)) - model.get_parameter("scale")) ** 2
        ).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    trained = train()
    assert same(dict(model.state_dict()), {name: trained[name] for name in model.state_dict()})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    whole = train(precision=precision)
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(tmp_path, killed_at=6, precision=precision)
    assert [path.name for path in tmp_path.iterdir()] == ["diffuser.safetensors"]
    events: list[Event] = []
    assert same(train(tmp_path, precision=precision, events=events), whole)
    assert events[0].message == "going on after step 5 of 8"
    assert events[-1] == Event("finetune diffuser steps", 3, 3)


def test_weights_that_lie_channels_last_are_kept_as_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the moments of the optimiser have to lie in memory as their weights do."""
    plain = network
    monkeypatch.setitem(globals(), "network", lambda: plain().to(memory_format=torch.channels_last))
    whole = train()
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(tmp_path, killed_at=4)
    assert same(train(tmp_path), whole)


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "diffuser.safetensors").write_bytes(b"\x10" + b"\0" * 40)
    events: list[Event] = []
    assert same(train(tmp_path, events=events), train())
    assert events[0].message == (
        "diffuser.safetensors is not as it was written: the training of the diffuser begins anew"
    )


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 0.5, 0.8, 1])
def test_a_flipped_bit_is_never_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
        train(tmp_path, killed_at=6)
    flip(tmp_path / "diffuser.safetensors", share)
    events: list[Event] = []
    assert same(train(tmp_path, events=events), train())
    assert "begins anew" in events[0].message


@pytest.mark.parametrize("change", ["other", "old"])
def test_a_checkpoint_of_another_training_or_without_a_hash_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    (tmp_path / "one").mkdir()
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
        train(tmp_path / "one", killed_at=6)
    (tmp_path / "one").rename(tmp_path / change)
    if change == "old":
        file = tmp_path / change / "diffuser.safetensors"
        save_file(load_file(file), file, {"step": "5", "scaler": "{}"})
    events: list[Event] = []
    assert same(train(tmp_path / change, events=events), train())
    assert "begins anew" in events[0].message


def test_mixed_precision_changes_the_numbers_and_not_the_weights_type() -> None:
    exact, mixed = train(), train(precision="bfloat16")
    assert not same(exact, mixed)
    assert {held.dtype for name, held in mixed.items() if "tracked" not in name} == {torch.float32}
    # A step moves a weight by the rate, 0.05 at most, as far off as bfloat16 rounds the gradient.
    bound = STEPS * 0.05 * rounding(depth(network()), torch.bfloat16)
    torch.testing.assert_close(mixed["0.weight"], exact["0.weight"], atol=bound, rtol=0)


def test_float16_scales_the_loss_and_keeps_the_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CPU is asked for float16, but its arithmetic shows what happens on a GPU without bfloat16."""
    monkeypatch.setattr("uvlp.models.one_cycle.torch_dtype", lambda *_, training: torch.float16)
    whole = train()
    assert all(held.isfinite().all() for held in whole.values())
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(tmp_path, killed_at=4)
    assert same(train(tmp_path), whole)


def test_the_average_warms_up_to_its_decay() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    average = Average([weight], 0.5)
    with torch.no_grad():
        weight.fill_(1.0)
    average.update(1)
    assert average.weights[0].item() == pytest.approx(1 - 2 / 11)
    average.update(1000)
    assert average.weights[0].item() == pytest.approx(1 - 1 / 11)
    average.use()
    assert weight.item() == pytest.approx(1 - 1 / 11)


def test_a_long_training_says_how_fast_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_cycle, "TELL_FROM_S", 0.0)
    events: list[Event] = []
    train(events=events)
    assert "images/s" in events[-1].message and events[-1].message.endswith("s/step in float32 on cpu")


def test_a_training_that_was_sized_for_a_gpu_says_so_on_a_cpu() -> None:
    events: list[Event] = []
    same_bits = same(train(precision="auto", events=events), train())
    assert same_bits and events[0].message == (
        "no GPU, for which its 8 steps of 4 images were chosen; a CPU takes hours or days"
    )


def test_too_little_memory_names_the_batch() -> None:
    def loss(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(UvlpError, match=r"train the embedder on batches of 32: .*--set embedder\.batch=16"):
        minimise(loss, 5, 0.1, [])
