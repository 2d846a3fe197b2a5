"""`imageidc`: the ten classes of ImageNet that IDC chose, of a local ILSVRC folder."""

from __future__ import annotations

from uvlp.blocks.ilsvrc_sets import VARIANTS as VARIANTS
from uvlp.blocks.ilsvrc_sets import IlsvrcSet

REVISION = 1
SET = IlsvrcSet(name="imageidc", source="ten classes of ILSVRC-2012", counts=(None, 500))
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch
