"""`imagenet1k`: ILSVRC-2012, all thousand classes, of a local folder."""

from __future__ import annotations

from uvlp.blocks.ilsvrc_sets import VARIANTS as VARIANTS
from uvlp.blocks.ilsvrc_sets import IlsvrcSet

REVISION = 1
SET = IlsvrcSet(name="imagenet1k", source="ILSVRC-2012", counts=(1_281_167, 50_000), strict=True)
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch
