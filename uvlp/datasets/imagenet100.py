"""`imagenet100`: a hundred classes of ImageNet, of a local ILSVRC folder."""

from __future__ import annotations

from uvlp.blocks.ilsvrc_sets import VARIANTS as VARIANTS
from uvlp.blocks.ilsvrc_sets import IlsvrcSet

REVISION = 1
SET = IlsvrcSet(name="imagenet100", source="a hundred classes of ILSVRC-2012", counts=(None, 5_000))
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch
