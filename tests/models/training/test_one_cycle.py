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
from uvlp.models.training import loss_check, one_cycle
from uvlp.models.training.training_state import Average
from uvlp.recipes.schema import DiffuserSettings

STEPS = 8


class Killed(Exception):
    """Interrupts a run."""


def network() -> torch.nn.Module:
    """Return convolutions with a batch norm, whose buffers are part of the state, and a scalar parameter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 1, 3)
        )
        network.register_parameter("scale", torch.nn.Parameter(torch.tensor(2.0)))
        return network


def train(
    partial: Path | None = None,
    *,
    killed_at: int = 0,
    precision: str = "float32",
    events: list[Event] | None = None,
) -> dict[str, torch.Tensor]:
    """Return the weights, buffers and averages after eight steps."""
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
    averages = {f"average.{index}": tensor for index, tensor in enumerate(average.weights)}
    return {name: tensor.clone() for name, tensor in model.state_dict().items()} | averages


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def minimise(
    loss: Callable[[torch.Tensor], torch.Tensor], steps: int, lr: float, events: list[Event]
) -> float:
    """Return the final value of the only weight, which starts at 3."""
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


def test_the_loss_is_minimised_and_progress_reported() -> None:
    events: list[Event] = []
    assert abs(minimise(lambda value: (value**2).sum(), 200, 0.1, events)) < 0.1
    assert events[-1] == Event("finetune, steps", 200, 200)


def test_a_loss_that_is_not_finite_names_the_step() -> None:
    losses = iter([1.0, float("nan")])
    with pytest.raises(UvlpError) as caught:
        minimise(lambda value: (value * next(losses)).sum(), 5, 0.2, [])
    assert "embedder" in caught.value.what and caught.value.what.endswith("step 2 of 5")
    assert "embedder.lr=0.05" in str(caught.value.fix)


def test_with_rare_checks_of_the_loss_the_error_names_all_steps_since_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(loss_check.CHECK_EVERY, "cpu", 3)
    losses = iter([1.0, 1.0, 1.0, 1.0, float("inf"), 1.0])
    with pytest.raises(UvlpError) as caught:
        minimise(lambda value: (value * next(losses)).sum(), 8, 0.2, [])
    assert caught.value.what.endswith("one of the steps 4 to 6 of 8")


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 400])
def test_the_cycle_rises_then_decays_to_zero(steps: int) -> None:
    shares = [one_cycle.one_cycle_share(step, steps) for step in range(1, steps + 1)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert shares[:peak] == sorted(shares[:peak]) and shares[peak:] == sorted(shares[peak:], reverse=True)
    if steps == 400:
        assert max(shares) > 0.99 and shares[-1] < 0.001 and shares[0] < 0.05


def test_on_a_cpu_the_result_equals_a_plain_loop() -> None:
    """Without scaler, mixed precision and checkpoints."""
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
def test_a_resumed_training_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    uninterrupted = train(precision=precision)
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(tmp_path, killed_at=6, precision=precision)
    assert [path.name for path in tmp_path.iterdir()] == ["diffuser.safetensors"]
    events: list[Event] = []
    assert same(train(tmp_path, precision=precision, events=events), uninterrupted)
    assert events[0].message == "resuming after step 5 of 8"
    assert events[-1] == Event("finetune, steps", 3, 3)


def test_a_resumed_training_with_channels_last_weights_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the optimiser's moments need the memory format of their weights."""
    plain = network
    monkeypatch.setitem(globals(), "network", lambda: plain().to(memory_format=torch.channels_last))
    uninterrupted = train()
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(tmp_path, killed_at=4)
    assert same(train(tmp_path), uninterrupted)


def test_with_a_damaged_checkpoint_the_training_restarts(tmp_path: Path) -> None:
    (tmp_path / "diffuser.safetensors").write_bytes(b"\x10" + b"\0" * 40)
    events: list[Event] = []
    assert same(train(tmp_path, events=events), train())
    assert events[0].message == "diffuser.safetensors is damaged: the training of the diffuser restarts"


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 0.5, 0.8, 1])
def test_a_checkpoint_with_a_flipped_bit_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
        train(tmp_path, killed_at=6)
    flip(tmp_path / "diffuser.safetensors", share)
    events: list[Event] = []
    assert same(train(tmp_path, events=events), train())
    assert "restarts" in events[0].message


@pytest.mark.parametrize("change", ["other", "old"])
def test_a_checkpoint_of_another_training_or_without_a_hash_is_not_loaded(
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
    assert "restarts" in events[0].message


def test_mixed_precision_changes_values_but_not_the_dtype_of_weights() -> None:
    exact, mixed = train(), train(precision="bfloat16")
    assert not same(exact, mixed)
    assert {tensor.dtype for name, tensor in mixed.items() if "tracked" not in name} == {torch.float32}
    # A step changes a weight by at most the learning rate, 0.05, times the rounding of bfloat16 gradients.
    bound = STEPS * 0.05 * rounding(depth(network()), torch.bfloat16)
    torch.testing.assert_close(mixed["0.weight"], exact["0.weight"], atol=bound, rtol=0)


def test_a_resumed_training_in_float16_keeps_the_scale_of_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """float16 is for GPUs without bfloat16; a CPU emulates it."""
    monkeypatch.setattr("uvlp.models.training.one_cycle.torch_dtype", lambda *_, training: torch.float16)
    uninterrupted = train()
    assert all(tensor.isfinite().all() for tensor in uninterrupted.values())
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(tmp_path, killed_at=4)
    assert same(train(tmp_path), uninterrupted)


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


def test_a_long_training_reports_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_cycle, "REPORT_FROM_S", 0.0)
    events: list[Event] = []
    train(events=events)
    assert "images/s" in events[-1].message and events[-1].message.endswith("s/step in float32 on cpu")


def test_settings_for_a_gpu_are_reported_on_a_cpu() -> None:
    events: list[Event] = []
    same_bits = same(train(precision="auto", events=events), train())
    assert same_bits and events[0].message.startswith("no GPU: its 8 steps of 4 images are meant for a GPU")


def test_too_little_memory_suggests_a_smaller_batch() -> None:
    def loss(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(UvlpError) as caught:
        minimise(loss, 5, 0.1, [])
    assert "embedder on batches of 32" in caught.value.what
    assert "--set embedder.batch=16" in str(caught.value.fix)
