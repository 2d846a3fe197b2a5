import subprocess
import sys

import pytest
import torch
from torch import nn

from uvlp.core.errors import UvlpError
from uvlp.protocols.training.loop import check_finite
from uvlp.protocols.training.optimisers import Sgd


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_is_torchs(momentum: float) -> None:
    networks = [nn.Linear(5, 3), nn.Linear(5, 3)]
    networks[1].load_state_dict(networks[0].state_dict())
    ours = Sgd(networks[0].parameters(), 0.1, momentum=momentum, weight_decay=0.01)
    theirs = torch.optim.SGD(networks[1].parameters(), 0.1, momentum=momentum, weight_decay=0.01)
    images = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    for lr in (0.1, 0.1, 0.02):
        ours.lr = theirs.param_groups[0]["lr"] = lr
        for network in networks:
            network.zero_grad()
            network(images).square().sum().backward()
        ours.step()
        theirs.step()
    for mine, reference in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(mine, reference)


def test_an_evaluation_does_not_import_the_compiler() -> None:
    code = (
        "import sys, numpy, torch\n"
        "from uvlp.protocols.training.images import Images, Prepared\n"
        "from uvlp.core.progress import Progress\n"
        "from uvlp.protocols.minimax import evaluate\n"
        "from uvlp.recipes.evaluation import EvaluateSettings\n"
        "images = Images(pixels=numpy.zeros((2, 8, 8, 3), numpy.uint8), labels=numpy.arange(2))\n"
        "scored = Prepared(pixels=torch.zeros((2, 3, 8, 8), dtype=torch.uint8), labels=numpy.arange(2))\n"
        "settings = EvaluateSettings(size_px=8, width=4, epochs=1)\n"
        "evaluate(images, scored, network='convnet-1', classes=2, ipc=1, settings=settings, seed=0,"
        " progress=Progress())\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_loss_that_is_no_number_is_named_by_epoch_and_step() -> None:
    good, bad = torch.ones(3), torch.tensor([1.0, float("inf"), float("nan")])
    check_finite([good, good], "convnet-3", 7, "do")
    with pytest.raises(UvlpError, match="network convnet-3, epoch 6, step 2; do this"):
        check_finite([good, bad, good], "convnet-3", 7, "do this")
