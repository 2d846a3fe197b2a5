"""Golden data of inputs and outputs: prompt_ensemble, caption_lookup, preprocess, loader_order,
save_quantise."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy
import torch
from PIL import Image

from tests.methods.algorithms.golden_cases import Case, golden
from tests.tolerances import rounding
from uvlp.datasets.files.folder_captions import find_caption
from uvlp.datasets.files.images.image_files import squash
from uvlp.methods.algorithms.method_input import visiting_order
from uvlp.methods.algorithms.prompt_ensemble import class_prototype, prompts
from uvlp.models.quantise import quantise
from uvlp.models.sampling.synthesis import resize


@golden("prompt_ensemble")
def test_prompt_ensemble(case: Case) -> None:
    assert len(case["out.texts"])
    for texts, raw, wanted in zip(
        case["out.texts"].tolist(), case["in.raw_features"], case["out.name_tf"], strict=True
    ):
        name = texts[0].removeprefix("a photo of a ").removesuffix(".")
        assert prompts(name) == texts
        numpy.testing.assert_allclose(
            class_prototype(raw), wanted, rtol=0, atol=rounding(18 + 2 * len(wanted) + 6)
        )


@golden("caption_lookup")
def test_caption_lookup(case: Case) -> None:
    captions = dict(zip(case["in.keys"].tolist(), case["in.values"].tolist(), strict=True))
    names = [PurePosixPath(path).name for path in case["in.paths"].tolist()]
    result = [find_caption(captions, case["in.wnid"], name) for name in names]
    assert result == case["out.texts"].tolist()


def test_bare_file_names_come_last() -> None:
    captions = {"n01/a.JPEG": "in its folder", "a.JPEG": "bare", "b.JPEG": "bare too", "n01/c.JPEG": ""}
    assert find_caption(captions, "n01", "a.JPEG", bare_names=True) == "in its folder"
    assert find_caption(captions, "n01", "b.JPEG", bare_names=True) == "bare too"
    assert find_caption(captions, "n01", "b.JPEG") == find_caption(captions, "n01", "c.JPEG") == ""


@golden("preprocess")
def test_preprocess(case: Case) -> None:
    squashed = squash(Image.fromarray(case["in.image"]), case["in.size"])
    unit = squashed.transpose(2, 0, 1).astype(numpy.float32) / numpy.float32(255)
    numpy.testing.assert_array_equal(unit, case["out.tensor"])
    small = case["out.pil_default_resize_half"]
    numpy.testing.assert_array_equal(resize(squashed, len(small)), small)


@golden("loader_order")
def test_loader_order(case: Case) -> None:
    order = visiting_order(int(case["in.class_sizes"].sum()), case["in.seed"])
    assert order == case["out.order"].tolist()
    first_class = case["in.class_sizes"][0]
    assert [row for row in order if row < first_class] == case["out.order_cls0"].tolist()


@golden("save_quantise")
def test_save_quantise(case: Case) -> None:
    image = torch.from_numpy(case["in.x"])[None]
    numpy.testing.assert_array_equal(quantise(image)[0], case["out.png_from_f32"])
    numpy.testing.assert_array_equal(quantise(image.half())[0], case["out.png_from_f16"])


def test_bytes_survive_the_round_trip() -> None:
    values = torch.arange(256, dtype=torch.uint8).repeat_interleave(3).reshape(1, 16, 16, 3)
    numpy.testing.assert_array_equal(quantise(values.permute(0, 3, 1, 2) / 255), values)
