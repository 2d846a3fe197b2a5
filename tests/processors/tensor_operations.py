"""Operations of torch: sums, products, layers with their gradients, random numbers, optimisers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.processors.inputs import ODD_COUNT, fill, leaf, tensor

WIDE = {"float32": False, "float64": True}


def gradients(function: Callable[..., Tensor], *leaves: Tensor) -> list[Tensor]:
    """Return the result, and the gradients of its weighted sum."""
    result = function(*leaves)
    result.backward(tensor(*result.shape, seed=99))
    return [result.detach(), *(one.grad for one in leaves if one.grad is not None)]


def layer(module: nn.Module, *shape: int) -> Callable[[], object]:
    """Return a computation of a module in training mode: result, gradients of input and weights, buffers."""

    def compute() -> object:
        trained = fill(deepcopy(module)).train()
        images = leaf(*shape, seed=5)
        leaves = [images, *trained.parameters()]
        return [*gradients(lambda *_: trained(images), *leaves), *trained.buffers()]

    return compute


def seeded(draw: Callable[[torch.Generator], object]) -> Callable[[], object]:
    return lambda: draw(torch.Generator().manual_seed(7))


def default_draws(draw: Callable[[], object]) -> Callable[[], object]:
    def compute() -> object:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return draw()

    return compute


def optimised(make: Callable[[list[Tensor]], Any]) -> Callable[[], object]:
    """Return a computation of parameters after three steps: an odd vector, a matrix and a scalar."""

    def compute() -> object:
        parameters = [leaf(ODD_COUNT), leaf(33, 65, seed=1), leaf(1, seed=2)]
        optimiser = make(parameters)
        for step in range(3):
            for number, parameter in enumerate(parameters):
                parameter.grad = tensor(*parameter.shape, seed=10 * step + number)
            optimiser.step()
        return [parameter.detach() for parameter in parameters]

    return compute


def attention(masked: bool) -> Callable[[], object]:
    mask = torch.arange(24).repeat(2, 1, 19, 1) < 17 if masked else None

    def compute() -> object:
        return gradients(
            lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, attn_mask=mask),
            leaf(2, 4, 19, 16),
            leaf(2, 4, 24, 16, seed=1),
            leaf(2, 4, 24, 16, seed=2),
        )

    return compute


def averaged() -> object:
    kept, new = [tensor(ODD_COUNT)], [tensor(ODD_COUNT, seed=1)]
    torch._foreach_lerp_(kept, new, 0.013)
    torch._foreach_add_(kept, 1)
    return kept


def clipped() -> object:
    parameters = [leaf(ODD_COUNT), leaf(33, 65, seed=1)]
    for number, parameter in enumerate(parameters):
        parameter.grad = tensor(*parameter.shape, seed=20 + number)
    return nn.utils.clip_grad_norm_(parameters, 1.0), [parameter.grad for parameter in parameters]


def sums(wide: bool) -> dict[str, Callable[[], object]]:
    def x() -> Tensor:
        return tensor(ODD_COUNT, wide=wide)

    def rows() -> Tensor:
        return tensor(67, 129, wide=wide)

    return {
        "sum": lambda: (x().sum(), rows().sum(0), rows().sum(1)),
        "mean": lambda: (
            x().mean(),
            rows().mean(0),
            rows().mean(1),
            tensor(5, 3, 9, 7, wide=wide).mean((2, 3)),
        ),
        "var and std": lambda: (x().var(), x().std(), rows().std(0), rows().var(1, unbiased=False)),
        "cumsum, cumprod": lambda: (x().cumsum(0), (1 + rows() / 64).cumprod(1)),
        "prod": lambda: (1 + x() / 64).prod(),
        "norm": lambda: (x().norm(), rows().norm(dim=1), torch.linalg.vector_norm(rows(), dim=0)),
        "functional.normalize": lambda: functional.normalize(rows(), dim=-1),
        "logsumexp": lambda: rows().logsumexp(1),
        "softmax": lambda: (rows().softmax(1), rows().softmax(0)),
        "log_softmax": lambda: rows().log_softmax(1),
        "median, quantile": lambda: (x().median(), torch.quantile(x(), 0.3)),
        "sort, topk, argmax": lambda: (x().sort(), rows().topk(5), rows().argmax(1)),
        "mm": lambda: rows() @ tensor(67, 129, seed=1, wide=wide).T,
        "mm large": lambda: tensor(301, 257, wide=wide) @ tensor(257, 130, seed=1, wide=wide),
        "mv": lambda: rows() @ rows()[0],
        "addmm": lambda: torch.addmm(rows()[:, :67], rows(), rows().T),
        "bmm": lambda: torch.bmm(tensor(7, 33, 65, wide=wide), tensor(7, 65, 17, seed=1, wide=wide)),
        "baddbmm": lambda: torch.baddbmm(
            tensor(7, 3, 1, wide=wide), tensor(7, 3, 3, wide=wide), tensor(7, 3, 256, seed=1, wide=wide)
        ),
        "einsum": lambda: torch.einsum("nd,kd->nk", rows(), rows()),
        "cdist": lambda: torch.cdist(rows(), tensor(9, 129, seed=1, wide=wide)),
        "cdist through a product": lambda: torch.cdist(
            rows(), tensor(30, 129, seed=1, wide=wide), compute_mode="use_mm_for_euclid_dist"
        ),
        "cosine_similarity": lambda: functional.cosine_similarity(rows(), rows().flip(0)),
    }


LOSSES: dict[str, Callable[[], object]] = {
    "cross_entropy": lambda: gradients(
        lambda x: functional.cross_entropy(x, torch.arange(33) % 10), leaf(33, 10)
    ),
    "cross_entropy of soft targets": lambda: gradients(
        lambda x: functional.cross_entropy(x, tensor(33, 10, seed=1).softmax(1)), leaf(33, 10)
    ),
    "kl_div": lambda: gradients(
        lambda x: functional.kl_div(
            functional.log_softmax(x / 20, 1), tensor(33, 10, seed=1).softmax(1), reduction="batchmean"
        ),
        leaf(33, 10),
    ),
    "mse_loss": lambda: gradients(lambda x: functional.mse_loss(x, tensor(67, 129, seed=1)), leaf(67, 129)),
    "attention": attention(False),
    "attention with a mask": attention(True),
    "silu and gelu gradients": lambda: gradients(
        lambda x: functional.silu(x) + functional.gelu(x), leaf(ODD_COUNT)
    ),
    "sigmoid and tanh gradients": lambda: gradients(lambda x: x.sigmoid() * x.tanh(), leaf(ODD_COUNT)),
    "exp and log gradients": lambda: gradients(lambda x: (1 + x.exp()).log(), leaf(ODD_COUNT)),
    "softmax gradient": lambda: gradients(lambda x: x.softmax(1), leaf(67, 129)),
    "interpolate nearest": lambda: functional.interpolate(tensor(2, 5, 8, 8), scale_factor=2.0),
    "interpolate bilinear": lambda: functional.interpolate(
        tensor(2, 3, 17, 9), size=(32, 32), mode="bilinear"
    ),
    "interpolate antialiased": lambda: functional.interpolate(
        tensor(2, 3, 61, 45), size=(16, 16), mode="bilinear", antialias=True
    ),
    "interpolate bicubic": lambda: functional.interpolate(tensor(2, 3, 17, 9), size=(32, 32), mode="bicubic"),
    "pad, roll, index_select": lambda: (
        functional.pad(tensor(2, 3, 9, 7), (1, 2, 1, 2), mode="reflect"),
        tensor(5, 7).roll((1, 2), (0, 1)),
        tensor(5, 7).index_select(0, torch.tensor([3, 1])),
    ),
    "foreach lerp and add": averaged,
    "clip_grad_norm_": clipped,
}
LAYERS: dict[str, Callable[[], object]] = {
    "conv2d 3x3": layer(nn.Conv2d(3, 32, 3, padding=1), 9, 3, 16, 16),
    "conv2d 3x3 of 32": layer(nn.Conv2d(32, 32, 3, padding=1), 9, 32, 8, 8),
    "conv2d 3x3 of 7": layer(nn.Conv2d(7, 13, 3, padding=1), 3, 7, 9, 11),
    "conv2d stride 2": layer(nn.Conv2d(16, 24, 3, stride=2, padding=1), 4, 16, 17, 17),
    "conv2d 1x1": layer(nn.Conv2d(32, 48, 1), 4, 32, 9, 9),
    "conv2d 7x7": layer(nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False), 2, 3, 32, 32),
    "conv2d of one image": layer(nn.Conv2d(16, 16, 3, padding=1), 1, 16, 16, 16),
    # oneDNN cut the sums of these by the sizes of the caches: two EPYCs differed.
    "conv2d 3x3 to 3 channels": layer(nn.Conv2d(16, 3, 3, padding=1), 16, 16, 32, 32),
    "conv2d 3x3 to 8 channels": layer(nn.Conv2d(32, 8, 3, padding=1), 16, 32, 8, 8),
    "conv2d 1x1 of 4": layer(nn.Conv2d(4, 4, 1), 16, 4, 8, 8),
    "conv2d 3x3 of 64": layer(nn.Conv2d(64, 64, 3, padding=1), 16, 64, 32, 32),
    "conv2d 3x3 of 128": layer(nn.Conv2d(128, 128, 3, padding=1), 8, 128, 16, 16),
    "conv2d 1x1 of 256": layer(nn.Conv2d(256, 512, 1), 4, 256, 16, 16),
    "conv2d in groups": layer(nn.Conv2d(16, 16, 3, padding=1, groups=16), 2, 16, 9, 9),
    "conv_transpose2d": layer(nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), 2, 16, 9, 9),
    "linear": layer(nn.Linear(129, 67), 33, 129),
    "linear of one row": layer(nn.Linear(513, 10), 1, 513),
    "layer_norm": layer(nn.LayerNorm(129), 33, 129),
    "group_norm": layer(nn.GroupNorm(8, 32), 3, 32, 9, 9),
    "instance_norm": layer(nn.InstanceNorm2d(32, affine=True), 3, 32, 9, 9),
    "group_norm of one channel each": layer(nn.GroupNorm(32, 32), 3, 32, 8, 8),
    "batch_norm": layer(nn.BatchNorm2d(32), 9, 32, 9, 9),
    "avg_pool2d": layer(nn.AvgPool2d(2), 3, 32, 16, 16),
    "max_pool2d": layer(nn.MaxPool2d(3, 2, 1), 3, 32, 17, 17),
    "adaptive_avg_pool2d": layer(nn.AdaptiveAvgPool2d(1), 3, 32, 9, 9),
    "multi-head attention": layer(nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), 3, 17, 32),
    "embedding": lambda: gradients(
        lambda weights: functional.embedding(torch.arange(40).reshape(4, 10) % 11, weights), leaf(11, 32)
    ),
}
RANDOM: dict[str, Callable[[], object]] = {
    "randn": seeded(lambda g: torch.randn(999, generator=g)),
    "randn of eight": seeded(lambda g: torch.randn(8, generator=g)),
    "randn float64": seeded(lambda g: torch.randn(99, generator=g, dtype=torch.float64)),
    "randn float16": seeded(lambda g: torch.randn(99, generator=g, dtype=torch.float16)),
    "rand": seeded(lambda g: torch.rand(999, generator=g)),
    "randint": seeded(lambda g: torch.randint(1000, (999,), generator=g)),
    "randperm": seeded(lambda g: torch.randperm(999, generator=g)),
    "multinomial": seeded(lambda g: torch.multinomial(torch.arange(1.0, 9), 5, generator=g)),
    "exponential_": seeded(lambda g: torch.empty(999).exponential_(generator=g)),
    "normal_, uniform_": seeded(
        lambda g: (torch.empty(999).normal_(0, 0.02, generator=g), torch.empty(9).uniform_(generator=g))
    ),
    "bernoulli": seeded(lambda g: torch.bernoulli(torch.full((99,), 0.3), generator=g)),
    "dropout": default_draws(lambda: functional.dropout(tensor(999), 0.1)),
    "first weights of Conv2d and Linear": default_draws(
        lambda: [*nn.Conv2d(3, 32, 3).parameters(), *nn.Linear(99, 10).parameters()]
    ),
    "kaiming and xavier": default_draws(
        lambda: (nn.init.kaiming_normal_(torch.empty(33, 65)), nn.init.xavier_uniform_(torch.empty(33, 65)))
    ),
    "trunc_normal_": default_draws(lambda: nn.init.trunc_normal_(torch.empty(999), std=0.02)),
}
OPTIMISERS: dict[str, Callable[[], object]] = {
    "SGD": optimised(lambda p: torch.optim.SGD(p, 0.01, 0.9, weight_decay=5e-4)),
    "SGD fused": optimised(lambda p: torch.optim.SGD(p, 0.01, 0.9, weight_decay=5e-4, fused=True)),
    "AdamW fused": optimised(lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.01, fused=True)),
    "AdamW": optimised(lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.01, foreach=False)),
    "AdamW foreach": optimised(lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.01, foreach=True)),
    "Adam": optimised(lambda p: torch.optim.Adam(p, 1e-3, foreach=False)),
}
OPERATIONS: dict[str, Callable[[], object]] = {
    **{f"torch.{name} {dtype}": call for dtype, wide in WIDE.items() for name, call in sums(wide).items()},
    **{f"torch.{name}": call for part in (LOSSES, LAYERS, RANDOM) for name, call in part.items()},
    **{f"torch.optim.{name}": call for name, call in OPTIMISERS.items()},
}
