import subprocess
import sys

import torch
from torch import nn

from uvlp.blocks.training import Sgd, correct_predictions


def test_sgd_is_torchs() -> None:
    networks = [nn.Linear(5, 3), nn.Linear(5, 3)]
    networks[1].load_state_dict(networks[0].state_dict())
    ours = Sgd(networks[0], 0.1, momentum=0.9, weight_decay=0.01)
    theirs = torch.optim.SGD(networks[1].parameters(), 0.1, momentum=0.9, weight_decay=0.01)
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
        "import sys, numpy\n"
        "from uvlp.blocks.image_sets import Images\n"
        "from uvlp.core.progress import Progress\n"
        "from uvlp.evaluators.minimax import evaluate\n"
        "from uvlp.recipes.schema import EvaluateSettings\n"
        "images = Images(pixels=numpy.zeros((2, 8, 8, 3), numpy.uint8), labels=numpy.arange(2))\n"
        "settings = EvaluateSettings(size_px=8, width=4, epochs=1)\n"
        "evaluate(images, images, network='convnet-1', classes=2, ipc=1, settings=settings, seed=0,"
        " progress=Progress())\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_predictions_come_in_order_and_the_network_trains_on() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Identity()).train()
    images = torch.eye(5)
    found = correct_predictions(network, images.split(2), torch.tensor([0, 1, 0, 3, 4]), lambda part: part)
    assert found.tolist() == [True, True, False, True, True]
    assert network.training
