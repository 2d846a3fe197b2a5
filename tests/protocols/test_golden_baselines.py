"""Golden criteria, diffusion, parameter counts and schedules of the baselines (coresets: tests/methods)."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from tests.protocols.golden_data import family, hashed, over_rows
from tests.tolerances import EXPONENTIAL, rounding
from uvlp.methods.algorithms.optimising.matching import mean_matching_loss
from uvlp.models.dit import diffusion
from uvlp.models.dit.criteria import Memory, criteria
from uvlp.models.dit.network import DiT
from uvlp.models.dit.scales import add_scales, trained_names
from uvlp.protocols.training import fkd

EXACT = rounding(4_096 + 50, torch.float64, largest=10.0)
"""Rounding of norms and means of up to 4,096 values below ten, after some tens of float64 operations each."""


def cases(key: str) -> list[Any]:
    return family("baselines.json", key)


def close(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=EXACT, atol=EXACT)


# Criteria


@over_rows(cases("minimax_criteria"))
def test_minimax_criteria(case: dict[str, Any]) -> None:
    assert case["real"] == "hash_u(.,seed+2*step) shape (bs,*latent)"
    assert case["pseudo"] == "0.5*hash_u(.,seed+2*step+1)+0.5*real"
    shape = (case["batch"], *case["latent_shape"])
    size = 1 + max(case["classes"]), math.prod(case["latent_shape"]), case["memory_size"]
    real, generated = Memory(*size).double(), Memory(*size).double()
    for step, expected in enumerate(case["steps"]):
        latents = torch.from_numpy(hashed(shape, case["seed"] + 2 * step))
        predicted = 0.5 * torch.from_numpy(hashed(shape, case["seed"] + 2 * step + 1)) + 0.5 * latents
        found = criteria(latents, predicted, torch.tensor(expected["labels"]), real, generated)
        positive = case["lambda_pos"] * found.representativeness.item()
        negative = case["lambda_neg"] * found.diversity.item()
        assert positive == pytest.approx(expected["pos"], abs=EXACT)
        assert negative == pytest.approx(expected["neg"], abs=EXACT)
        for memory in (real, generated):
            assert lengths(memory, case["classes"]) == expected["mem"]


def lengths(memory: Memory, classes: list[int]) -> dict[str, int]:
    """Return the number of stored latents of each class that has any."""
    stored = {str(label): memory.of(label) for label in classes}
    return {label: len(rows) for label, rows in stored.items() if rows is not None}


@over_rows(cases("dm_loss"))
def test_distribution_matching(case: dict[str, Any]) -> None:
    real = features(case["n_real"], case["dim"], case["k_real"])
    synthetic = features(case["n_syn"], case["dim"], case["k_syn"]).requires_grad_()
    loss = mean_matching_loss([(real, synthetic)])
    assert loss.item() == pytest.approx(case["loss_one_class"], abs=EXACT)
    loss.backward()
    assert synthetic.grad is not None
    close(synthetic.grad.norm(dim=1), [case["grad_wrt_each_syn_feature_l2"]] * case["n_syn"])
    twice = mean_matching_loss([(real, synthetic), (real, synthetic)])
    assert twice.item() == pytest.approx(2 * case["loss_one_class"], abs=EXACT)


def features(count: int, dimensions: int, key: int) -> Tensor:
    """Return the README's ``features(n,dim,k)``."""
    groups = hashed((3, dimensions), key + 1)[numpy.arange(count) % 3]
    return torch.from_numpy(hashed((count, dimensions), key) + 1.5 * groups)


# Diffusion


@over_rows(cases("dit_diffusion_tables"))
def test_diffusion_tables(tables: dict[str, Any]) -> None:
    process = diffusion.chain()
    assert len(process.betas) == tables["num_timesteps"]
    assert process.timesteps.tolist() == list(range(tables["num_timesteps"]))
    close(process.betas[[0, -1]], [tables["beta_first"], tables["beta_last"]])
    close(process.abar[tables["t"]], tables["alphas_cumprod"])
    close(process.posterior_variance[tables["t"]], tables["posterior_variance"])
    for key in tables.keys() - {
        "num_timesteps",
        "beta_first",
        "beta_last",
        "t",
        "alphas_cumprod",
        "posterior_variance",
    }:
        check_respaced(key, tables[key])


def check_respaced(key: str, expected: list[Any]) -> None:
    """Check a table of a process with fewer steps, described by its name."""
    match = re.fullmatch(r"(timestep_map|betas)_(\d+)(?:_(first|last)(\d+))?", key)
    assert match, f"unknown table {key}"
    name, steps, end, count = match.groups()
    process = diffusion.chain(int(steps))
    if name == "timestep_map":
        assert process.timesteps.tolist() == expected
    else:
        part = process.betas[: int(count)] if end == "first" else process.betas[-int(count) :]
        close(part, expected)


