"""What a user states about the numbers of a tensor file: layout, normalisation, labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.recipes.requests.values import decimal, text

LAYOUTS = ("nchw", "nhwc")
LABEL_KINDS = ("integers", "probabilities", "logits")
NONE = "none"
CHANNELS = 3
FORM = f"{NONE}, MEAN,STD or MEAN,MEAN,MEAN,STD,STD,STD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read the tensors of a file; what is not stated is recognised, or refused if it is ambiguous.

    Attributes:
        layout: order of the axes of the images: one of `LAYOUTS`; empty if not stated.
        mean, std: of the normalisation, one number per channel; empty without one.
        stated: whether a normalisation, or that there is none, was stated.
        label_kind: one of `LABEL_KINDS`; empty if not stated.
        temperature: T of the softmax of logits; None if not stated.
    """

    layout: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    stated: bool = False
    label_kind: str = ""
    temperature: float | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options that state something."""
        given = {
            "--layout": bool(self.layout),
            "--normalised": self.stated,
            "--label-kind": bool(self.label_kind),
            "--temperature": self.temperature is not None,
        }
        return tuple(name for name, is_given in given.items() if is_given)


def parse(
    layout: str | None, normalised: str | None, label_kind: str | None, temperature: float | None
) -> Reading:
    """Return the reading that options describe; None is an option that is not given.

    Raises:
        UvlpError: an unknown name, a wrong number, or a temperature without logits, or logits without one.
    """
    if layout is not None and layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    if label_kind is not None and label_kind not in LABEL_KINDS:
        raise unknown_name("kind of labels", label_kind, LABEL_KINDS)
    if label_kind == "logits" and temperature is None:
        what = "logits need the temperature that they are learnt at"
        raise UvlpError(what, allowed="--temperature T, above 0", fix="e.g. --temperature 1")
    if label_kind != "logits" and temperature is not None:
        raise UvlpError("--temperature is for logits", got=temperature, fix="add --label-kind logits")
    if temperature is not None and temperature <= 0:
        raise UvlpError("--temperature is too small", got=temperature, allowed="a number above 0")
    mean, std = _statistics(normalised)
    return Reading(
        layout=layout or "",
        mean=mean,
        std=std,
        stated=normalised is not None,
        label_kind=label_kind or "",
        temperature=temperature,
    )


def statistics_text(value: object) -> str:
    """Return a normalisation as text: itself, or mean and standard deviation as numbers, or three of each.

    Raises:
        UvlpError: something else.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        return text("--normalised", value)
    parts = [each if isinstance(each, Iterable) and not isinstance(each, str) else [each] for each in value]
    return ",".join(repr(decimal("--normalised", number)) for part in parts for number in part)


def _statistics(stated: str | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of three channels; both empty for `NONE`."""
    if stated is None or stated.strip().lower() == NONE:
        return (), ()
    numbers = [decimal("--normalised", each) for each in stated.split(",")]
    if len(numbers) not in (2, 2 * CHANNELS):
        raise UvlpError("--normalised has another number of values", got=stated, allowed=FORM)
    half = len(numbers) // 2
    mean, std = tuple(numbers[:half]), tuple(numbers[half:])
    if min(std) <= 0:
        raise UvlpError("--normalised: a standard deviation is not above 0", got=stated, allowed=FORM)
    repeat = CHANNELS // len(mean)
    return mean * repeat, std * repeat
