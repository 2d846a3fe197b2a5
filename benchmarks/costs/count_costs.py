"""Count what `uvlp --dry-run` needs to know of models and networks, and write it into the package.

    python -m benchmarks.costs.count_costs

Writes `uvlp/pipeline/estimates/costs.json`: operations per image by `torch.utils.flop_counter` on the device
``meta`` (two per multiply-add), parameters, and the bytes that a training step keeps of each image for its
backward pass. The published models' operations are those of `flops.json` (`benchmarks.costs.flops`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.costs.flops import build, operations, size
from benchmarks.parity import facts
from benchmarks.runs import full_size
from uvlp.core.plugins import PACKAGE, load
from uvlp.datasets import digits
from uvlp.methods import glad
from uvlp.models import autoencoder, diffuser, embedder
from uvlp.models.stylegan_xl.architecture import Architecture
from uvlp.models.stylegan_xl.generator import Generator
from uvlp.networks.parts.names import split_network
from uvlp.pipeline.estimates import assumptions
from uvlp.protocols.training import rded_networks
from uvlp.recipes import profiles
from uvlp.recipes.schema import Recipe

FILE = PACKAGE / "pipeline" / "estimates" / "costs.json"
FLOPS = facts.MEASURED / "benchmarks" / "flops.json"
CLASSES, TOKENS = 10, 77
SIDES = (64, 32, 28, 8, 4)
"""Latent sides that are fine-tuned at: 512, 256, 224, 64 and 32 px."""
SIZES_PX = (16, 32, 64, 128, 224)
MINIMAX = (
    *("convnet-3", "convnet-4", "convnet-5", "convnet-6"),
    *("resnet-10", "resnet-18", "resnet-ap-10", "resnet-ap-18"),
)
RDED = ("conv3", "conv4", "conv5", "conv6", "resnet18", "resnet18_modified", "resnet50", "resnet101")
NARROW = (("convnet-3", 16, 32), ("convnet-3", 32, 32), ("convnet-3", 16, 8), ("convnet-3", 32, 8))
"""Network, image side and width of the digits' and the folders' recipes, and of profile nano."""
VOCABULARY = 512  # of the small text towers: an embedding costs no operations


def empty(*shape: int) -> torch.Tensor:
    """A float32 tensor without values."""
    return torch.empty(shape, device="meta")


def kept_bytes(call: Callable[[], Any], model: torch.nn.Module) -> int:
    """Bytes that the call keeps for a backward pass, without the weights."""
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return sum(storage.nbytes() for storage in kept.values())


def network(model: torch.nn.Module, size_px: int) -> dict[str, int]:
    """One forward pass of a test network per image, and what its training keeps."""
    model = model.to("meta").train()
    pair = empty(2, 3, size_px, size_px)
    with torch.no_grad():
        flops = operations(lambda: model(pair)) // 2
    kept = kept_bytes(lambda: model(pair), model) // 2
    return {"flops": flops, "parameters": size(model), "kept_bytes": kept}


def networks() -> Iterator[tuple[str, dict[str, int]]]:
    """Every test network at every size that it takes, as ``NAME SIZE`` or ``NAME SIZE wWIDTH``."""
    for name in MINIMAX:
        family, depth = split_network(name)
        module = load("networks", family)
        for size_px in SIZES_PX:
            if size_px >> depth or not family.startswith("conv"):
                model = module.build(depth, classes=CLASSES, size_px=size_px)
                yield f"{name} {size_px}", network(model, size_px)
    for name, size_px, width in NARROW:
        family, depth = split_network(name)
        model = load("networks", family).build(depth, classes=CLASSES, size_px=size_px, width=width)
        yield f"{name} {size_px} w{width}", network(model, size_px)
    for name in RDED:
        for size_px in SIZES_PX:
            if size_px >> rded_networks.depth(name):
                model = rded_networks.build(name, classes=CLASSES, size_px=size_px)
                yield f"{name} {size_px}", network(model, size_px)


def build_generator() -> Generator:
    """StyleGAN-XL for ImageNet at 256 px, without values."""
    with torch.device("meta"):
        return Generator(Architecture())


def published() -> dict[str, Any]:
    """Stable Diffusion 1.5, CLIP ViT-L/14 and LLaVA-1.5-7B: `flops.json`, and what else depends on size.

    StyleGAN-XL is counted from the feature map on that `glad` optimises.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    rows = json.loads(FLOPS.read_text(encoding="utf-8"))
    unet = build(UNet2DConditionModel, full_size.unet_config())
    vae = build(AutoencoderKL, full_size.vae_config())
    text = torch.empty((1, TOKENS, 768), dtype=torch.float16, device="meta")

    def call(side: int) -> Any:
        latents = torch.empty((1, 4, side, side), dtype=torch.float16, device="meta")
        return unet(latents, torch.empty(1, device="meta"), text).sample

    def encode(side: int) -> Any:
        return vae.encode(torch.empty((1, 3, 8 * side, 8 * side), dtype=torch.float16, device="meta"))

    with torch.no_grad():
        calls = {str(side): operations(partial(call, side)) for side in SIDES}
        encodes = {str(side): operations(partial(encode, side)) for side in SIDES}
        generator = build_generator()
        latents = empty(1, generator.latents, generator.sizes.w_dim)
        maps = generator.features(latents, glad.Settings().layer)
        rendered = operations(lambda: generator.images(maps, latents, glad.Settings().layer))
    unet.train()
    kept = kept_bytes(lambda: call(64), unet)
    unet.enable_gradient_checkpointing()
    return {
        "flops": {name: row["flops"] for name, row in rows.items()},
        "activation_bytes": {name: row["activation_bytes"] for name, row in rows.items()},
        "unet_by_side": calls,
        "encode_by_side": encodes,
        "stylegan_xl": rendered,
        "kept_bytes": {"finetune": kept, "finetune_checkpointed": kept_bytes(lambda: call(64), unet)},
        "parameters": {
            "unet": size(unet),
            "vae": size(vae),
            "text": rows["diffusion_text"]["parameters"],
            "clip": rows["clip_image"]["parameters"] + rows["clip_text"]["parameters"],
            "llava": rows["llava_image"]["parameters"] + rows["llava_token"]["parameters"],
        },
    }


