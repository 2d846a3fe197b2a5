"""Golden crops and mosaics of RDED's synthesis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.protocols.golden_data import arrays, family, hashed, over_rows, picture
from tests.tolerances import rounding
from uvlp.methods.algorithms.rded_synthesis import crop_losses, mosaics, select_crops

CASES = family("rded_functions.json", "synthesis")
TOY = "30*(channel means of padded image) @ hash_u(0..14,321).reshape(3,5)"
SELECTOR_KEYS = "10000+100*case+10*image+crop, test_image(s,s,k)"
MOSAIC_KEYS = "20000+100*case+index"


class ToyTeacher(nn.Module):
    """The golden data's stand-in for a teacher; its logits depend on the share of padding."""

    def __init__(self, size_px: int) -> None:
        super().__init__()
        self.size_px = size_px
        self.weight = torch.from_numpy(hashed((3, 5), 321))

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[1:] == (3, self.size_px, self.size_px)
        return 30 * images.mean((2, 3)) @ self.weight


def of_kind(kind: str) -> list[Any]:
    return [case for case in CASES if case["kind"] == kind]


def test_every_kind_is_known() -> None:
    assert {case["kind"] for case in CASES} <= {"selector", "mix_images"}


def selected(case: dict[str, Any], number: int) -> list[list[int]]:
    """Return the selected crops if the case has the index ``number``, from which its images derive."""
    size_px, crops = case["crop"], range(case["num_crop"])
    key = 10000 + 100 * number
    images = [
        [torch.from_numpy(picture(size_px, size_px, key + 10 * image + crop)) for crop in crops]
        for image in range(case["mipc"])
    ]
    stacked = torch.stack([torch.stack(row) for row in images])
    losses = crop_losses(ToyTeacher(case["pad_to"]), stacked, case["label"], case["pad_to"])
    return select_crops(losses, case["n"]).tolist()


@over_rows(of_kind("selector"))
def test_selected_crops(case: dict[str, Any]) -> None:
    assert (case["image_k"], case["toy_logits"]) == (SELECTOR_KEYS, TOY)
    # A case does not contain its index, and the list may be incomplete, so try all.
    assert any(selected(case, number) == case["picks_image_crop"] for number in range(len(CASES) + 4))


@over_rows(of_kind("mix_images"))
def test_mosaics(case: dict[str, Any]) -> None:
    assert case["image_k"] == MOSAIC_KEYS
    key = 20000 + 100 * int(case["key"].removeprefix("mix_images_"))
    count, side = case["n"] * case["factor"] ** 2, case["crop"]
    crops = torch.stack([torch.from_numpy(picture(side, side, key + index)) for index in range(count)])
    expected = torch.from_numpy(arrays("rded.npz")[case["key"]])
    bound = rounding(2 * 2 + 6)  # bilinear: two weights of a row and of a column, and their computation
    torch.testing.assert_close(
        mosaics(crops.float(), case["factor"], case["out"]), expected, rtol=0, atol=bound
    )
