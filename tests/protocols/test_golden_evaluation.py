"""Golden schedules, metrics and training steps; and a list of the golden families that tests read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.protocols.golden_data import (
    GOLDEN,
    arrays,
    hashed,
    network_input,
    over_rows,
    read,
    weight,
)
from tests.tolerances import EXPONENTIAL, depth, rounding
from uvlp.core.plugins import load
from uvlp.protocols.training import minimax_rules
from uvlp.protocols.training.loop import correct_in_top, percent, train_step
from uvlp.protocols.training.mixing import Mix, kept_share
from uvlp.protocols.training.optimisers import Sgd
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.tables.uncertainty import summarise

FAMILIES: dict[str, set[str] | None] = {
    "augment.json": {
        "jitter",
        "lighting",
        "pipeline",
        "rrc_resize",
        "rrc_sampler",
        "pil",
        "bbox",
        "cutmix",
        "rrc_distribution_monte_carlo",
        "cutmix_ratio_distribution_224",
    },
    "baselines.json": {
        "coresets",  # tests/methods/algorithms/test_coresets.py; all others: test_golden_baselines.py
        "minimax_criteria",
        "dit_diffusion_tables",
        "dit_training_losses",
        "dit_p_sample_50",
        "dit_xl2",
        "fkd_schedule",
        "fkd_sampler_seed42_n100",
        "dm_loss",
    },
    "metrics.json": None,
    "minimax_schedule.json": None,
    "networks.json": None,
    "selection.json": None,  # tests/datasets/files/test_class_folders.py
    "train_steps.json": None,
    "rded_functions.json": {"kl", "shuffle_patches", "param_groups", "train_steps", "synthesis"},
    "rded_schedule.json": None,
    "rded_settings.json": None,
    "augment.npz": None,
    "networks.npz": None,
    "train_steps.npz": None,
    "rded.npz": None,
}
"""Files that tests read, and the families of cases in a file with several."""


def test_every_golden_family_is_read() -> None:
    names = sorted(path.name for path in GOLDEN.iterdir() if path.suffix in (".json", ".npz"))
    assert names, f"no golden data in {GOLDEN}"
    for name in names:
        assert name in FAMILIES, f"{name}: no test reads this file"
        content, families = arrays(name) if name.endswith(".npz") else read(name), FAMILIES[name]
        if families is not None:
            assert set(content) <= families, f"{name}: no test reads {set(content) - families}"
            assert all(content.values()), f"{name}: a family is empty"


def records(kind: str | None) -> list[Any]:
    return [record for record in read("minimax_schedule.json") if record.get("kind") == kind]


def test_every_kind_of_schedule_is_known() -> None:
    kinds = {record.get("kind") for record in read("minimax_schedule.json")}
    # save_dir: names of the reference's result folders; here results are stored by key.
    assert kinds <= {None, "cifar", "save_dir"}


@over_rows(records(None))
def test_schedule(record: dict[str, Any]) -> None:
    settings, ipc, classes = EvaluateSettings(), record["ipc"], record["nclass"]
    full = ipc <= 0
    epochs = settings.epochs_full if full else minimax_rules.epochs_by_ipc(ipc, classes)
    assert epochs == record["epochs"]
    assert list(minimax_rules.milestones(epochs)) == record["milestones"]
    runs = [lr for length, lr in record["lr_runs_epochs_value"] for _ in range(length)]
    found = [minimax_rules.learning_rate(epoch, epochs, record["lr"]) for epoch in range(1, epochs + 1)]
    assert found == pytest.approx(runs, rel=rounding(5, torch.float64))
    validated = minimax_rules.validated_epochs(epochs, epochs if full else settings.validations)
    assert validated == tuple(range(record["val_every"], epochs + 1, record["val_every"]))
    check_rules(record)
    assert (settings.mix_probability, settings.size_px) == (record["mix_p"], record["size"])
    assert settings.momentum == record["momentum"]
    if not full:
        check_counts(record, epochs, validated)


def check_rules(record: dict[str, Any]) -> None:
    settings = EvaluateSettings()
    rules = minimax_rules.optimisation(record["nclass"], settings.lr, settings.weight_decay, settings.batch)
    assert (rules.lr, rules.weight_decay, rules.batch) == (
        record["lr"],
        record["weight_decay"],
        record["batch_size"],
    )


def check_counts(record: dict[str, Any], epochs: int, validated: tuple[int, ...]) -> None:
    images = record["nclass"] * record["ipc"]
    sizes = [len(part) for part in torch.empty(images).split(record["batch_size"])]
    assert images == record["n_train"] and len(sizes) == record["steps_per_epoch"]
    assert sizes[-1] == record["last_batch"] and epochs * len(sizes) == record["total_steps"]
    assert images * epochs == record["images_augmented"]
    assert (len(validated), validated[-1]) == (record["n_validations"], record["last_validated_epoch"])


@over_rows(records("cifar"))
def test_schedule_of_the_cifar_branch(record: dict[str, Any]) -> None:
    """The table's values; the branch's epochs and share of mixed steps are settings here."""
    check_rules(record)
    assert minimax_rules.validated_epochs(record["epochs"], 1) == (record["val_every"],)


def metrics(key: str) -> list[Any]:
    return [record for record in read("metrics.json") if key in record]


def test_every_kind_of_metric_is_known() -> None:
    assert all("batch_sizes" in record or set(record) == {"aggregation"} for record in read("metrics.json"))


@over_rows(metrics("batch_sizes"))
def test_accuracy_over_partial_batches(record: dict[str, Any]) -> None:
    classes, logits, labels = record["nclass"], [], []
    for batch, count in enumerate(record["batch_sizes"]):
        values = torch.from_numpy(3 * hashed((count, classes), 600 + 10 * record["case"] + batch)).float()
        labels.append((7 * torch.arange(count) + batch) % classes)
        values[torch.arange(0, count, 3), labels[-1][::3]] += 2
        logits.append(values)
    check_metrics(torch.cat(logits), torch.cat(labels), record)


PERCENT = rounding(100, largest=100.0)
"""The reference adds float32 percentages of up to 100 batches."""


def check_metrics(logits: torch.Tensor, labels: torch.Tensor, expected: dict[str, Any]) -> None:
    for k in (1, 5):
        assert percent(correct_in_top(logits, labels, k)) == pytest.approx(expected[f"top{k}"], abs=PERCENT)
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    assert loss == pytest.approx(
        expected["loss"], rel=rounding(logits.numel() + 2 * EXPONENTIAL, logits.dtype)
    )


@over_rows(case for record in metrics("aggregation") for case in record["aggregation"])
def test_mean_and_standard_deviation(case: dict[str, Any]) -> None:
    count = len(case["best"])
    found = summarise(case["best"], range(count), 100)
    mean, deviation = found.mean_pct, (found.std_pct or 0.0) * math.sqrt((count - 1) / count)
    assert mean == pytest.approx(case["mean"], rel=rounding(count + 1, torch.float64))
    assert deviation == pytest.approx(
        case["std_ddof0"], rel=0, abs=rounding(2 * count + 6, torch.float64, 100.0)
    )
    assert f"{mean:.1f} {deviation:.1f}" == case["printed"]


def training_cases() -> list[Any]:
    """Return all cases; those beyond the smallest network take seconds (slow float64 convolutions)."""
    quick = ("convnet", 32)
    return [
        pytest.param(
            case, id=case["name"], marks=() if (case["net"], case["size"]) == quick else pytest.mark.slow
        )
        for case in read("train_steps.json")
    ]


@pytest.mark.parametrize("case", training_cases())
def test_training_steps(case: dict[str, Any]) -> None:
    side_px, classes = case["size"], case["nclass"]
    network = load("networks", case["net"]).build(case["depth"], classes=classes, size_px=side_px).double()
    assert case["scheme"] == "reg"
    for position, (name, parameter) in enumerate(network.named_parameters()):
        values = weight("reg", position, tuple(parameter.shape), name.endswith("weight"))
        parameter.data.copy_(torch.from_numpy(values))
    optimiser = Sgd(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    assert list(minimax_rules.milestones(case["epochs"])) == case["milestones"]
    steps = iter(case["steps"])
    for epoch, expected in enumerate(case["epoch_stats"], start=1):
        assert expected["epoch"] == epoch
        optimiser.lr = minimax_rules.learning_rate(epoch, case["epochs"], 0.01)
        check_epoch(network, optimiser, case, steps, expected)
    assert next(steps, None) is None
    check_trained(network.eval(), case)


def check_epoch(
    network: torch.nn.Module,
    optimiser: Sgd,
    case: dict[str, Any],
    steps: Iterator[dict[str, Any]],
    expected: dict[str, Any],
) -> None:
    """Check one epoch against the recorded norms and statistics."""
    totals = torch.zeros(3, dtype=torch.float64)
    for count, key, labels in zip(case["batch_sizes"], case["input_k"], case["labels"], strict=True):
        images = torch.from_numpy(network_input((count, 3, case["size"], case["size"]), key))
        step, targets = next(steps), torch.tensor(labels)
        mix = Mix(torch.tensor(step["perm"]), tuple(step["bbox_x1y1x2y2"]), step["ratio"])
        assert kept_share(case["size"], case["size"], mix.box) == pytest.approx(
            mix.ratio, abs=rounding(3, torch.float64)
        )
        assert optimiser.lr == pytest.approx(step["lr"], rel=rounding(5, torch.float64))
        loss, logits = train_step(network, optimiser, images, targets, mix)
        parameters = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        # Every step passes the network and its gradient, about twice as deep; then one sum.
        bound = rounding(3 * depth(network) * len(case["steps"]) + len(parameters), torch.float64)
        assert parameters.norm().item() == pytest.approx(step["param_l2"], rel=bound)
        total = parameters.abs().sum().item()
        assert parameters.sum().item() == pytest.approx(step["param_sum"], rel=0, abs=bound * total)
        correct = [correct_in_top(logits, targets, k).sum() for k in (1, 5)]
        totals += torch.stack([*correct, loss * count])
    top1, top5, loss = (totals / sum(case["batch_sizes"])).tolist()
    assert 100 * top1 == pytest.approx(expected["train_top1"], abs=PERCENT)
    assert 100 * top5 == pytest.approx(expected["train_top5"], abs=PERCENT)
    assert loss == pytest.approx(expected["mean_loss"], rel=bound)


def check_trained(network: torch.nn.Module, case: dict[str, Any]) -> None:
    """Check the final parameters, logits and validation result."""
    norms = {name: parameter.norm().item() for name, parameter in network.named_parameters()}
    bound = rounding(3 * depth(network) * len(case["steps"]), torch.float64)
    assert norms == pytest.approx(case["final_param_l2"], rel=bound)
    shape, classes = (3, case["size"], case["size"]), case["nclass"]
    batches = [torch.from_numpy(network_input((count, *shape), key)) for count, key in case["val"]["batches"]]
    assert case["val"]["labels"] == "arange(n) mod nclass"
    labels = torch.cat([torch.arange(len(batch)) % classes for batch in batches])
    with torch.inference_mode():
        logits = torch.cat([network(batch) for batch in batches])
        final = network(torch.from_numpy(network_input((4, *shape), 3000)))
    check_metrics(logits, labels, case["val"])
    expected = torch.from_numpy(arrays("train_steps.npz")[f"{case['name']}/final_val_logits"])
    torch.testing.assert_close(final, expected, rtol=0, atol=bound * expected.abs().max().item())
