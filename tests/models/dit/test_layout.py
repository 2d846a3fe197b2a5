"""DiTPipeline folders: those of diffusers are read, and those that are written are read by diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiTPipeline, DiTTransformer2DModel
from safetensors.torch import load_file, save_file

from tests import tiny_models
from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.models.dit import layout
from uvlp.models.dit.network import DiT
from uvlp.models.quiet import quiet


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.dit(tmp_path_factory.mktemp("dit") / "published")


def weights(folder: Path) -> Path:
    return folder / "transformer" / "diffusion_pytorch_model.safetensors"


@torch.inference_mode()
def test_a_folder_of_diffusers_gives_the_same_outputs(published: Path) -> None:
    network = layout.load(published).double()
    reference: Any = DiTTransformer2DModel.from_pretrained(published, subfolder="transformer").double().eval()
    for block in reference.transformer_blocks:
        # diffusers' epsilon and frequencies differ from those of the published model.
        block.norm1.norm.eps = block.norm3.eps = 1e-6
        block.norm1.emb.time_proj.downscale_freq_shift = 0
    noisy = torch.randn(2, 4, 8, 8, generator=torch.manual_seed(0), dtype=torch.float64)
    given = noisy, torch.tensor([3, 950]), torch.tensor([207, 1000])
    expected = reference(*given).sample
    bound = rounding(depth(network), torch.float64, largest=expected.abs().max().item())
    torch.testing.assert_close(network(*given), expected, rtol=0, atol=bound)


def test_a_written_folder_has_the_same_weights_and_is_loaded_by_diffusers(
    published: Path, tmp_path: Path
) -> None:
    layout.save(layout.load(published), published / "vae", tmp_path / "new")
    before, after = load_file(weights(published)), load_file(weights(tmp_path / "new"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with quiet():
        pipeline: Any = DiTPipeline.from_pretrained(tmp_path / "new", local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        (image,) = pipeline([207], num_inference_steps=2, generator=torch.manual_seed(0)).images
    assert image.size == (64, 64) and pipeline.transformer.config.num_embeds_ada_norm == 1000


def test_blocks_with_different_embeddings_are_refused(published: Path, tmp_path: Path) -> None:
    layout.save(layout.load(published), published / "vae", tmp_path / "new")
    tensors = load_file(weights(tmp_path / "new"))
    name = "transformer_blocks.1.norm1.emb.class_embedder.embedding_table.weight"
    tensors[name][3, 2] += 1
    save_file(tensors, weights(tmp_path / "new"))
    with pytest.raises(UvlpError) as caught:
        layout.load(tmp_path / "new")
    assert caught.value.got is not None and name in str(caught.value.got)


def test_missing_tensors_are_refused(published: Path, tmp_path: Path) -> None:
    layout.save(layout.load(published), published / "vae", tmp_path / "new")
    tensors = load_file(weights(tmp_path / "new"))
    del tensors["transformer_blocks.1.attn1.to_k.bias"]
    save_file(tensors, weights(tmp_path / "new"))
    with pytest.raises(UvlpError) as caught:
        layout.load(tmp_path / "new")
    assert "to_k" in str(caught.value.got)


def test_the_default_sizes_are_those_of_the_published_model() -> None:
    with torch.device("meta"):
        network = DiT()
        names = {name: tuple(tensor.shape) for name, tensor in layout.to_diffusers(network).items()}
        reference = DiTTransformer2DModel(out_channels=8)
    assert names == {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}
