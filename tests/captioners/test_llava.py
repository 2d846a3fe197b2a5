"""LLaVA from a folder in the published format, tiny and random: inputs, sampling, answers, errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_models import WORDS, llava as save_llava
from tests.tolerances import rounding
from uvlp.captioners import llava
from uvlp.captioners.llava import Llava, Sampler
from uvlp.captioners.texts.answers import Answer
from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import CaptionSettings

SETTINGS = CaptionSettings(captioner="llava", batch=4, max_new_tokens=12)
PUBLISHED = replace(SETTINGS, sampling="published")
NAMES = ["bright red bar", "circle", "tench, Tinca tinca", "small grey square on a pale ground", "bar", "bar"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with enlarged weights: with the usual small ones it repeats the last token."""
    from transformers import LlavaForConditionalGeneration

    folder = save_llava(tmp_path_factory.mktemp("llava"))
    model = LlavaForConditionalGeneration.from_pretrained(folder, local_files_only=True)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "embed" not in name and "lm_head" not in name:
                weight.mul_(6 if "vision" in name or "projector" in name else 3)
    model.save_pretrained(folder, max_shard_size="40KB")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Llava]:
    with llava.opened(folder, SETTINGS, "float32") as opened:
        yield opened


@pytest.fixture(scope="module")
def sampling(folder: Path) -> Iterator[Llava]:
    with llava.opened(folder, PUBLISHED, "float32") as opened:
        yield opened


def photos(count: int = len(NAMES)) -> list[np.ndarray]:
    """Images of several shapes with different patterns."""
    made = []
    for index in range(count):
        stream = np.random.default_rng(index)
        cells = stream.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        made.append(np.kron(cells, np.ones((10 + 7 * (index % 3), 16, 1), np.uint8)))
    return made


def one_by_one(model: Llava, seeds: Sequence[int]) -> list[Answer]:
    return [
        model.answers([image], [name], [seed])[0]
        for image, name, seed in zip(photos(), NAMES, seeds, strict=True)
    ]


def test_the_prompt_is_the_published_one() -> None:
    assert llava.prompt("tench, Tinca tinca") == (
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
        "helpful, detailed, and polite answers to the human's questions. USER: <image>\nDescribe the "
        "physical appearance of the tench, Tinca tinca in the image.Include details about its shape, "
        "posture, color, and any distinct features. ASSISTANT:"
    )


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (2, 7), (7, 2), (5, 5), (1, 4)])
def test_images_are_padded_to_a_square(shape: tuple[int, int]) -> None:
    """Inside the image its pixels, outside the mean colour (122, 116, 104)."""
    height, width = shape
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    side = max(shape)
    top, left = (side - height) // 2, (side - width) // 2
    mean = (0.48145466, 0.4578275, 0.40821073)
    padded = np.asarray(llava.pad_to_square(Image.fromarray(image), mean))
    assert padded.shape == (side, side, 3)
    for y in range(side):
        for x in range(side):
            inside = top <= y < top + height and left <= x < left + width
            assert tuple(padded[y, x]) == (tuple(image[y - top, x - left]) if inside else (122, 116, 104))


def test_the_model_gets_the_padded_image(model: Llava) -> None:
    """A wide white image: a crop would be entirely white, the padded one has the mean above and below."""
    white = np.full((32, 64, 3), 255, np.uint8)
    pixels = model.inputs([white], ["bar"])["pixel_values"][0]
    assert pixels.shape == (3, 64, 64)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    close = rounding(6, largest=4.0)  # a scale, a difference, and a division by 0.26 and more
    for channel in range(3):
        ground = (int(mean[channel] * 255) / 255 - mean[channel]) / deviation[channel]
        assert pixels[channel, 3].numpy() == pytest.approx(ground, abs=close)
        assert pixels[channel, 60].numpy() == pytest.approx(ground, abs=close)
        bright = (1 - mean[channel]) / deviation[channel]
        assert pixels[channel, 32].numpy() == pytest.approx(bright, abs=close)


