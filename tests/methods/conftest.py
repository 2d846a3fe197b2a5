"""One thread, as in the product: results and times do not depend on the machine's cores."""

import threadpoolctl  # type: ignore[import-untyped]
import torch

torch.set_num_threads(1)
threadpoolctl.threadpool_limits(1)
