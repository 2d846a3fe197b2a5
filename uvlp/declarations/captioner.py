"""What a file of `uvlp/captioners` declares: one sentence per training image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from inspect import Signature

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, function, of_source, whole

MODELS = ("diffusion", "autoencoder", "clip", "llava")
"""Parts of the published models (`models/published/find.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerDeclaration:
    """A captioner; its source is read, because it may import model libraries.

    One that measures has `captions` and `plain`; one with a published model has `MODEL` and `opened`.

    Attributes:
        origin: where it comes from.
        revision: raised when it says other things.
        model: the part of the published models that it asks, e.g. ``"llava"``; empty: none.
        captions: ``captions(images, class_names, progress)``: a text for each of uint8 [N,H,W,3].
        plain: ``plain(class_name)``: the prompt of a class without any image.
        opened: ``opened(folder, settings, precision)``: a context manager around an object with
            ``answers(images, class_names, seeds)``, an `Answer` (`captioners/texts/shards.py`) for each.
    """

    origin: Origin
    revision: int = constant("a whole number of 1 or more", whole)
    model: str = constant(f"one of {', '.join(MODELS)}", lambda value: value in MODELS, "")
    captions: Signature | None = function("captions", "images, class_names, progress", default=None)
    plain: Signature | None = function("plain", "class_name", default=None)
    opened: Signature | None = function("opened", "folder, settings, precision", default=None)


@cache
def declared_captioner(name: str) -> CaptionerDeclaration:
    """The declaration of a captioner.

    Raises:
        UvlpError: there is none of that name, or a field is missing, wrong, misspelt, or no literal.
    """
    found = of_source(CaptionerDeclaration, plugins.find("captioners", name))
    needed = ("opened",) if found.model else ("captions", "plain")
    for each in needed:
        if getattr(found, each) is None:
            fix = "a captioner with a MODEL has opened, any other captions and plain"
            raise UvlpError(f"{found.origin.file} declares no {each}", fix=fix)
    return found