def small(recipe: Recipe) -> dict[str, Any]:
    """The models of a profile that trains them: forward operations per image, and parameters."""
    import open_clip

    side_px = recipe.image_px
    config = embedder._config(recipe.embedder, side_px, VOCABULARY)["model_cfg"]
    clip = open_clip.CLIP(**config).to("meta").eval()
    vae = autoencoder._build(recipe.autoencoder, side_px).to("meta")
    side = side_px >> (len(recipe.autoencoder.channels) - 1)
    width, length = recipe.embedder.text_width, recipe.embedder.context_length
    unet = diffuser._build(recipe.diffuser, side, width).to("meta")
    picture, latent, states = empty(1, 3, side_px, side_px), empty(1, 4, side, side), empty(1, length, width)
    ids = torch.empty((1, length), dtype=torch.long, device="meta")
    with torch.no_grad():
        return {
            "image_px": side_px,
            "shapes": assumptions.shapes(recipe),
            "latent_px": side,
            "width": width,
            "parameters": {"unet": size(unet), "vae": size(vae), "clip": size(clip)},
            "flops": {
                "unet": operations(lambda: unet(latent, empty(1), states)),
                "vae_encode": operations(lambda: vae.encode(picture)),
                "vae_decode": operations(lambda: vae.decode(latent)),
                "clip_image": operations(lambda: clip.encode_image(picture)),
                "clip_text": operations(lambda: clip.encode_text(ids)),
            },
        }


def main() -> None:
    """Count everything and write the file."""
    recipe = digits.recipe(10)
    kinds = [name for name in profiles.PROFILES if not profiles.apply(recipe, name).pretrained]
    trained = [small(profiles.apply(recipe, name)) for name in kinds if name != "nano"]
    everything = {"published": published(), "small": trained, "networks": dict(networks())}
    FILE.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
