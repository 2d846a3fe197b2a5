"""Weights of an RDED network from a file that somebody else made, and why a file does not fit.

safetensors as they are; `.pth` and `.pt` through torch's weights-only reader, which runs no code from the
file; torchvision's published weights from where torch keeps its downloads. Nothing is downloaded here.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_regular, refuse_impostor
from uvlp.core.files.torchscript import TITLE, is_torchscript
from uvlp.core.hashing import file_sha256, read_hashed
from uvlp.core.wording import first_few
from uvlp.networks import convnet
from uvlp.protocols.training import rded_networks

SUFFIXES = (".safetensors", ".pth", ".pt")
WRAPPERS = ("model", "state_dict")
PARALLEL = "module."
ANY_PX = 224  # every architecture takes it


def from_file(path: Path, architecture: str, *, classes: int, size_px: int, sha256: str = "") -> nn.Module:
    """The network with the weights of a `.safetensors`, `.pth` or `.pt` file.

    Args:
        sha256: what the file must hold, byte for byte; empty: anything.

    Raises:
        UvlpError: no such file, damaged, more than weights in it, weights of another network, or other bytes.
    """
    return _filled(read(path, sha256), str(path), architecture, classes=classes, size_px=size_px)


def from_torchvision(architecture: str, *, classes: int, size_px: int) -> nn.Module:
    """The network with torchvision's first published ImageNet-1K weights, if they have been downloaded.

    Raises:
        UvlpError: there are none for the architecture, the dataset has not 1000 classes, or the file is
            not there; its name and folder are given.
    """
    from torchvision import models

    rded_networks.check_published(architecture, classes)
    weights: Any = models.get_model_weights(architecture)
    url = weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        raise UvlpError(
            f"torchvision's weights of {architecture} are not on this machine",
            fix=f"download {url} to {path}",
        )
    begins = path.stem.rpartition("-")[2]  # torchvision writes the first digits of the hash into the name
    if not file_sha256(path).startswith(begins):
        raise UvlpError(
            f"torchvision's weights of {architecture} are damaged",
            got=str(path),
            allowed=f"a file whose SHA-256 begins {begins}",
            fix=f"download {url} again",
        )
    return from_file(path, architecture, classes=classes, size_px=size_px)


def check(path: str, architecture: str, *, classes: int, size_px: int) -> None:
    """Refuse a file, or torchvision's weights where ``path`` is empty, that is no such network.

    Raises:
        UvlpError: see `from_file` and `from_torchvision`.
    """
    if path:
        from_file(Path(path), architecture, classes=classes, size_px=size_px)
    else:
        from_torchvision(architecture, classes=classes, size_px=size_px)


def read(path: Path, sha256: str = "") -> dict[str, Tensor]:
    """The tensors of a file by their names, without wrapping keys and without ``module.`` in front.

    Raises:
        UvlpError: no such file, another kind of file, damaged, more than weights in it, or other bytes than
            ``sha256`` where that is given.
    """
    if path.suffix not in SUFFIXES:
        raise UvlpError("teacher checkpoint of an unknown kind", got=str(path), allowed=" ".join(SUFFIXES))
    if not os.path.exists(path):
        raise UvlpError("no such teacher checkpoint", got=str(path), allowed="the path of a file")
    check_regular(path, "teacher checkpoint")
    refuse_impostor(path, "teacher checkpoint", text=False)
    if is_torchscript(path):
        raise UvlpError(
            f"teacher checkpoint is {TITLE}",
            got=str(path),
            allowed="tensors alone",
            fix="if you trust where it comes from, keep its weights alone, in its folder: "
            f"python -c \"import torch; torch.save(torch.jit.load('{path.name}', 'cpu').state_dict(), "
            f"'{path.stem}-weights.pth')\"",
        )
    held = read_hashed(path, sha256) if sha256 else path.read_bytes()
    content = _read_safetensors(held, path) if path.suffix == ".safetensors" else _read_pickle(held, path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(map(_is_weight, content.items())):
        raise UvlpError(
            "teacher checkpoint without weights",
            got=str(path),
            allowed=f"tensors by name, or a dictionary that holds them as {' or '.join(WRAPPERS)}",
        )
    return {name.removeprefix(PARALLEL): tensor for name, tensor in content.items()}


def _is_weight(item: tuple[Any, Any]) -> bool:
    name, value = item
    return isinstance(name, str) and isinstance(value, Tensor)


def _read_safetensors(held: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return load(held)
    except SafetensorError as error:
        raise _damaged(path) from error


def _read_pickle(held: bytes, path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # of old pickle protocols
            return torch.load(io.BytesIO(held), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):  # no pickle at all
            raise _damaged(path) from error
        refused = re.search(r"GLOBAL (\S+)", str(error))
        what = f", {refused[1]}," if refused else ""
        raise UvlpError(
            f"teacher checkpoint holds more than weights{what} and reading the rest could run any code",
            got=str(path),
            allowed="tensors alone",
            fix="if you trust where it comes from, clean it once, in its folder and with its own key for "
            "'model': python -c \"import torch; torch.save("
            f"torch.load('{path.name}', weights_only=False)['model'], '{path.stem}-weights.pth')\"",
        ) from error
    except Exception as error:  # the reader meets bytes of any kind and says so in many ways
        raise _damaged(path) from error


def _damaged(path: Path) -> UvlpError:
    return UvlpError("damaged teacher checkpoint", got=str(path), fix="copy or download it again")


def _filled(
    state: dict[str, Tensor], source: str, architecture: str, *, classes: int, size_px: int
) -> nn.Module:
    network = rded_networks.seeded(architecture, classes=classes, size_px=size_px, seed=0)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    if found != expected:
        raise _mismatch(found, expected, source, architecture)
    kinds = {name: tensor.is_floating_point() for name, tensor in network.state_dict().items()}
    whole = [name for name, tensor in state.items() if tensor.is_floating_point() != kinds[name]]
    if whole:
        raise UvlpError(
            "teacher checkpoint with numbers of another kind",
            got=f"{state[whole[0]].dtype} in {first_few(whole)} of {source}",
            allowed="floating-point weights, whole numbers where the network counts",
            fix="convert the file again",
        )
    wrong = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if wrong:
        raise UvlpError(
            "teacher checkpoint with values that are not numbers",
            got=source,
            fix=f"look at {first_few(wrong)}",
        )
    network.load_state_dict(state, strict=True)
    return network


Shapes = dict[str, torch.Size]


def _mismatch(found: Shapes, expected: Shapes, source: str, architecture: str) -> UvlpError:
    """Why a file with other tensors is none of this architecture: classes, image size, or another network."""
    weight, _ = _classifier(expected)
    if _without_classifier(found, expected) == _without_classifier(expected, expected):
        has, needed = (tuple(shapes.get(weight, ())) for shapes in (found, expected))
        if len(has) == 2 and has[0] != needed[0]:
            return UvlpError(
                f"{source}: classes of the teacher",
                got=has[0],
                allowed=f"{needed[0]}, as the dataset has",
                fix="choose a teacher of this dataset",
            )
        if len(has) == 2:
            return _other_size(has[1], needed[1], source, architecture)
    return UvlpError(
        f"{source} is no {architecture}",
        got=_differences(found, expected),
        allowed=f"the tensors of {architecture}",
        fix=_recognised(found),
    )


def _other_size(has: int, needed: int, source: str, architecture: str) -> UvlpError:
    """A ConvNet's classifier sees every pixel of the last maps (quirk Q25)."""
    fix = "choose a teacher for this image size"
    blocks = rded_networks.depth(architecture)
    side = round((has / convnet.WIDTH) ** 0.5)
    if blocks and side**2 * convnet.WIDTH == has:
        fix += f", or evaluate at the teacher's: rded.size_px={side << blocks}"
    return UvlpError(
        f"{source}: inputs of the teacher's classifier",
        got=has,
        allowed=f"{needed} at this image size",
        fix=fix,
    )


def _differences(found: Shapes, expected: Shapes) -> str:
    shapes = [name for name in expected if name in found and found[name] != expected[name]]
    parts = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": shapes,
    }
    return "; ".join(f"{what}: {first_few(names)}" for what, names in parts.items() if names)


def _recognised(found: Shapes) -> str:
    """Which of the protocol's networks it is, going by all tensors but the classifier."""
    for architecture in rded_networks.ARCHITECTURES:
        with torch.device("meta"):
            network = rded_networks.build(architecture, classes=1, size_px=ANY_PX)
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        if _without_classifier(found, shapes) == _without_classifier(shapes, shapes):
            return f"it looks like a {architecture}"
    return "choose the network that the file was made with"


def _classifier(expected: Shapes) -> list[str]:
    """The names of the last two parameters, weight and bias."""
    return [name for name in expected if name.endswith(("weight", "bias"))][-2:]


def _without_classifier(shapes: Shapes, expected: Shapes) -> dict[str, torch.Size | None]:
    return {**shapes, **dict.fromkeys(_classifier(expected))}
