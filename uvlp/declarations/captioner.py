"""The declaration of a captioner, a file in `uvlp/captioners`: one text per training image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from inspect import Signature

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, function, of_source, positive_integer

MODELS = ("diffusion", "autoencoder", "clip", "llava")
"""Parts of the published models (`models/published/find.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerDeclaration:
    """A captioner. Its source is parsed, not imported, because it may import model libraries.

    A captioner that measures images has `captions` and `plain`; one with a published model has `MODEL` and
    `opened`.

    Attributes:
        origin: package and file of the plug-in.
        revision: to be raised when its captions change.
        model: the part of the published models that it uses, e.g. ``"llava"``; empty for none.
        captions: ``captions(images, class_names, progress)``: a text for each of uint8 [N,H,W,3].
        plain: ``plain(class_name)``: the prompt of a class without an image.
        opened: ``opened(folder, settings, precision)``: a context manager around an object with
            ``answers(images, class_names, seeds)``, an `Answer` (`captioners/texts/answers.py`) for each.
    """

    origin: Origin
    revision: int = constant("an integer of at least 1", positive_integer)
    model: str = constant(f"one of {', '.join(MODELS)}", lambda value: value in MODELS, "")
    captions: Signature | None = function("captions", "images, class_names, progress", default=None)
    plain: Signature | None = function("plain", "class_name", default=None)
    opened: Signature | None = function("opened", "folder, settings, precision", default=None)


@cache
def declared_captioner(name: str) -> CaptionerDeclaration:
    """The declaration of a captioner.

    Raises:
        UvlpError: an unknown name, or a field that is missing, invalid, misspelt or not a literal.
    """
    declaration = of_source(CaptionerDeclaration, plugins.find("captioners", name))
    required = ("opened",) if declaration.model else ("captions", "plain")
    for each in required:
        if getattr(declaration, each) is None:
            fix = "a captioner with a MODEL needs opened, any other needs captions and plain"
            raise UvlpError(f"{declaration.origin.file} declares no {each}", fix=fix)
    return declaration