def test_questions_of_several_lengths_are_padded_on_the_left(model: Llava) -> None:
    inputs = model.inputs(photos(), NAMES)
    lengths = inputs["attention_mask"].sum(1).tolist()
    assert len(set(lengths)) > 2
    assert all(mask[-length:].all() for mask, length in zip(inputs["attention_mask"], lengths, strict=True))


def test_greedy_answers_do_not_depend_on_the_batch_or_seed(model: Llava) -> None:
    seeds = range(len(NAMES))
    batched = model.answers(photos(), NAMES, seeds)
    assert batched == one_by_one(model, seeds)
    assert len({answer.text for answer in model.answers(photos(), ["bar"] * 6, seeds)}) >= 5
    assert batched == model.answers(photos(), NAMES, range(100, 106)), "greedy decoding is deterministic"
    assert set(" ".join(answer.text for answer in batched).split()) <= set(WORDS)


def test_published_sampling_depends_only_on_the_seed_of_the_image(sampling: Llava) -> None:
    seeds = range(len(NAMES))
    batched = sampling.answers(photos(), NAMES, seeds)
    assert batched == one_by_one(sampling, seeds)
    swapped = [5, 4, 3, 2, 1, 0]
    images = [photos()[index] for index in swapped]
    backwards = sampling.answers(images, [NAMES[index] for index in swapped], swapped)
    assert backwards[::-1] == batched
    same = sampling.answers([photos()[0]] * 8, [NAMES[0]] * 8, range(8))
    assert len({answer.text for answer in same}) > 1


def test_the_sampler_draws_from_the_softmax_at_temperature_0_2() -> None:
    scores = torch.tensor([[0.1, 0.0, -0.1, -5.0]]).repeat(4000, 1)
    left = Sampler(range(4000))(torch.empty(0), scores)
    assert (left.isfinite().sum(1) == 1).all()
    shares = left.isfinite().float().mean(0)
    assert shares.numpy() == pytest.approx(torch.softmax(scores[0] / 0.2, 0).numpy(), abs=0.02)


def test_the_sampler_only_draws_from_the_top_50_tokens() -> None:
    left = Sampler(range(300))(torch.empty(0), torch.arange(200.0).mul(1e-3).repeat(300, 1))
    assert left.isfinite().nonzero()[:, 1].min() >= 150


def test_the_models_generation_config_is_ignored(folder: Path, model: Llava, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "llava")
    path = other / "generation_config.json"
    content = json.loads(path.read_text()) | {"do_sample": True, "temperature": 0.9, "top_p": 0.6}
    path.write_text(json.dumps(content | {"max_length": 25}))
    seeds = range(len(NAMES))
    with llava.opened(other, SETTINGS, "float32") as opened:
        assert opened.answers(photos(), NAMES, seeds) == model.answers(photos(), NAMES, seeds)


def test_answers_state_whether_they_ended(folder: Path, model: Llava) -> None:
    """With end-of-text as the most likely token an answer is empty and ended; else it is cut."""
    assert not model.answers(photos(1), ["bar"], [0])[0].ended
    with llava.opened(folder, SETTINGS, "float32") as opened:
        head = opened._model.lm_head.weight
        with torch.no_grad():
            head.zero_()
        opened._ends = [0]  # all tokens are equally likely: the first is chosen
        assert opened.answers(photos(1), ["bar"], [0]) == [Answer("", True)]


def damaged(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to / "llava")


def refused(folder: Path, settings: CaptionSettings = SETTINGS) -> UvlpError:
    with pytest.raises(UvlpError) as caught, llava.opened(folder, settings, "float32"):
        pass
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path / "none")
    assert (error.what, error.got) == (f"cannot load LLaVA-1.5 from {tmp_path / 'none'}", "no such folder")
    assert "uvlp fetch models" in str(error.fix)


