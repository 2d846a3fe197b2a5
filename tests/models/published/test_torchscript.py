"""Weights in TorchScript format, as published by OpenAI, are recognised and converted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.models.published.test_kinds import UNET, refusal, run_fix
from uvlp.core.errors import UvlpError
from uvlp.core.files.torchscript import TITLE
from uvlp.models.published import find
from uvlp.recipes.schema import ModelSettings


class _Tower(torch.nn.Module):
    """Tensors with the names of a CLIP, never called."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            inner: torch.nn.Module = self
            for part in path:
                if not hasattr(inner, part):
                    inner.add_module(part, torch.nn.Module())
                inner = getattr(inner, part)
            inner.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
        self.register_buffer("context_length", torch.tensor(77))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def torchscript(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write the tensors in the format of OpenAI's CLIP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.script(_Tower(tensors)).save(str(path))
    return path


SOME = {"visual.proj": torch.zeros(2, 3), "text_projection": torch.zeros(3, 3)}
PROGRAM = f"{TITLE}, not "


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.parametrize("value", ["{}", "local-dir:{}", "local-dir:{folder}", "{folder}"])
def test_openais_file_of_clip_is_recognised(value: str, tmp_path: Path) -> None:
    path = torchscript(tmp_path / "clip" / "ViT-L-14.pt", SOME)
    with pytest.raises(UvlpError) as caught:
        find.needed(ModelSettings(clip=value.format(path, folder=path.parent)), ["clip"])
    error = caught.value
    assert error.what.endswith(f"{PROGRAM}a CLIP for open_clip") and error.got == str(path)
    assert "models.clip=openai" in str(error.fix)


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
def test_openais_file_with_a_configuration_is_converted(copies: dict[str, Path], cache: Path) -> None:
    folder = copies["clip"]
    weights = folder / "open_clip_model.safetensors"
    path = torchscript(folder / "ViT-L-14.pt", load_file(weights))
    weights.unlink()
    error = refusal(folder, "clip")
    assert error.what.endswith(f"{PROGRAM}a CLIP for open_clip") and error.got == str(path)
    run_fix(error, folder, folder)
    assert find.find(ModelSettings(clip=f"local-dir:{folder}"), "clip", cache)


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.parametrize("part", ["diffusion", "llava"])
def test_torchscript_instead_of_other_models_is_recognised(part: str, tmp_path: Path) -> None:
    path = torchscript(tmp_path / "x" / "model.pt", SOME)
    assert PROGRAM in refusal(path, part).what and PROGRAM in refusal(path.parent, part).what


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
def test_torchscript_under_the_name_of_weights_is_recognised(copies: dict[str, Path]) -> None:
    for part, name in (("clip", "open_clip_model.safetensors"), ("diffusion", UNET)):
        torchscript(copies[part] / name, SOME)
        error = refusal(copies[part], part)
        assert error.what.endswith(f"{PROGRAM}a safetensors file") and error.got == str(copies[part] / name)
