"""DiT, the class-conditional diffusion transformer (evaluation.md 5.1; Peebles & Xie 2023).

diffusers' DiTTransformer2DModel has label and time embeddings in every block, splits the attention's weight
in three and uses slightly different time frequencies. Here the parameters have the names and shapes of the
public checkpoint `DiT-XL-2-256x256.pt`; `layout.py` reads and writes diffusers' names.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, scaled_dot_product_attention

FREQUENCIES = 256
LONGEST_PERIOD = 10000
NORM_EPS = 1e-6
EMBEDDING_STD = 0.02
PATCH = 2
"""Side of a patch, the 2 of DiT-XL/2."""


class Attention(nn.Module):
    """Self-attention; ``gamma1`` and ``gamma2`` are the scales of `scales.py`, not in the checkpoint."""

    gamma1: nn.Parameter | None
    gamma2: nn.Parameter | None

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.register_parameter("gamma1", None)
        self.register_parameter("gamma2", None)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [N,T,D] to [N,T,D]."""
        stacked = scaled(self.qkv(tokens), self.gamma1).unflatten(2, (3, self._heads, -1))
        query, key, value = stacked.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return scaled(self.proj(mixed), self.gamma2)


class Block(nn.Module):
    """Attention and MLP, both shifted, scaled and gated by the condition (adaLN-Zero)."""

    gamma1: nn.Parameter | None
    gamma2: nn.Parameter | None

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(width, 4 * width),
                act=nn.GELU(approximate="tanh"),
                fc2=nn.Linear(4 * width, width),
            )
        )
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.register_parameter("gamma1", None)
        self.register_parameter("gamma2", None)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Tokens [N,T,D] to [N,T,D], given ``condition`` [N,D]."""
        terms = self.adaLN_modulation(condition)[:, None].chunk(6, dim=2)
        shift, scale, gate = terms[:3]
        attended = self.attn(modulated(tokens, shift, scale))
        tokens = tokens + scaled(gate * attended, self.gamma1)
        shift, scale, gate = terms[3:]
        return tokens + scaled(gate * self.mlp(modulated(tokens, shift, scale)), self.gamma2)


class FinalLayer(nn.Module):
    """Linear map from tokens to the values of their patches."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, values)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Tokens [N,T,D] to patches [N,T,values], given ``condition`` [N,D]."""
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, dim=2)
        return self.linear(modulated(tokens, shift, scale))


class DiT(nn.Module):
    """Predicts noise and variance of a latent; the defaults are DiT-XL/2 for images of 256 px.

    Args:
        side: height and width of the latents.
        channels: C, channels of the latents; the output has 2C.
        classes: number of labels; ``classes`` itself is the null label of classifier-free guidance.
        width: D, size of a token.
        depth: number of blocks.
        heads: number of attention heads.
        patch: height and width of the latent patch of a token.
    """

    def __init__(
        self,
        *,
        side: int = 32,
        channels: int = 4,
        classes: int = 1000,
        width: int = 1152,
        depth: int = 28,
        heads: int = 16,
        patch: int = PATCH,
    ) -> None:
        super().__init__()
        assert side % patch == 0 and width % heads == 0 and width % 4 == 0
        self.side, self.channels, self.classes, self.heads, self.patch = side, channels, classes, heads, patch
        self._grid = side // patch
        self.pos_embed = nn.Parameter(torch.zeros(1, self._grid**2, width), requires_grad=False)
        self.x_embedder = nn.Sequential(OrderedDict(proj=nn.Conv2d(channels, width, patch, patch)))
        self.t_embedder = nn.Sequential(
            OrderedDict(mlp=nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)))
        )
        self.y_embedder = nn.Sequential(OrderedDict(embedding_table=nn.Embedding(classes + 1, width)))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.final_layer = FinalLayer(width, patch**2 * 2 * channels)

    def forward(self, noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        """Return the predicted noise and v (see `diffusion.py`), [N,2C,side,side].

        Args:
            noisy: [N,C,side,side], scaled latents with noise.
            timesteps: [N], 0 to 999.
            labels: int64 [N], up to and including the null label.
        """
        tokens = self.x_embedder(noisy).flatten(2).transpose(1, 2) + self.pos_embed
        waves = time_waves(timesteps).to(noisy.dtype)
        condition = self.t_embedder(waves) + self.y_embedder(labels)
        for block in self.blocks:
            tokens = block(tokens, condition)
        return self._image(self.final_layer(tokens, condition))

    def _image(self, patches: Tensor) -> Tensor:
        """Rearrange patches [N,T,patch patch 2C], row by row, to maps [N,2C,side,side]."""
        cells = patches.unflatten(1, (self._grid, self._grid)).unflatten(3, (self.patch, self.patch, -1))
        return cells.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def initialise(network: DiT) -> None:
    """Draw the published initial weights from torch's generator; every block begins as the identity."""
    network.pos_embed.data.copy_(positions(network.pos_embed.shape[2], network.side // network.patch))
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1))
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) or (isinstance(module, nn.Linear) and name.startswith("t_emb")):
            nn.init.normal_(module.weight, std=EMBEDDING_STD)
        if isinstance(module, nn.Linear) and ("adaLN" in name or name == "final_layer.linear"):
            nn.init.zeros_(module.weight)


def positions(width: int, grid: int) -> Tensor:
    """Return the embedding of a square grid's places, row by row: float32 [1,grid grid,width].

    A quarter of the width each: sines and cosines of the column, then of the row.
    """
    quarter = width // 4
    exponents = torch.arange(quarter, dtype=torch.float64) / quarter
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * LONGEST_PERIOD**-exponents
    waves = torch.cat((angles.sin(), angles.cos()), dim=1).float()
    columns, rows = waves.repeat(grid, 1), waves.repeat_interleave(grid, dim=0)
    return torch.cat((columns, rows), dim=1)[None]


def modulated(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise tokens [N,T,D], multiply by 1 + ``scale`` and add ``shift``, both [N,1,D]."""
    return layer_norm(tokens, tokens.shape[-1:], eps=NORM_EPS) * (1 + scale) + shift


def scaled(values: Tensor, gamma: Tensor | None) -> Tensor:
    """Multiply ``values`` [...,D] by ``gamma`` [D], if given."""
    return values if gamma is None else gamma * values


def time_waves(timesteps: Tensor) -> Tensor:
    """Return cosines, then sines, of timesteps [N] at 128 frequencies from 1 to 1/10000: float32 [N,256]."""
    exponents = torch.arange(FREQUENCIES // 2, device=timesteps.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(LONGEST_PERIOD) * exponents / (FREQUENCIES // 2))
    angles = timesteps[:, None].float() * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=1)
