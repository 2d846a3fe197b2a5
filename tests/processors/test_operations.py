"""The hashes of operations, and their comparison between processors."""

from __future__ import annotations

import json

import numpy
import pytest
import torch

from tests.processors import emulation, operations
from tests.processors.inputs import array
from tests.processors.operations import NOT_PORTABLE, OPERATIONS, digest, hashes

SOME = (
    "math.exp",
    "numpy.matmul float64",
    "torch.exp float32",
    "torch.to bfloat16 float32",
    "torch.conv2d 3x3",
    "torch.randn",
    "torch.optim.SGD fused",
    "sklearn.KMeans float64",
    "Pillow.save PNG",
    "diffusers.DDIMScheduler.step",
)


def test_different_operations_have_different_hashes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["operations", *SOME])
    operations.main()
    result = json.loads(capsys.readouterr().out)["hashes"]
    assert tuple(result) == SOME
    assert len(set(result.values())) == len(SOME)


def test_exceptions_are_operations() -> None:
    assert len(OPERATIONS) >= 300
    assert set(NOT_PORTABLE) <= set(OPERATIONS)


def test_inputs_are_integers_scaled_by_powers_of_two() -> None:
    values = array(3, low=-1, span=2)
    assert (values * 2**19 == numpy.rint(values * 2**19)).all()
    assert digest(array(1_000)) == "9831abcffe270485"


def test_a_hash_depends_on_every_bit_dtype_and_shape() -> None:
    one = torch.ones(3)
    same = [one, [one], numpy.ones(3, numpy.float32)]
    others = [torch.nextafter(one, 2 * one), one.double(), one[None], one.bfloat16(), b""]
    assert len({digest(result) for result in same}) == 1
    assert len({digest(result) for result in [one, *others]}) == 1 + len(others)


def test_only_exceptions_may_differ(capsys: pytest.CaptureFixture[str]) -> None:
    here = {"math.exp": "a", "torch.sqrt float32": "b"}
    assert emulation.compare({"here": here, "there": dict(here)}) == 0
    assert "2 of 2 operations agree on here, there" in capsys.readouterr().out
    assert emulation.compare({"here": here, "there": here | {"torch.sqrt float32": "c"}}) == 0
    assert "differs: torch.sqrt float32: MKL" in capsys.readouterr().out
    assert emulation.compare({"here": here, "there": here | {"math.exp": "c"}}) == 1
    assert "differs: math.exp: UNEXPECTED" in capsys.readouterr().out


def test_a_missing_emulator_suggests_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert emulation.main() == 2
    assert "apt-get install qemu-user" in capsys.readouterr().err


@pytest.mark.long
def test_every_operation_is_deterministic() -> None:
    assert hashes() == hashes()
