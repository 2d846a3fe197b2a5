"""The Minimax protocol, image by image, from evaluation.md 1.3 to 1.10: the reference for our evaluator.

Every image goes through PIL and torchvision alone, in the processes of a DataLoader, and validation
images are prepared again for every pass. From the package it uses only the networks, which golden data
check separately, and the settings.

Legend: lam, c and the box as in evaluation.md 1.7.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler
from torchvision import transforms
from torchvision.transforms import functional

from uvlp.core.plugins import load
from uvlp.core.progress import Progress
from uvlp.networks.parts.names import split_network
from uvlp.protocols.training.images import Images
from uvlp.recipes.evaluation import EvaluateSettings

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST_CROP, ASPECTS = 1.0, (3 / 4, 4 / 3)
OPERATIONS = ("brightness", "contrast", "saturation")
EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
EIGENVECTORS = torch.tensor(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
VALIDATION_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The random numbers of one training image.

    Attributes:
        box: top, left, height, width of the crop, px.
        flip: whether it is mirrored.
        jitter: (operation, alpha), first to last.
        lighting: [3], coefficients of the eigenvectors.
    """

    box: tuple[int, int, int, int]
    flip: bool
    jitter: tuple[tuple[str, float], ...]
    lighting: Tensor


def draw(image: Tensor, settings: EvaluateSettings) -> Draw:
    """Draw for one [3,S,S] image from torch's global stream; the jitter from Python's (1.5)."""
    scale = [settings.crop_scale, LARGEST_CROP]
    box = transforms.RandomResizedCrop.get_params(image, scale, list(ASPECTS))
    flip = bool(torch.rand(1) < settings.flip)
    order = random.sample(OPERATIONS, len(OPERATIONS))
    jitter = tuple((name, random.uniform(-settings.jitter, settings.jitter)) for name in order)
    return Draw(
        box=box, flip=flip, jitter=jitter, lighting=torch.normal(0.0, settings.lighting, EIGENVALUES.shape)
    )


def augment(image: Tensor, drawn: Draw) -> Tensor:
    """Steps 4 to 8 of 1.5 on one [3,S,S] image in [0,1]."""
    size_px = list(image.shape[1:])
    image = functional.resized_crop(image, *drawn.box, size_px, transforms.InterpolationMode.BILINEAR)
    if drawn.flip:
        image = functional.hflip(image)
    for operation, alpha in drawn.jitter:
        image = (1 - alpha) * image + alpha * _target(image, operation)
    image = image + (EIGENVECTORS * drawn.lighting * EIGENVALUES).sum(1)[:, None, None]
    return functional.normalize(image, list(MEAN), list(STD))


def _target(image: Tensor, operation: str) -> Tensor:
    """What the jitter blends with: black, the mean luminance, or every pixel's own luminance."""
    luminance = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    targets = {"brightness": torch.zeros(()), "contrast": luminance.mean(), "saturation": luminance}
    return targets[operation]


class Pictures(Dataset[tuple[Tensor, int]]):
    """PIL images in memory, transformed one at a time when they are read."""

    def __init__(self, images: Images, transform: Callable[[Image.Image], Tensor]) -> None:
        self.pictures = [Image.fromarray(pixels) for pixels in images.pixels]
        self.labels = images.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.pictures[index]), self.labels[index]


def validation_transform(size_px: int) -> transforms.Compose:
    """PIL image to normalised [3,S,S] (1.4)."""
    return transforms.Compose([fixed_transform(size_px), transforms.Normalize(MEAN, STD)])


def fixed_transform(size_px: int) -> transforms.Compose:
    """PIL image to [3,S,S] in [0,1]: shorter side, centre crop, tensor."""
    return transforms.Compose(
        [transforms.Resize(size_px), transforms.CenterCrop(size_px), transforms.ToTensor()]
    )


@dataclass(frozen=True)
class TrainingTransform:
    """PIL image to augmented [3,S,S] (1.5)."""

    settings: EvaluateSettings

    def __call__(self, picture: Image.Image) -> Tensor:
        image = fixed_transform(self.settings.size_px)(picture)
        return augment(image, draw(image, self.settings))


class Endless(Sampler[list[int]]):
    """The batches of a sampler again and again, so that the loader's processes run ahead of the epoch."""

    def __init__(self, batches: BatchSampler) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            yield from self.batches


