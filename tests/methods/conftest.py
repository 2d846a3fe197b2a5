"""Use one thread, as in the product: results do not depend on the number of cores."""

import threadpoolctl  # type: ignore[import-untyped]
import torch

torch.set_num_threads(1)
threadpoolctl.threadpool_limits(1)
