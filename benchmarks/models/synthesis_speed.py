"""Our batched synthesis against one prototype at a time, as the published code runs, both in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.models.synthesis_speed [--record]
    python -m benchmarks.models.synthesis_speed --device cuda [--batch 16] [--record]

On a GPU: Stable Diffusion 1.5 at full size with random weights, 512 px, PNDM, 38 UNet calls with guidance.
On a CPU: a tiny model of the same kind, which shows only that the benchmark runs. The published
side follows methods.md A.12 and F.4: attention slicing on, both prompts embedded for every image,
one decoding per image. Both sides end with bytes in the host's memory; neither saves files. The sides
alternate; medians. `--compile` and `--channels-last` change our side only, and are not what the package does.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from benchmarks.runs import full_size
from tests import tiny_models
from uvlp.core import machine
from uvlp.models.diffuser import stable_diffusion_scheduler
from uvlp.models.quantise import to_bytes
from uvlp.models.quiet import quiet
from uvlp.models.sampling.sampler import Sampler
from uvlp.models.sampling.synthesis import published_noise
from uvlp.recipes.schema import SynthesisSettings

SETTINGS = SynthesisSettings()
UNET_CALLS = 38  # PNDM, 50 steps at strength 0.75 (methods.md D.3)
PROMPT = "a small brown and white dog with long ears that sits on the grass in front of a fence"
MATMUL_SIDE = {"cuda": 8192, "cpu": 1024}
LARGEST, KERNEL_NAME = 20, 90  # kernels that are named one by one, letters of a name
GROUPS = {
    "attention": ("flash", "fmha", "attention"),
    "layout changes": ("nchwtonhwc", "nhwctonchw", "transpose"),
    "convolution": ("conv", "cudnn", "fprop", "implicit", "winograd", "mkldnn", "im2col"),
    "matrix product": ("gemm", "nvjet", "cutlass", "addmm", "::mm", "::bmm", "matmul"),
    "normalisation": ("norm", "moments", "welford"),
    "element by element": ("elementwise", "vectorized", "silu", "gelu", "::add", "::mul", "triton", "::cat"),
    "copies": ("copy", "memcpy", "memset", "clone"),
}


@dataclass(slots=True)
class Measured:
    """Seconds per image of the runs of each side, and what the UNet alone does at our batch."""

    batch: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    call_s: float = 0.0
    pair_flops: int = 0
    matmul: dict[str, float] = field(default_factory=dict)
    kernels: dict[str, float] = field(default_factory=dict)
    memory_gb: float = 0.0

    def rate(self, side: str) -> float:
        """Images a second, median of the runs."""
        return 1 / statistics.median(self.seconds[side])

    @property
    def unet_flops_s(self) -> float:
        """Operations a second in a call of the UNet with our batch."""
        return self.batch * self.pair_flops / self.call_s


def waited(device: str) -> float:
    """The time after the device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(work: Callable[[], object], device: str, repetitions: int = 1) -> float:
    """Mean seconds of ``work``."""
    started = waited(device)
    for _ in range(repetitions):
        work()
    return (waited(device) - started) / repetitions