class Loader:
    """Batches of every epoch from processes that are started once and survive all epochs (1.6)."""

    def __init__(self, pictures: Pictures, batch: int, *, shuffle: bool, workers: int, device: str) -> None:
        order = RandomSampler(pictures) if shuffle else SequentialSampler(pictures)
        batches = BatchSampler(order, batch, drop_last=False)
        self.count = len(batches)
        loader = DataLoader(
            pictures,
            batch_sampler=Endless(batches),
            num_workers=workers,
            pin_memory=device != "cpu",
            multiprocessing_context="fork",  # the images are shared, not copied
        )
        self._batches = iter(loader)
        self._device = device

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one pass over the images, on the device."""
        for images, labels in itertools.islice(self._batches, self.count):
            yield images.to(self._device, non_blocking=True), labels.to(self._device, non_blocking=True)


def box(size_px: int, lam: float, cx: int, cy: int) -> tuple[int, int, int, int]:
    """x1, x2, y1, y2 of the CutMix box (1.7)."""
    c = int(size_px * numpy.sqrt(1.0 - lam))
    edges = [centre + step for centre in (cx, cy) for step in (-(c // 2), c // 2)]
    x1, x2, y1, y2 = (int(edge) for edge in numpy.clip(edges, 0, size_px))
    return x1, x2, y1, y2


def loss_of_step(
    network: nn.Module, images: Tensor, labels: Tensor, mix_probability: float
) -> tuple[Tensor, Tensor]:
    """Loss and logits of one training batch, nearly always mixed (1.7); ``images`` are changed."""
    if numpy.random.rand() >= mix_probability:
        logits = network(images)
        return cross_entropy(logits, labels), logits
    size_px = images.shape[2]
    lam = numpy.random.beta(1.0, 1.0)
    partner = torch.randperm(len(images)).to(images.device)
    x1, x2, y1, y2 = box(size_px, lam, *(numpy.random.randint(size_px) for _ in range(2)))
    unmixed = images.clone()
    images[:, :, x1:x2, y1:y2] = unmixed[partner, :, x1:x2, y1:y2]
    ratio = 1 - (x2 - x1) * (y2 - y1) / size_px**2
    logits = network(images)
    loss = ratio * cross_entropy(logits, labels) + (1 - ratio) * cross_entropy(logits, labels[partner])
    return loss, logits


def optimisation(
    network: nn.Module, settings: EvaluateSettings, epochs: int
) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.MultiStepLR]:
    """SGD on all parameters and its learning rate, which falls after two epochs (1.8)."""
    optimiser = torch.optim.SGD(
        network.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay
    )
    milestones = [2 * epochs // 3, 5 * epochs // 6]
    return optimiser, torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma=0.2)


def right(logits: Tensor, labels: Tensor) -> tuple[int, int]:
    """Images whose label is the largest logit, and among the five largest; read at once, as published."""
    largest = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return int(largest[:, 0].sum().item()), int(largest.sum().item())


def train_epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, loader: Loader, mix_probability: float
) -> tuple[float, float, float]:
    """One step per batch; what the reference logs: mean loss, top-1 and top-5 percent on unmixed labels."""
    network.train()
    totals, seen = numpy.zeros(3), 0
    for images, labels in loader.epoch():
        loss, logits = loss_of_step(network, images, labels, mix_probability)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals += loss.item() * len(labels), *right(logits, labels)
        seen += len(labels)
    loss, top1, top5 = totals / seen
    return loss, 100 * top1, 100 * top5


def validate(network: nn.Module, loader: Loader) -> float:
    """Accuracy in percent (1.9); autograd stays on, as in the reference."""
    network.eval()
    correct, seen = 0, 0
    for images, labels in loader.epoch():
        correct += right(network(images), labels)[0]
        seen += len(labels)
    return 100 * correct / seen


@dataclass(frozen=True, slots=True)
class Result:
    """What one training gave: accuracies in percent and the epoch of the best one."""

    best_pct: float
    best_epoch: int
    last_pct: float
    curve: tuple[tuple[int, float], ...]


def result(curve: Sequence[tuple[int, float]]) -> Result:
    """Best and last of (epoch, percent): from 0, strictly greater replaces (1.9)."""
    best_pct, best_epoch = 0.0, 0
    for epoch, pct in curve:
        if pct > best_pct:
            best_pct, best_epoch = pct, epoch
    return Result(best_pct, best_epoch, curve[-1][1], tuple(curve))


def evaluate_slowly(
    train: Images,
    validation: Images,
    *,
    network: str,
    classes: int,
    settings: EvaluateSettings,
    seed: int,
    workers: tuple[int, int] = (2, 2),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Result:
    """One training of one network; both sets at their original size.

    Args:
        network: family and depth, e.g. "convnet-3"; at most 100 classes.
        settings: with the number of epochs, which the number of validations divides.
        seed: of NumPy and torch, set once (1.10); Python's stream is seeded by the loader's processes.
        workers: processes that load training and validation images.
    """
    period, rest = divmod(settings.epochs, settings.validations)
    assert rest == 0 and period and classes <= 100, "other schedules are not implemented"
    assert min(workers) > 0, "without processes the jitter would not follow the seed"
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    if device != "cpu":
        torch.backends.cudnn.benchmark = True
    model = _build(network, classes, settings).to(device)
    optimiser, scheduler = optimisation(model, settings, settings.epochs)
    training = Pictures(train, TrainingTransform(settings))
    unseen = Pictures(validation, validation_transform(settings.size_px))
    batches = Loader(training, settings.batch, shuffle=True, workers=workers[0], device=device)
    unseen_batches = Loader(unseen, VALIDATION_BATCH, shuffle=False, workers=workers[1], device=device)
    curve = []
    for epoch in (progress or Progress()).track(range(1, settings.epochs + 1)):
        train_epoch(model, optimiser, batches, settings.mix_probability)
        scheduler.step()
        if epoch % period == 0:
            curve.append((epoch, validate(model, unseen_batches)))
    return result(curve)


def _build(network: str, classes: int, settings: EvaluateSettings) -> nn.Module:
    family, depth = split_network(network)
    build = load("networks", family).build
    model: nn.Module = build(
        depth, classes=classes, size_px=settings.size_px, norm=settings.norm, width=settings.width
    )
    return model
