"""Count the floating-point operations of the published models, forward and training, without running them.

    python -m benchmarks.costs.flops [--record]

On the device ``meta``, per image: two operations per multiply-add, matrix products, convolutions and
attention only (a causal mask halves the attention in the kernels; the full attention is counted). `--record`
writes `flops.json`, which `uvlp` reads for its estimates of time, and `flops.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.costs.live_memory import LivePeak
from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from benchmarks.runs import full_size

PROMPT_TOKENS = 64  # system prompt, question and roles around the 576 tokens of an image
ANSWER_TOKENS = 128
CLIP_PX, LLAVA_PX = 224, 336
PUBLISHED_MACS = 0.40e12  # methods.md F.4, per sample and call
TYPE = torch.float16


@dataclass(frozen=True, slots=True)
class Count:
    """Operations of one unit of work, the most memory that its tensors take, and the weights it reads.

    Weights and activations are in half precision, 2 bytes each.
    """

    name: str
    what: str
    flops: int
    activation_bytes: int | None
    parameters: int

    @property
    def weight_bytes(self) -> int:
        """In float16 or bfloat16."""
        return 2 * self.parameters


def empty(*shape: int) -> torch.Tensor:
    """A tensor without values."""
    return torch.empty(shape, dtype=TYPE, device="meta")


def ids(length: int) -> torch.Tensor:
    """Token ids [1, length] without values."""
    return torch.empty((1, length), dtype=torch.long, device="meta")


def operations(call: Callable[[], Any]) -> int:
    """Floating-point operations of the call."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


def counted(model: torch.nn.Module, call: Callable[[], Any]) -> tuple[int, int]:
    """Operations of a forward call, and the most bytes of tensors that are alive in it."""
    with LivePeak(model) as memory:
        call()
    return operations(call), memory.peak


def build(cls: Any, config: Any) -> Any:
    """A model without values."""
    return full_size.build(cls, config, "meta", TYPE)