def pipeline_on(device: str, dtype: torch.dtype) -> Any:
    """The stock pipeline: at full size on a GPU, tiny on a CPU."""
    from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    with quiet():
        if device == "cpu":
            with tempfile.TemporaryDirectory() as folder:
                tiny_models.diffusion(Path(folder))
                return StableDiffusionImg2ImgPipeline.from_pretrained(folder, dtype=dtype)
        return StableDiffusionImg2ImgPipeline(
            vae=full_size.build(AutoencoderKL, full_size.vae_config(), device, dtype),
            text_encoder=full_size.build(CLIPTextModel, full_size.text_config(), device, dtype),
            tokenizer=full_size.tokenizer(),
            unet=full_size.build(UNet2DConditionModel, full_size.unet_config(), device, dtype),
            scheduler=stable_diffusion_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


@torch.inference_mode()
def published(pipeline: Any, latents: torch.Tensor) -> None:
    """The latents one after the other, each with its own prompt encoding, loop and decoding."""
    generator = torch.Generator(pipeline.device)  # shared by the prototypes of a class
    for latent in latents:
        final = pipeline(
            prompt=PROMPT,
            negative_prompt=SETTINGS.negative_prompt,
            image=latent[None].to(pipeline.device, pipeline.unet.dtype),
            strength=SETTINGS.strength,
            guidance_scale=SETTINGS.guidance,
            num_inference_steps=SETTINGS.steps,
            generator=generator,
            output_type="latent",
        ).images
        to_bytes(pipeline.vae.decode(final / pipeline.vae.config.scaling_factor).sample)


def ours(sampler: Sampler, parts: list[torch.Tensor]) -> None:
    """Batch after batch, through the package."""
    for part in parts:
        _batch_of_ours(sampler, part)


def _batch_of_ours(sampler: Sampler, latents: torch.Tensor) -> None:
    noise = published_noise(range(len(latents)), latents.shape[1:], sampler.dtype, sampler.device)
    names = [f"slot {slot}" for slot in range(len(latents))]
    sampler.synthesise(latents, noise, [PROMPT] * len(latents), SETTINGS, False, names)


def unet_call(pipeline: Any, batch: int) -> Callable[[], object]:
    """One call of the UNet on ``batch`` prototypes, each with its negative prompt."""
    unet, device = pipeline.unet, pipeline.device
    kind: dict[str, Any] = {"device": device, "dtype": unet.dtype}
    side = unet.config.sample_size
    samples = torch.randn(2 * batch, 4, side, side, **kind)
    states = torch.randn(2 * batch, full_size.TOKENS, unet.config.cross_attention_dim, **kind)
    moment = torch.tensor(501, device=device)
    return lambda: unet(samples, moment, encoder_hidden_states=states, return_dict=False)


def matmul_rate(dtype: torch.dtype, device: str) -> float:
    """Operations a second of square matrix products, the best of five rounds."""
    side = MATMUL_SIDE[device]
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    left @ right
    return 2 * side**3 / min(seconds_of(lambda: left @ right, device, 10) for _ in range(5))


def kernel_shares(work: Callable[[], object], device: str) -> dict[str, float]:
    """Percent of the processor's or the GPU's time that each kernel takes, the largest first."""
    from torch.profiler import ProfilerActivity, profile

    kind = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[kind]) as profiler:
        work()
        waited(device)
    spent = {
        event.key: event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
        for event in profiler.key_averages()
    }
    total = sum(spent.values())
    return {name: 100 * each / total for name, each in sorted(spent.items(), key=lambda item: -item[1])}


def grouped(kernels: dict[str, float]) -> dict[str, float]:
    """Percent of each group of kernels, the largest first."""
    shares: dict[str, float] = defaultdict(float)
    for name, share in kernels.items():
        lower = name.lower()
        group = next((g for g, known in GROUPS.items() if any(word in lower for word in known)), "rest")
        shares[group] += share
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


@torch.inference_mode()
def measure(options: argparse.Namespace) -> Measured:
    """Both sides in turn, then the UNet alone, its kernels, and what the device can do."""
    device, dtype = options.device, getattr(torch, options.precision)
    theirs = pipeline_on(device, dtype)
    mine = copy.deepcopy(theirs)
    theirs.enable_attention_slicing()
    theirs.set_progress_bar_config(disable=True)
    if options.channels_last:
        mine.unet.to(memory_format=torch.channels_last)
        mine.vae.to(memory_format=torch.channels_last)
    if options.compile:
        mine.unet.compile(dynamic=False)
    sampler = Sampler(mine)
    side = mine.unet.config.sample_size
    batch = options.batch or sampler.batch(options.images, (4, side, side))
    found = Measured(batch)
    latents = torch.randn(max(batch, options.images), 4, side, side)
    parts = [part for part in latents.split(batch) if len(part) == batch]  # equal shapes for --compile
    single = latents[: options.single]
    published(theirs, latents[:1])
    ours(sampler, parts[:1])
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for _ in range(options.repetitions):
        spent = seconds_of(lambda: published(theirs, single), device)
        found.seconds["published"].append(spent / len(single))
        spent = seconds_of(lambda: ours(sampler, parts), device)
        found.seconds["ours"].append(spent / sum(map(len, parts)))
    if device == "cuda":
        found.memory_gb = torch.cuda.max_memory_allocated() / 1e9
    call = unet_call(mine, batch)
    call()
    found.call_s = statistics.median(seconds_of(call, device) for _ in range(10))
    found.pair_flops = counted(unet_call(theirs, 1))
    found.kernels = kernel_shares(call, device)
    types = (torch.bfloat16, torch.float16) if device == "cuda" else (torch.float32, torch.bfloat16)
    found.matmul = {str(kind).removeprefix("torch."): matmul_rate(kind, device) for kind in types}
    return found


