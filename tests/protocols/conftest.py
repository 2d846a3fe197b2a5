"""One thread, as in the product: results and times do not depend on the machine's cores."""

import torch

torch.set_num_threads(1)
