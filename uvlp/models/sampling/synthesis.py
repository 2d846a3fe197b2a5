"""Synthesise a set of prototypes: batches, noise, and parts that several jobs can share.

Noise is drawn per prototype, so it does not depend on the batches (methods.md A.12, D.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.parts import images
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan
from uvlp.artifacts.prototypes import Prototype
from uvlp.core.seeds import torch_generator
from uvlp.models.batches import in_halves
from uvlp.models.sampling.sampler import Sampler
from uvlp.recipes.schema import SynthesisSettings

DECODED_AGAIN = "images that overflowed and were decoded again in float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """The synthesis of a set of prototypes.

    Attributes:
        sampler: the loaded models.
        settings, seed: of the stage.
        long_prompts: embed prompts without padding and truncation, as VLCP does (methods.md B.6).
        latents: scaled latents float32 [P, 4, h, w]; may be memory-mapped.
        prototypes, entries: the P prototypes, and the names of their images.
    """

    sampler: Sampler
    settings: SynthesisSettings
    seed: int
    long_prompts: bool
    latents: NDArray[np.float32]
    prototypes: Sequence[Prototype]
    entries: Sequence[Entry]

    def plan(self, device: str, dtype: str) -> Plan:
        """Return the plan of the parts, one batch each; for arguments see `Plan`."""
        count = len(self.entries)
        batch = self.settings.batch or self.sampler.batch(count, self.latents.shape[1:])
        return Plan(items=count, batch=batch, size=batch, device=device, dtype=dtype)

    def make(
        self, parts: Parts, plan: Plan, missing: Sequence[range], log: Callable[[str], None]
    ) -> Iterator[int]:
        """Make the missing parts; yield each row once it is saved.

        Prompts of equal length share batches, in the order of class and slot.

        Raises:
            UvlpError: an image is black, uniform or not finite; the error names class and slot.
        """
        order, draw = self._order(), self._noise()

        def compute(rows: Sequence[int]) -> list[NDArray[np.uint8]]:
            return self._images(rows, torch.cat([draw(self.prototypes[row]) for row in rows]))

        for part in missing:
            rows, before = [order[index] for index in part], self.sampler.decoded_again
            halves = in_halves(compute, rows, log)
            entries, made = [self.entries[row] for row in rows], [image for half in halves for image in half]
            distilled.check(entries, made)
            with parts.making(part, plan) as unfinished:
                images.write(unfinished.folder, entries, made)
                unfinished.counts[SPLITS] += len(halves) - 1
                unfinished.counts[DECODED_AGAIN] += self.sampler.decoded_again - before
            yield from rows

    def _order(self) -> list[int]:
        lengths = [
            self.sampler.length(prototype.text, self.settings, self.long_prompts)
            for prototype in self.prototypes
        ]
        return sorted(range(len(lengths)), key=lambda row: (lengths[row], row))

    def _noise(self) -> Callable[[Prototype], torch.Tensor]:
        """Return a function to the noise [1, 4, h, w] of a prototype, determined by class and slot."""
        shape = self.latents.shape[1:]
        if self.settings.noise != "published":
            return lambda each: derived_noise(self.seed, each.class_id, [each.slot], shape)
        slots = range(1 + max(each.slot for each in self.prototypes))
        stream = published_noise(slots, shape, self.sampler.dtype, self.sampler.device)
        return lambda each: stream[each.slot, None]

    def _images(self, rows: Sequence[int], noise: torch.Tensor) -> list[NDArray[np.uint8]]:
        """Synthesise a batch and resize it as configured."""
        prototypes = [self.prototypes[row] for row in rows]
        made = self.sampler.synthesise(
            torch.from_numpy(self.latents[list(rows)]),
            noise,
            [prototype.text for prototype in prototypes],
            self.settings,
            self.long_prompts,
            [f"class {prototype.class_id} slot {prototype.slot}" for prototype in prototypes],
        )
        size_px = self.settings.size_px
        return [resize(image, size_px) if size_px else image for image in made]


def resize(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Resize uint8 [H, W, 3] to a square with PIL's default: bicubic, antialiased (methods.md B.6)."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((size_px, size_px)))


PUBLISHED_SEED = 67280421310721
"""Default seed of an unseeded torch.Generator, which the reference uses for every class (E8)."""


def derived_noise(seed: int, class_id: str, slots: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Return standard normal noise float32 [len(slots), *shape], each slot from its own generator.

    Args:
        seed: seed of the run.
        class_id: name of the class folder.
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
    """Return noise [len(slots), *shape] of the published stream: slot j gets the j-th draw, in every class.

    The reference draws on the UNet's device in its dtype; CPU and GPU streams differ.
    """
    generator = torch.Generator(device).manual_seed(PUBLISHED_SEED)
    draws = [
        torch.randn((1, *shape), generator=generator, dtype=dtype, device=device)
        for _ in range(max(slots) + 1)
    ]
    return torch.cat([draws[slot] for slot in slots])