def described(text: str, shape: tuple[int, ...] = ()) -> Tensor:
    """Return the values that a case describes as ``hash_u(.,key) (shape)``, or without the shape."""
    match = re.fullmatch(r"hash_u\(\.,(\d+)\)(?: \(([\d,]+)\))?", text)
    assert match, f"unknown description {text}"
    sizes = tuple(int(size) for size in match[2].split(",")) if match[2] else shape
    return torch.from_numpy(hashed(sizes, int(match[1])))


def toy_output(noisy: Tensor, timesteps: Tensor) -> Tensor:
    """Compute the golden data's stand-in for the network's output."""
    noise = 0.3 * noisy + 1e-5 * timesteps.double()[:, None, None, None]
    return torch.cat((noise, 0.1 * noisy), dim=1)


@over_rows(cases("dit_training_losses"))
def test_training_losses(case: dict[str, Any]) -> None:
    assert case["toy"] == "eps=0.3*x_t+1e-5*t ; var=0.1*x_t"
    clean = described(case["x"])
    noise, steps = described(case["noise"], clean.shape), torch.tensor(case["t"])
    process = diffusion.chain()
    output = toy_output(diffusion.noised(process, clean, steps, noise), steps)
    found = diffusion.training_losses(process, output, clean, noise, steps)
    close(found.mse, case["mse"])
    close(found.bound, case["vb"])
    close(found.mse + found.bound, case["loss"])
    close(found.predicted.flatten(1).norm(dim=1), case["pred_x0_l2"])
    close(found.predicted.flatten(1).mean(1), case["pred_x0_mean"])


@over_rows(cases("dit_p_sample_50"))
def test_sampling_with_50_steps(case: dict[str, Any]) -> None:
    assert case["toy"] == "eps=0.3*x_t+1e-5*t_original ; var=0.1*x_t"
    noisy = described(case["x"])
    noise, steps = described(case["noise"], noisy.shape), torch.full((len(noisy),), case["index"])
    process = diffusion.chain(50)
    timesteps = process.timesteps[steps]
    assert timesteps.tolist() == [case["original_t"]] * len(noisy)
    output = toy_output(noisy, timesteps)
    found = diffusion.previous(process, output, noisy, steps)
    close(found.mean.flatten(1).norm(dim=1), case["mean_l2"])
    close(found.log_variance.flatten(1).mean(1), case["logvar_mean"])
    sample = diffusion.sample_step(process, output, noisy, case["index"], noise)
    close(sample.flatten(1).norm(dim=1), case["sample_l2"])


# Parameters


@over_rows(cases("dit_xl2"))
def test_parameter_counts(case: dict[str, int]) -> None:
    with torch.device("meta"):
        network = DiT()
    add_scales(network)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    trained = trained_names(network)
    known = {"n_params_total": sum(sizes.values()), "difffit_trainable": sum(sizes[name] for name in trained)}
    assert "pos_embed" not in trained
    for key, count in case.items():
        part = key.removesuffix("_params")
        assert count == known.get(key, sum(size for name, size in sizes.items() if part in name)), key
    assert {"n_params_total", "difffit_trainable", "gamma_params"} <= case.keys()


# Soft-label matching


@over_rows(cases("fkd_schedule"))
def test_soft_label_schedule(case: dict[str, Any]) -> None:
    schedule = fkd.Schedule(epochs=case["epochs"], lr=case["lr_every10"][0])
    bound = rounding(EXPONENTIAL + 5, torch.float64, largest=case["lr_every10"][0])
    rates = [schedule.learning_rate(epoch) for epoch in range(case["epochs"])]
    assert rates[::10] == pytest.approx(case["lr_every10"], rel=0, abs=bound)
    assert rates[-1] == pytest.approx(case["last"], rel=0, abs=bound)
    assert list(schedule.validated_epochs()) == case["validated_epochs_0based"]
    assert (schedule.batch, schedule.temperature) == (case["batch"], case["T"])


@over_rows(cases("fkd_sampler_seed42_n100"))
def test_soft_label_orders(case: dict[str, Any]) -> None:
    orders = fkd.epoch_orders(100)
    number = 0
    while f"epoch{number}_first10" in case:
        order = next(orders)
        assert order[:10].tolist() == case[f"epoch{number}_first10"]
        assert order.sort().values.tolist() == list(range(100))
        number += 1
    assert number and len(case) == number + 1, f"entries other than torch and the epochs: {sorted(case)}"