def size(model: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def unet_call(unet: Any, samples: int) -> Any:
    """One call of the UNet on latents of 512 px and prompts of 77 tokens."""
    times = torch.empty(samples, device="meta")
    return unet(empty(samples, *full_size.LATENT), times, empty(samples, full_size.TOKENS, 768)).sample


def diffusion() -> Iterator[Count]:
    """UNet, autoencoder and text encoder of Stable Diffusion 1.5."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    unet = build(UNet2DConditionModel, full_size.unet_config())
    vae = build(AutoencoderKL, full_size.vae_config())
    text = build(CLIPTextModel, full_size.text_config())
    side = full_size.IMAGE_PX
    with torch.inference_mode():
        pair = counted(unet, lambda: unet_call(unet, 2))
        encode = counted(vae, lambda: vae.encode(empty(1, 3, side, side)))
        decode = counted(vae, lambda: vae.decode(empty(1, *full_size.LATENT)))
        prompt = counted(text, lambda: text(ids(full_size.TOKENS)))
    yield Count("unet_pair", "one UNet call with guidance: two samples, 64 x 64 latents", *pair, size(unet))
    yield Count("vae_encode", "VAE, one image of 512 px to moments", *encode, size(vae.encoder))
    yield Count("vae_decode", "VAE, one latent to an image of 512 px", *decode, size(vae.decoder))
    yield Count("diffusion_text", "text encoder, one prompt of 77 tokens", *prompt, size(text))
    step = operations(lambda: unet_call(unet, 1).sum().backward())
    yield Count("finetune", "UNet, one training sample: forward and backward", step, None, size(unet))
    unet.train().enable_gradient_checkpointing()
    again = operations(lambda: unet_call(unet, 1).sum().backward())
    yield Count("finetune_checkpointed", "the same with gradient checkpointing", again, None, size(unet))


@torch.inference_mode()
def clip() -> Iterator[Count]:
    """CLIP ViT-L/14."""
    import open_clip

    model = build(open_clip.CLIP, full_size.clip_config())
    image = counted(model, lambda: model.encode_image(empty(1, 3, CLIP_PX, CLIP_PX)))
    text = counted(model, lambda: model.encode_text(ids(full_size.TOKENS)))
    visual = size(model.visual)
    yield Count("clip_image", "CLIP, one image of 224 px", *image, visual)
    yield Count("clip_text", "CLIP, one text of 77 tokens", *text, size(model) - visual)


@torch.inference_mode()
def llava() -> Iterator[Count]:
    """LLaVA-1.5-7B: image, prompt, and one token of the answer in the middle of it."""
    from transformers import LlavaForConditionalGeneration

    model = build(LlavaForConditionalGeneration, full_size.llava_config())
    language = model.model.language_model
    seen = size(model.model.vision_tower) + size(model.model.multi_modal_projector)
    image = counted(model, lambda: model.model.get_image_features(empty(1, 3, LLAVA_PX, LLAVA_PX)))
    tokens = (LLAVA_PX // 14) ** 2 + PROMPT_TOKENS
    spoken = size(language) + size(model.lm_head)

    def continued(new: int, cache: Any) -> Any:
        """``new`` tokens behind a cache; a mask of four dimensions is used as it is."""
        length = new + (cache.get_seq_length() if cache is not None else 0)
        states = language(
            inputs_embeds=empty(1, new, 4096),
            attention_mask=empty(1, 1, new, length),
            position_ids=ids(new),
            past_key_values=cache,
            use_cache=True,
        )
        model.lm_head(states.last_hidden_state[:, -1:])
        return states.past_key_values

    prompt = counted(model, lambda: continued(tokens, None))
    cache = continued(tokens + ANSWER_TOKENS // 2, None)
    token = counted(model, lambda: continued(1, cache))
    yield Count("llava_image", "LLaVA, one image of 336 px to 576 embeddings", *image, seen)
    yield Count("llava_prefill", f"LLaVA, prompt of {tokens} tokens", *prompt, spoken)
    yield Count("llava_token", f"LLaVA, one further token at {tokens + ANSWER_TOKENS // 2}", *token, spoken)


def report(counts: list[Count]) -> str:
    """The counts as Markdown."""
    rows = [
        [
            f"`{count.name}`",
            count.what,
            f"{count.flops / 1e12:.4f}",
            "–" if count.activation_bytes is None else f"{count.activation_bytes / 1e6:.0f}",
            f"{count.parameters / 1e6:.1f}",
            f"{count.weight_bytes / 1e9:.2f}",
        ]
        for count in counts
    ]
    head = ["name", "unit", "TFLOP", "activations, MB", "parameters, M", "weights in half precision, GB"]
    macs = counts[0].flops / 4
    return (
        "# Operations of the published models, counted\n\nBy `torch.utils.flop_counter` on models without "
        "memory (device `meta`): matrix products, convolutions and attention, two operations per "
        "multiply-add; activations are the most memory of tensors alive at once, without what kernels take "
        "for themselves (not counted in training, where `meta` would write the attention matrices out). Half "
        f"precision. Nothing is timed here. {facts.versions()}.\n\n"
        f"Command: `python -m benchmarks.costs.flops --record`\n\n{table(head, rows)}\n"
        f"The UNet takes {macs / 1e12:.3f} T multiply-adds per sample and call; methods.md F.4 states "
        f"{PUBLISHED_MACS / 1e12:.2f}.\n"
    )


def main() -> None:
    """Count, print, and write with --record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write flops.json and flops.md")
    record = parser.parse_args().record
    counts = [*diffusion(), *clip(), *llava()]
    text = report(counts)
    print(text)
    if record:
        folder = facts.MEASURED / "benchmarks"
        rows = {count.name: {**asdict(count), "weight_bytes": count.weight_bytes} for count in counts}
        (folder / "flops.md").write_text(text, encoding="utf-8")
        (folder / "flops.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