def test_a_folder_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path)
    config = json.loads((other / "config.json").read_text())
    config["text_config"]["hidden_size"] = 64
    (other / "config.json").write_text(json.dumps(config))
    assert str(other) in refused(other).what
    (other / "config.json").write_text('{"model_')
    assert str(other) in refused(other).what


def test_a_truncated_file_is_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path)
    path = sorted(other.glob("*.safetensors"))[1]
    path.write_bytes(path.read_bytes()[:-100])
    assert str(other) in refused(other).what


def test_a_missing_file_of_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path)
    sorted(other.glob("*.safetensors"))[1].unlink()
    assert str(other) in refused(other).what


def test_weights_missing_from_the_index_are_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path)
    path = other / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    lost = next(name for name in index["weight_map"] if "lm_head" in name)
    lost_file = index["weight_map"].pop(lost)
    from safetensors.torch import load_file, save_file

    tensors = load_file(other / lost_file)
    tensors.pop(lost)
    save_file(tensors, other / lost_file, {"format": "pt"})
    path.write_text(json.dumps(index))
    assert "lm_head.weight" in str(refused(other).got)


def test_a_processor_in_an_older_format_is_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path)
    path = other / "processor_config.json"
    content = json.loads(path.read_text())
    del content["patch_size"]
    path.write_text(json.dumps(content))
    assert "no patch_size" in str(refused(other).got)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("sampling", "beam", "greedy, published"),
        ("quantise", "8bit", "'', 4bit"),
        ("batch", 0, "1 or more"),
        ("shard", -1, "1 or more"),
        ("max_new_tokens", 0, "1 to "),
    ],
)
def test_invalid_settings_are_refused(folder: Path, name: str, value: object, allowed: str) -> None:
    error = refused(folder, replace(SETTINGS, **{name: value}))  # type: ignore[arg-type]
    assert f"caption.{name}" in error.what and error.got == value
    assert str(error.allowed).startswith(allowed)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests the error without a GPU")
def test_four_bits_require_a_gpu(folder: Path) -> None:
    assert refused(folder, replace(SETTINGS, quantise="4bit")).got == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_answers_on_a_gpu(folder: Path, model: Llava) -> None:
    """In half precision; most greedy tokens of a batch must equal those of single images."""
    seeds = range(len(NAMES))
    with llava.opened(folder, SETTINGS, "auto") as opened:
        assert opened._model.dtype == torch.float16
        assert all(parameter.is_cuda for parameter in opened._model.parameters())
        batched = opened.answers(photos(), NAMES, seeds)
        alone = one_by_one(opened, seeds)
    firsts = [(a.text.split()[:2], b.text.split()[:2]) for a, b in zip(batched, alone, strict=True)]
    assert sum(a == b for a, b in firsts) >= 4
    with llava.opened(folder, PUBLISHED, "auto") as opened:
        assert opened.answers(photos(), NAMES, seeds) == opened.answers(photos(), NAMES, seeds)


def test_four_bits_do_not_quantise_the_vision_tower(folder: Path, model: Llava) -> None:
    """By transformers' own comparison of names, which matches prefixes."""
    from transformers.quantizers.quantizers_utils import should_convert_module

    names = [name for name, part in model._model.named_modules() if type(part) is torch.nn.Linear]
    kept = {name for name in names if not should_convert_module(name, list(llava.KEPT))}
    assert kept == {name for name in names if "vision_tower" in name or name == "lm_head"}
    assert 1 < len(kept) < len(names)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_answers_in_four_bits_on_a_gpu(folder: Path) -> None:
    pytest.importorskip("bitsandbytes")
    with llava.opened(folder, replace(SETTINGS, quantise="4bit"), "auto") as opened:
        tower = opened._model.model.vision_tower
        assert {parameter.dtype for parameter in tower.parameters()} == {torch.float16}
        assert len(opened.answers(photos(), NAMES, range(len(NAMES)))) == len(NAMES)
