"""Load an RDED network from a third-party checkpoint, and explain why a checkpoint does not fit.

safetensors are read directly; `.pth` and `.pt` with torch's weights-only reader, which runs no code from the
file; torchvision's published weights from torch's download folder. Nothing is downloaded here.
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

from uvlp.core.errors import MissingFile, UvlpError
from uvlp.core.files.foreign_files import check_regular, refuse_wrong_content
from uvlp.core.files.torchscript import TITLE, is_torchscript
from uvlp.core.hashing import file_sha256, read_hashed
from uvlp.core.wording import first_few
from uvlp.networks import convnet
from uvlp.protocols.training import rded_networks

SUFFIXES = (".safetensors", ".pth", ".pt")
WRAPPERS = ("model", "state_dict")
PARALLEL = "module."
ANY_PX = 224  # every architecture accepts it


def from_file(path: Path, architecture: str, *, classes: int, size_px: int, sha256: str = "") -> nn.Module:
    """Return the network with the weights of a `.safetensors`, `.pth` or `.pt` file.

    Args:
        sha256: expected hash of the file; empty to accept any.

    Raises:
        UvlpError: no such file, damaged, contains more than weights, weights of another network, or a
            different hash.
    """
    return _filled(read(path, sha256), str(path), architecture, classes=classes, size_px=size_px)


def from_torchvision(architecture: str, *, classes: int, size_px: int) -> nn.Module:
    """Return the network with torchvision's first published ImageNet-1K weights, already downloaded.

    Raises:
        UvlpError: none are published for the architecture, the dataset does not have 1000 classes, or the
            file is missing (the error gives its URL and path) or damaged.
    """
    from torchvision import models

    rded_networks.check_published(architecture, classes)
    weights: Any = models.get_model_weights(architecture)
    url = weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        raise MissingFile(
            f"torchvision's weights of {architecture} are not on this machine",
            fix=f"download {url} to {path}",
        )
    prefix = path.stem.rpartition("-")[2]  # the file name contains the first digits of the hash
    if not file_sha256(path).startswith(prefix):
        raise UvlpError(
            f"torchvision's weights of {architecture} are damaged",
            got=str(path),
            allowed=f"a file whose SHA-256 starts with {prefix}",
            fix=f"download {url} again",
        )
    return from_file(path, architecture, classes=classes, size_px=size_px)


def check(path: str, architecture: str, *, classes: int, size_px: int) -> None:
    """Refuse a checkpoint (torchvision's weights if ``path`` is empty) that does not fit the network.

    Raises:
        UvlpError: see `from_file` and `from_torchvision`.
    """
    if path:
        from_file(Path(path), architecture, classes=classes, size_px=size_px)
    else:
        from_torchvision(architecture, classes=classes, size_px=size_px)


def read(path: Path, sha256: str = "") -> dict[str, Tensor]:
    """Return a file's tensors by name, without wrapper keys and without the prefix ``module.``.

    Raises:
        UvlpError: no such file, unsupported format, damaged, contains more than weights, or a hash other
            than ``sha256`` if that is given.
    """
    if path.suffix not in SUFFIXES:
        raise UvlpError("unknown format of a teacher checkpoint", got=str(path), allowed=" ".join(SUFFIXES))
    if not os.path.exists(path):
        raise UvlpError("no such teacher checkpoint", got=str(path), allowed="the path of a file")
    check_regular(path, "teacher checkpoint")
    refuse_wrong_content(path, "teacher checkpoint", text=False)
    if is_torchscript(path):
        raise UvlpError(
            f"teacher checkpoint is {TITLE}",
            got=str(path),
            allowed="tensors only",
            fix="if you trust its source, extract the weights, in its folder: "
            f"python -c \"import torch; torch.save(torch.jit.load('{path.name}', 'cpu').state_dict(), "
            f"'{path.stem}-weights.pth')\"",
        )
    data = read_hashed(path, sha256) if sha256 else path.read_bytes()
    content = _read_safetensors(data, path) if path.suffix == ".safetensors" else _read_pickle(data, path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(map(_is_weight, content.items())):
        raise UvlpError(
            "teacher checkpoint without weights",
            got=str(path),
            allowed=f"tensors by name, or a dictionary with these under {' or '.join(WRAPPERS)}",
        )
    return {name.removeprefix(PARALLEL): tensor for name, tensor in content.items()}


def _is_weight(item: tuple[Any, Any]) -> bool:
    name, value = item
    return isinstance(name, str) and isinstance(value, Tensor)


def _read_safetensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return load(data)
    except SafetensorError as error:
        raise _damaged(path) from error


def _read_pickle(data: bytes, path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # about old pickle protocols
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):  # not a pickle
            raise _damaged(path) from error
        refused = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({refused[1]})" if refused else ""
        raise UvlpError(
            f"teacher checkpoint contains more than weights{what}; loading the rest could run any code",
            got=str(path),
            allowed="tensors only",
            fix="if you trust its source, extract the weights once, in its folder, with its own key instead "
            "of 'model': python -c \"import torch; torch.save("
            f"torch.load('{path.name}', weights_only=False)['model'], '{path.stem}-weights.pth')\"",
        ) from error
    except Exception as error:  # arbitrary bytes make the reader raise exceptions of many types
        raise _damaged(path) from error


def _damaged(path: Path) -> UvlpError:
    return UvlpError("damaged teacher checkpoint", got=str(path), fix="copy or download it again")


def _filled(
    state: dict[str, Tensor], source: str, architecture: str, *, classes: int, size_px: int
) -> nn.Module:
    network = rded_networks.seeded(architecture, classes=classes, size_px=size_px, seed=0)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in state.items()}
    if shapes != expected:
        raise _mismatch(shapes, expected, source, architecture)
    floating = {name: tensor.is_floating_point() for name, tensor in network.state_dict().items()}
    mistyped = [name for name, tensor in state.items() if tensor.is_floating_point() != floating[name]]
    if mistyped:
        raise UvlpError(
            "teacher checkpoint with a wrong dtype",
            got=f"{state[mistyped[0]].dtype} in {first_few(mistyped)} of {source}",
            allowed="floating-point weights, integer counters",
            fix="convert the file again",
        )
    wrong = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if wrong:
        raise UvlpError(
            "teacher checkpoint with NaN or infinite values",
            got=source,
            fix=f"check {first_few(wrong)}",
        )
    network.load_state_dict(state, strict=True)
    return network


Shapes = dict[str, torch.Size]


def _mismatch(actual: Shapes, expected: Shapes, source: str, architecture: str) -> UvlpError:
    """Explain a mismatch: another number of classes, another image size, or another network."""
    weight, _ = _classifier(expected)
    if _without_classifier(actual, expected) == _without_classifier(expected, expected):
        has, needed = (tuple(shapes.get(weight, ())) for shapes in (actual, expected))
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
        f"{source} is not a checkpoint of {architecture}",
        got=_differences(actual, expected),
        allowed=f"the tensors of {architecture}",
        fix=_recognised(actual),
    )


def _other_size(has: int, needed: int, source: str, architecture: str) -> UvlpError:
    """Explain another image size: a ConvNet's classifier reads every pixel of the last maps (quirk Q25)."""
    fix = "choose a teacher for this image size"
    blocks = rded_networks.depth(architecture)
    side = round((has / convnet.WIDTH) ** 0.5)
    if blocks and side**2 * convnet.WIDTH == has:
        fix += f", or evaluate at the teacher's image size: rded.size_px={side << blocks}"
    return UvlpError(
        f"{source}: inputs of the teacher's classifier",
        got=has,
        allowed=f"{needed} at this image size",
        fix=fix,
    )


def _differences(actual: Shapes, expected: Shapes) -> str:
    parts = {
        "missing": [name for name in expected if name not in actual],
        "unexpected": [name for name in actual if name not in expected],
        "wrong shape": [name for name in expected if name in actual and actual[name] != expected[name]],
    }
    return "; ".join(f"{what}: {first_few(names)}" for what, names in parts.items() if names)


def _recognised(actual: Shapes) -> str:
    """Suggest the protocol's network whose tensors match, the classifier aside."""
    for architecture in rded_networks.ARCHITECTURES:
        with torch.device("meta"):
            network = rded_networks.build(architecture, classes=1, size_px=ANY_PX)
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        if _without_classifier(actual, shapes) == _without_classifier(shapes, shapes):
            return f"choose {architecture}, whose tensors match"
    return "choose the network that was trained"


def _classifier(expected: Shapes) -> list[str]:
    """Return the names of the last two parameters, weight and bias."""
    return [name for name in expected if name.endswith(("weight", "bias"))][-2:]


def _without_classifier(shapes: Shapes, expected: Shapes) -> dict[str, torch.Size | None]:
    return {**shapes, **dict.fromkeys(_classifier(expected))}
