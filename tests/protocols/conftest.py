"""One thread, as in production: results do not depend on the number of cores."""

import torch

torch.set_num_threads(1)
