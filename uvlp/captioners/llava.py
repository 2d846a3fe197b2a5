"""LLaVA-1.5-7B: a description of every image, asked for and cleaned as VLCP does (methods.md B.1).

The conversation is the one that LLaVA's question runner takes when it is not told another, as VLCP did
not: `llava_v1`, with its opening sentence. (The chat template that comes with the model in transformers'
format leaves the sentence out.) Images are padded to a square with the mean colour, as LLaVA-1.5 was
trained; transformers' own processor would crop them.

Of several images at once an answer does not depend on its neighbours, up to rounding: on a GPU another
batch size chooses other kernels, whose last bits can change a word where two were nearly as likely.
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

from uvlp.captioners.texts.formats import clean, question
from uvlp.captioners.texts.shards import Answer
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
TOP_K = 50  # what transformers 4.37, which LLaVA is pinned to, cuts to unless it is told otherwise
KEPT = ("model.vision_tower", "lm_head")
"""What 4 bits leave as it is; transformers compares these names with the beginnings of modules' names."""
LESS_MEMORY = (
    "stop other programs on the GPU, load it in 4 bits with --set caption.quantise=4bit, or import captions "
    "with `uvlp captions import`"
)


def prompt(class_name: str) -> str:
    """What the model is asked about an image of a class, ``<image>`` standing for the image."""
    return CONVERSATION.format(question=question(class_name))


def squared(image: Image.Image, mean: Sequence[float]) -> Image.Image:
    """The image in the middle of a square with the longer side, on LLaVA-1.5's ground.

    Args:
        image: RGB.
        mean: of the processor, per channel in 0-1; the ground is cut to whole grey values, not rounded.
    """
    side = max(image.size)
    if image.size == (side, side):
        return image
    red, green, blue = (int(value * 255) for value in mean)
    square = Image.new("RGB", (side, side), (red, green, blue))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


class Sampler:
    """Draws words at temperature 0.2 from one random stream per image, whatever batch it is in.

    The most likely words get Gumbel noise, then the highest score is taken: a draw from the softmax.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores [N, words] with one word per image left."""
        best, words = torch.topk(scores.float() / TEMPERATURE, min(TOP_K, scores.shape[1]))
        rare = [torch.empty(best.shape[1]).exponential_(generator=stream) for stream in self._generators]
        drawn = (best - torch.stack(rare).log().to(best.device)).argmax(1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, words.gather(1, drawn), 0.0)


class Llava:
    """The model with its processor, ready to answer.

    Args:
        model: `LlavaForConditionalGeneration`, on its device.
        processor: `LlavaProcessor`.
        settings: how to generate.
    """

    def __init__(self, model: Any, processor: Any, settings: CaptionSettings) -> None:
        from transformers import GenerationConfig

        self._processor, self._settings = processor, settings
        self._model = model.eval()
        processor.tokenizer.padding_side = "left"  # answers begin where questions end
        known = model.generation_config
        self._ends = known.eos_token_id if isinstance(known.eos_token_id, list) else [known.eos_token_id]
        # Published folders bring temperatures that must not decide anything here.
        model.generation_config = GenerationConfig(
            bos_token_id=known.bos_token_id,
            eos_token_id=known.eos_token_id,
            pad_token_id=processor.tokenizer.pad_token_id,
            max_new_tokens=settings.max_new_tokens,
        )

    def inputs(self, images: Sequence[NDArray[np.uint8]], class_names: Sequence[str]) -> Any:
        """Tensors on the model's device for RGB images [H, W, 3] and the names of their classes."""
        mean = self._processor.image_processor.image_mean
        batch = self._processor(
            images=[squared(Image.fromarray(image), mean) for image in images],
            text=[prompt(name) for name in class_names],
            padding=True,
            return_tensors="pt",
        )
        return batch.to(self._model.device, self._model.dtype)

    @torch.inference_mode()
    def answers(
        self, images: Sequence[NDArray[np.uint8]], class_names: Sequence[str], seeds: Sequence[int]
    ) -> list[Answer]:
        """One cleaned answer per image; ``seeds`` matter to the published sampling alone."""
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
    """The model of ``folder`` in transformers' format, on the GPU if there is one; its memory is given back.

    Raises:
        UvlpError: an unknown setting, no such model, a damaged file, or too little memory.
    """
    device = machine.device()
    check_llava(settings, gpu=device == "cuda")
    if not folder.is_dir():  # the library would take it for the name of a repository
        raise _unusable(folder, "no such folder")
    model = _load(folder, torch_dtype(precision_name, device), device, settings.quantise)
    ready = Llava(model, _processor(folder), settings)
    try:
        yield ready
    finally:
        del model, ready._model
        if device == "cuda":
            gc.collect()
            torch.cuda.empty_cache()


def _load(folder: Path, dtype: torch.dtype, device: str, quantise: str) -> Any:
    from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration

    how: dict[str, Any] = {"dtype": dtype}
    if quantise:
        # As LLaVA loads itself in 4 bits: its own vision tower stays as it is.
        how["quantization_config"] = BitsAndBytesConfig(
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
                **how,
            )
    except torch.OutOfMemoryError as error:
        raise machine.too_little_gpu_memory("for LLaVA-1.5", LESS_MEMORY) from error
    except MemoryError:
        raise
    except Exception as error:  # the library raises nearly anything on damaged or missing files
        raise _unusable(folder, _first_line(error)) from error
    if lacking := sorted(map(str, report["missing_keys"])):
        raise _unusable(folder, f"{len(lacking)} weights are missing, the first is {lacking[0]}")
    return model


def _processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    try:
        with quiet():
            # PIL's resizing, as LLaVA had; torchvision's differs in the last bits.
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    except Exception as error:
        raise _unusable(folder, _first_line(error)) from error
    lacking = [
        name
        for name in ("patch_size", "vision_feature_select_strategy")
        if getattr(processor, name, None) is None
    ]
    if lacking:
        raise _unusable(folder, f"the processor's configuration has no {' and no '.join(lacking)}")
    return processor


def _first_line(error: Exception) -> str:
    return split_lines(str(error).strip() or type(error).__name__)[0]


def _unusable(folder: Path, reason: str) -> UvlpError:
    return UvlpError(
        f"cannot load LLaVA-1.5 from {folder}",
        got=reason,
        allowed="config.json, the processor's files and every *.safetensors of llava-hf/llava-1.5-7b-hf",
        fix="get it with `uvlp fetch models`, or import captions with `uvlp captions import`",
    )
