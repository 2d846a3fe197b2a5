"""What VLCP asks about an image, and what it deletes from the answer (methods.md B.1)."""

from __future__ import annotations

QUESTION = (
    "Describe the physical appearance of the {name} in the image."  # no blank follows, as published
    "Include details about its shape, posture, color, and any distinct features."
)


def question(name: str) -> str:
    """The question about an image of the class ``name``, ImageNet's full synonyms where it has them."""
    return QUESTION.format(name=name)


def clean(answer: str) -> str:
    """The answer stripped, then without every double quote, then without every ``'s``."""
    return answer.strip().replace('"', "").replace("'s", "")
