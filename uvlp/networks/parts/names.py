"""Names of test networks, in recipes, tables and on the command line: a family and a depth."""

from __future__ import annotations

import re

from uvlp.core.errors import UvlpError


def split_network(name: str) -> tuple[str, int]:
    """Split a network's name into family (a file of ``uvlp/networks``) and depth.

    ``"resnet-ap-10"`` gives ``("resnet_ap", 10)``; underscores are accepted for hyphens.

    Raises:
        UvlpError: the name does not end in a depth of one to four digits.
    """
    match = re.fullmatch(r"([a-z][a-z0-9]*(?:[-_][a-z][a-z0-9]*)*)[-_]([1-9][0-9]{0,3})", name)
    if match is None:
        raise UvlpError(
            "network without a depth",
            got=name,
            allowed="FAMILY-DEPTH, a depth of at most four digits",
            fix="use e.g. convnet-3 or resnet-ap-10",
        )
    return match.group(1).replace("-", "_"), int(match.group(2))