def counted(call: Callable[[], object]) -> int:
    """Floating-point operations of the call; attention slicing does not change them."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


def report(found: Measured, options: argparse.Namespace) -> str:
    """The figures as Markdown."""
    rows = [
        [side, f"{found.rate(side):.3f}", ", ".join(f"{1 / spent:.3f}" for spent in found.seconds[side])]
        for side in ("published", "ours")
    ]
    model = (
        "Stable Diffusion 1.5, full size, random weights, 512 px"
        if options.device == "cuda"
        else "Tiny model, 64 px: this shows only that the benchmark runs"
    )
    ratio = found.rate("ours") / found.rate("published")
    memory = f" Peak GPU memory {found.memory_gb:.1f} GB, both pipelines loaded." if found.memory_gb else ""
    return (
        f"# Speed of the synthesis\n\n{model}. published: one prototype at a time, attention slicing, "
        f"prompts embedded and latents decoded one by one; ours: {found.batch} at once. {options.precision}, "
        f"PNDM, {UNET_CALLS} UNet calls with guidance, until the bytes are in the host's memory.\n\n"
        f"- Hardware: {facts.hardware(options.device)}; {facts.versions()}, "
        f"diffusers {importlib.metadata.version('diffusers')}\n"
        f"- Commit: {facts.commit()}; load average at the end {facts.load()}\n"
        f"- Command: `python -m benchmarks.models.synthesis_speed{command_line(options)}`\n\n"
        f"{table(['side', 'images/s, median', 'single runs'], rows)}\n"
        f"**ours / published: {ratio:.2f}**.{memory}\n\n{unet_report(found, options.device)}"
    )


def unet_report(found: Measured, device: str) -> str:
    """What the UNet reaches, and where its time goes."""
    rates = [[name, f"{rate / 1e9:.1f}"] for name, rate in found.matmul.items()]
    rates.append(["UNet, our batch", f"{found.unet_flops_s / 1e9:.1f}"])
    shares = [
        f"{100 * found.unet_flops_s / rate:.1f} % of the {name} rate" for name, rate in found.matmul.items()
    ]
    part = UNET_CALLS * found.call_s / found.batch * found.rate("ours")
    groups = [[name, f"{share:.1f}"] for name, share in grouped(found.kernels).items()]
    largest = list(found.kernels.items())[:LARGEST]
    kernels = [[f"`{name[:KERNEL_NAME]}`", f"{share:.1f}"] for name, share in largest]
    return (
        f"## The UNet\n\n{found.pair_flops / 1e9:.3f} GFLOP per call and prototype (two samples), "
        f"{1000 * found.call_s:.1f} ms per call of {found.batch} prototypes; {UNET_CALLS} calls are "
        f"{100 * part:.0f} % of our time.\n\n{table(['', 'GFLOP/s'], rates)}\n"
        f"The UNet reaches {', '.join(shares)} (products of square matrices of {MATMUL_SIDE[device]}).\n\n"
        f"{table(['kernels of a UNet call', 'share, %'], groups)}\n"
        f"{table([f'the {LARGEST} that take longest', 'share, %'], kernels)}"
    )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", choices=("float16", "bfloat16", "float32"), help="default: by device")
    parser.add_argument("--batch", type=int, default=0, help="prototypes at once; 0: as the package chooses")
    parser.add_argument("--images", type=int, default=32, help="of our side, per run")
    parser.add_argument("--single", type=int, default=3, help="images of the published side, per run")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile our UNet, fixed shapes")
    parser.add_argument("--channels-last", action="store_true", help="store our feature maps channels last")
    parser.add_argument("--record", action="store_true", help="write the report")
    options = parser.parse_args()
    options.precision = options.precision or ("float16" if options.device == "cuda" else "float32")
    return options


def command_line(options: argparse.Namespace) -> str:
    """The options as they are typed."""
    arguments = [f"--device {options.device}", f"--precision {options.precision}"]
    arguments += [
        f"--{name} {getattr(options, name)}" for name in ("batch", "images", "single", "repetitions")
    ]
    arguments += ["--compile"] if options.compile else []
    arguments += ["--channels-last"] if options.channels_last else []
    return "".join(f" {argument}" for argument in arguments)


def main() -> None:
    """Measure, print, and write with --record."""
    options = parsed()
    if options.device == "cpu":
        machine.single_thread()
    text = report(measure(options), options)
    print(text)
    if options.record:
        name = (machine.gpu_name() or "cpu").lower().replace(" ", "-")
        variant = ("_compile" if options.compile else "") + (
            "_channels-last" if options.channels_last else ""
        )
        path = facts.MEASURED / "benchmarks" / f"synthesis_speed_{name}{variant}.md"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
