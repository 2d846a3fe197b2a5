"""Operations and sizes of class-conditional DiTs, from their shapes (Peebles & Xie 2023, table 9)."""

from __future__ import annotations

from dataclasses import dataclass

from uvlp.recipes.schema import Recipe

PATCH, CHANNELS, FREQUENCIES = 2, 4, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Shape of a DiT.

    Attributes:
        depth: blocks.
        width: size of a token.
        side: side of the latents.
        classes: labels without the null label.
    """

    depth: int
    width: int
    side: int
    classes: int

    @property
    def flops(self) -> float:
        """Operations of a forward pass of one latent, two per multiply-add."""
        tokens, width = (self.side // PATCH) ** 2, self.width
        block = 24 * tokens * width**2 + 4 * tokens**2 * width + 12 * width**2
        outer = 6 * tokens * width * PATCH**2 * CHANNELS + 6 * width**2 + 2 * FREQUENCIES * width
        return float(self.depth * block + outer)

    @property
    def parameters(self) -> int:
        """Parameters as stored by diffusers, with the embeddings repeated in every block."""
        width = self.width
        embeddings = FREQUENCIES * width + width**2 + 2 * width + (self.classes + 1) * width
        block = 18 * width**2 + 15 * width + embeddings
        patches = PATCH**2 * CHANNELS
        outer = patches * width + width + 2 * width**2 + 2 * width + 2 * patches * (width + 1)
        return self.depth * block + outer


DIT_XL = Shape(depth=28, width=1152, side=32, classes=1000)
PUBLISHED_PX = 256
"""DiT-XL/2, and the side of its images."""


def of_recipe(recipe: Recipe, classes: int) -> Shape:
    """Return the shape of the published DiT, or of the one that a recipe trains."""
    if recipe.pretrained:
        return DIT_XL
    own, cell = recipe.transformer, 2 ** (len(recipe.autoencoder.channels) - 1)
    return Shape(depth=own.depth, width=own.width, side=recipe.image_px // cell, classes=classes)
