"""All prototypes of a set to images: which ones go together, with what noise, and where a run resumes.

Noise is drawn one prototype at a time, so that batches never matter (methods.md A.12, D.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.growing_images import GrowingImages
from uvlp.artifacts.prototypes import Prototype
from uvlp.core.seeds import torch_generator
from uvlp.models.batches import in_batches
from uvlp.models.sampling.sampler import Sampler
from uvlp.recipes.schema import SynthesisSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What is synthesised, and how.

    Attributes:
        sampler: the loaded models.
        settings, seed: of the stage.
        long_prompts: embed prompts without padding and cutting, as VLCP does (methods.md B.6).
        latents: scaled latents float32 [P, 4, h, w]; may be a file mapped into memory.
        prototypes, entries: their P descriptions, and what their images will be called.
    """

    sampler: Sampler
    settings: SynthesisSettings
    seed: int
    long_prompts: bool
    latents: NDArray[np.float32]
    prototypes: Sequence[Prototype]
    entries: Sequence[Entry]

    def grow(self, images: GrowingImages, log: Callable[[str], None]) -> Iterator[int]:
        """Add what is not there yet, batch by batch; yields each row once it is saved.

        Prompts of equal length share a batch, in the order of class and slot.

        Raises:
            UvlpError: a result that is black, of one colour or no number; class and slot are named.
        """
        state, tried = images.state, 0
        order, draw = self._order(), self._noise()
        state.batch = state.batch or self._batch()

        def compute(rows: Sequence[int]) -> list[NDArray[np.uint8]]:
            nonlocal tried
            tried = len(rows)
            return self._images(rows, torch.cat([draw(self.prototypes[row]) for row in rows]))

        def halve(text: str) -> None:
            state.batch, state.halved = tried // 2, state.halved + 1
            log(text)

        before = state.decoded_again - self.sampler.decoded_again
        for rows, made in in_batches(compute, order[state.done :], state.batch, halve):
            entries = [self.entries[row] for row in rows]
            distilled.check(entries, made)
            state.decoded_again = before + self.sampler.decoded_again
            images.add(entries, made)
            yield from rows

    def _batch(self) -> int:
        return self.settings.batch or self.sampler.batch(len(self.entries), self.latents.shape[1:])

    def _order(self) -> list[int]:
        lengths = [
            self.sampler.length(prototype.text, self.settings, self.long_prompts)
            for prototype in self.prototypes
        ]
        return sorted(range(len(lengths)), key=lambda row: (lengths[row], row))

    def _noise(self) -> Callable[[Prototype], torch.Tensor]:
        """Noise [1, 4, h, w] of a prototype: it belongs to the class and the slot, never to the batch."""
        shape = self.latents.shape[1:]
        if self.settings.noise != "published":
            return lambda found: derived_noise(self.seed, found.class_id, [found.slot], shape)
        slots = range(1 + max(found.slot for found in self.prototypes))
        stream = published_noise(slots, shape, self.sampler.dtype, self.sampler.device)
        return lambda found: stream[found.slot, None]

    def _images(self, rows: Sequence[int], noise: torch.Tensor) -> list[NDArray[np.uint8]]:
        """Images of a batch at the size of the settings."""
        found = [self.prototypes[row] for row in rows]
        made = self.sampler.synthesise(
            torch.from_numpy(self.latents[list(rows)]),
            noise,
            [prototype.text for prototype in found],
            self.settings,
            self.long_prompts,
            [f"class {prototype.class_id} slot {prototype.slot}" for prototype in found],
        )
        size_px = self.settings.size_px
        return [resize(image, size_px) if size_px else image for image in made]


def resize(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] resized to a square with PIL's default: bicubic, antialiased (methods.md B.6)."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((size_px, size_px)))


PUBLISHED_SEED = 67280421310721
"""Initial seed of a torch.Generator that nobody seeded, as the reference uses for every class (E8)."""


def derived_noise(seed: int, class_id: str, slots: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Normal noise float32 [len(slots), *shape], each slot with a generator of its own.

    Args:
        seed: seed of the run.
        class_id: class folder name.
        slots: 0-based slots of the class's prototypes.
        shape: shape of one latent, (4, h, w).
    """
    return torch.cat(
        [torch.randn((1, *shape), generator=torch_generator(seed, "noise", class_id, slot)) for slot in slots]
    )


def published_noise(
    slots: Sequence[int],
    shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Noise [len(slots), *shape] of the published stream: for slot j its j-th draw, the same in every class.

    The reference draws on the device in the type of the UNet; CPU and GPU streams differ.
    """
    generator = torch.Generator(device).manual_seed(PUBLISHED_SEED)
    draws = [
        torch.randn((1, *shape), generator=generator, dtype=dtype, device=device)
        for _ in range(max(slots) + 1)
    ]
    return torch.cat([draws[slot] for slot in slots])
