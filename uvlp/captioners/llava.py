"""LLaVA-1.5-7B: a description of every image, with VLCP's prompt and cleaning (methods.md B.1).

The conversation template is `llava_v1`, the default of LLaVA's own question runner, which VLCP used; it
includes a system sentence that the chat template of the model in transformers' format omits. Images are
padded to a square with the mean colour, as in LLaVA-1.5's training; transformers' processor would crop them.

An answer does not depend on the other images in its batch, up to rounding: on a GPU a different batch size
selects different kernels, whose last bits can change a token where two were almost equally likely.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from uvlp.captioners.texts.answers import Answer
from uvlp.captioners.texts.formats import clean, question
from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines
from uvlp.models.device import torch_dtype
from uvlp.models.quiet import quiet
from uvlp.recipes.limits import check_llava
from uvlp.recipes.schema import CaptionSettings

REVISION = 1

MODEL = "llava"
CONVERSATION = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the human's questions. USER: <image>\n{question} ASSISTANT:"
)
TEMPERATURE = 0.2
TOP_K = 50  # the default of transformers 4.37, which LLaVA is pinned to
KEPT = ("model.vision_tower", "lm_head")
"""Modules that are not quantised to 4 bits; transformers matches these as prefixes of module names."""
LESS_MEMORY = (
    "stop other programs on the GPU, load it in 4 bits with --set caption.quantise=4bit, or import captions "
    "with `uvlp captions import`"
)


def prompt(class_name: str) -> str:
    """The prompt for an image of a class; ``<image>`` is the placeholder of the image."""
    return CONVERSATION.format(question=question(class_name))


def pad_to_square(image: Image.Image, mean: Sequence[float]) -> Image.Image:
    """Centre the image in a square of its longer side, padded with the mean colour.

    Args:
        image: RGB.
        mean: of the processor, per channel in 0-1; truncated to 8 bits, not rounded, as in LLaVA-1.5.
    """
    side = max(image.size)
    if image.size == (side, side):
        return image
    red, green, blue = (int(value * 255) for value in mean)
    square = Image.new("RGB", (side, side), (red, green, blue))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


class Sampler:
    """Samples tokens at temperature 0.2 with one random stream per image, independent of its batch.

    Adds Gumbel noise to the top-k scores and takes the maximum, which samples from the softmax.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Mask scores [N, tokens] to one sampled token per image."""
        best, tokens = torch.topk(scores.float() / TEMPERATURE, min(TOP_K, scores.shape[1]))
        exponential = [
            torch.empty(best.shape[1]).exponential_(generator=stream) for stream in self._generators
        ]
        drawn = (best - torch.stack(exponential).log().to(best.device)).argmax(1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens.gather(1, drawn), 0.0)


class Llava:
    """The model with its processor.

    Args:
        model: `LlavaForConditionalGeneration`, on its device.
        processor: `LlavaProcessor`.
        settings: of the generation.
    """

    def __init__(self, model: Any, processor: Any, settings: CaptionSettings) -> None:
        from transformers import GenerationConfig

        self._processor, self._settings = processor, settings
        self._model = model.eval()
        processor.tokenizer.padding_side = "left"  # so that answers start right after the prompts
        published = model.generation_config
        self._ends = (
            published.eos_token_id if isinstance(published.eos_token_id, list) else [published.eos_token_id]
        )
        # Ignore the temperatures in the published generation_config.json.
        model.generation_config = GenerationConfig(
            bos_token_id=published.bos_token_id,
            eos_token_id=published.eos_token_id,
            pad_token_id=processor.tokenizer.pad_token_id,
            max_new_tokens=settings.max_new_tokens,
        )

    def inputs(self, images: Sequence[NDArray[np.uint8]], class_names: Sequence[str]) -> Any:
        """Preprocess RGB images [H, W, 3] and their class names to tensors on the model's device."""
        mean = self._processor.image_processor.image_mean
        batch = self._processor(
            images=[pad_to_square(Image.fromarray(image), mean) for image in images],
            text=[prompt(name) for name in class_names],
            padding=True,
            return_tensors="pt",
        )
        return batch.to(self._model.device, self._model.dtype)

    @torch.inference_mode()
    def answers(
        self, images: Sequence[NDArray[np.uint8]], class_names: Sequence[str], seeds: Sequence[int]
    ) -> list[Answer]:
        """One cleaned answer per image; ``seeds`` are only used by the published sampling."""
        published = self._settings.sampling == "published"
        inputs = self.inputs(images, class_names)
        with quiet():
            tokens = self._model.generate(
                **inputs, do_sample=False, num_beams=1, logits_processor=[Sampler(seeds)] if published else []
            )
        tokens = tokens[:, inputs["input_ids"].shape[1] :].cpu()
        ended = torch.isin(tokens, torch.tensor(self._ends)).any(1).tolist()
        texts = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return [Answer(clean(text), end) for text, end in zip(texts, ended, strict=True)]


@contextmanager
def opened(folder: Path, settings: CaptionSettings, precision_name: str) -> Iterator[Llava]:
    """Load the model from ``folder`` in transformers' format, on a GPU if any; memory is freed on exit.

    Raises:
        UvlpError: an invalid setting, a missing model, a damaged file, or too little memory.
    """
    device = machine.device()
    check_llava(settings, gpu=device == "cuda")
    if not folder.is_dir():  # transformers would treat it as the name of a repository
        raise _unusable(folder, "no such folder")
    model = _load(folder, torch_dtype(precision_name, device), device, settings.quantise)
    loaded = Llava(model, _processor(folder), settings)
    try:
        yield loaded
    finally:
        del model, loaded._model
        if device == "cuda":
            gc.collect()
            torch.cuda.empty_cache()


def _load(folder: Path, dtype: torch.dtype, device: str, quantise: str) -> Any:
    from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration

    options: dict[str, Any] = {"dtype": dtype}
    if quantise:
        # As in LLaVA's own 4-bit loading, the vision tower is not quantised.
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_quant_type="nf4",
            llm_int8_skip_modules=list(KEPT),
        )
    try:
        with quiet():
            model, report = LlavaForConditionalGeneration.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                device_map=device,
                output_loading_info=True,
                **options,
            )
    except torch.OutOfMemoryError as error:
        raise machine.too_little_gpu_memory("for LLaVA-1.5", LESS_MEMORY) from error
    except MemoryError:
        raise
    except Exception as error:  # transformers raises nearly anything on damaged or missing files
        raise _unusable(folder, _first_line(error)) from error
    if missing := sorted(map(str, report["missing_keys"])):
        raise _unusable(folder, f"{len(missing)} weights are missing, the first is {missing[0]}")
    return model


def _processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    try:
        with quiet():
            # LLaVA resized with PIL; torchvision's result differs in the last bits.
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    except Exception as error:
        raise _unusable(folder, _first_line(error)) from error
    missing = [
        name
        for name in ("patch_size", "vision_feature_select_strategy")
        if getattr(processor, name, None) is None
    ]
    if missing:
        raise _unusable(folder, f"the processor's configuration has no {' and no '.join(missing)}")
    return processor


def _first_line(error: Exception) -> str:
    return split_lines(str(error).strip() or type(error).__name__)[0]


def _unusable(folder: Path, reason: str) -> UvlpError:
    return UvlpError(
        f"cannot load LLaVA-1.5 from {folder}",
        got=reason,
        allowed="config.json, the processor's files and all *.safetensors of llava-hf/llava-1.5-7b-hf",
        fix="download it with `uvlp fetch models`, or import captions with `uvlp captions import`",
    )
