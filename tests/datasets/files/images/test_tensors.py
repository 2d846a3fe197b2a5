"""Files of images and labels: the forms in which they are saved, and what is refused."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError
from uvlp.datasets.files.images.tensors import containers, labels, tensor_set
from uvlp.datasets.files.images.tensors.tensor_set import TensorSet
from uvlp.recipes.requests.reading import Reading, parse

CLASSES = tuple(
    ClassInfo(id=f"c{index}", name=f"class {index}", index=index, train=9, val=9) for index in range(3)
)
LABELS = np.array([2, 0, 1, 0, 1, 2])
FLOATS = np.random.default_rng(0).random((6, 3, 5, 4), dtype=np.float32)
BYTES = (FLOATS * 255).astype(np.uint8)
WIDE = FLOATS * 8 - 4
"""Float images far outside [0, 1], as a normalisation leaves them."""
NO = Reading()


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def pt(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def load(path: Path, reading: Reading = NO) -> TensorSet:
    return tensor_set.load(path, CLASSES, reading)


def refusal(path: Path, reading: Reading = NO) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        load(path, reading)
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_form_gives_the_same_images_and_labels(tmp_path: Path) -> None:
    images, numbers = torch.from_numpy(FLOATS), torch.from_numpy(LABELS)
    forms = {
        "dc": {"data": [[images, numbers]], "accs_all_exps": {"ConvNet": [1.0]}},
        "datm": {"data": (images, numbers)},
        "idc": [images, numbers],
        "dict": {"X": images, "Targets": numbers[:, None]},
        "grads": {"images": images.clone().requires_grad_(), "labels": numbers},
    }
    paths = [pt(tmp_path / f"{name}.pt", content) for name, content in forms.items()]
    pt(tmp_path / "labels_best.pt", numbers)
    paths += [
        pt(tmp_path / "images_best.pt", images),
        npz(tmp_path / "a.npz", images=FLOATS, y=LABELS),
        npz(tmp_path / "last.npz", syn=FLOATS.transpose(0, 2, 3, 1), labels=LABELS.astype(np.uint8)),
        npz(tmp_path / "double.npz", images=FLOATS.astype(np.float64), labels=LABELS),
    ]
    save_file({"image_syn": FLOATS, "label_syn": LABELS}, tmp_path / "b.safetensors")
    for path in (*paths, tmp_path / "b.safetensors"):
        found = load(path)
        np.testing.assert_array_equal(found.images, FLOATS.transpose(0, 2, 3, 1), err_msg=path.name)
        assert found.images.dtype == np.float32 and found.labels.kind == "integers", path.name
        assert found.labels.hard.tolist() == LABELS.tolist(), path.name
    other = {"dict.pt", "last.npz", "double.npz"}  # other dtypes or shapes
    contents = {path.name: load(path).content for path in paths}
    assert (
        len(set(contents.values())) == 4
        and len({contents[name] for name in contents if name not in other}) == 1
    )


def test_bytes_stay_bytes_and_grey_becomes_colour(tmp_path: Path) -> None:
    found = load(npz(tmp_path / "a.npz", images=BYTES[:, :1], labels=LABELS))
    assert found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.images, np.repeat(BYTES[:, :1], 3, 1).transpose(0, 2, 3, 1))


def test_half_precision_keeps_its_values(tmp_path: Path) -> None:
    half = torch.from_numpy(FLOATS).bfloat16()
    found = load(pt(tmp_path / "a.pt", {"images": half, "labels": torch.from_numpy(LABELS)}))
    np.testing.assert_array_equal(found.images, half.float().numpy().transpose(0, 2, 3, 1))


def test_a_normalisation_is_undone_and_nothing_is_clamped(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", images=WIDE, labels=LABELS)
    last = WIDE.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(load(path, parse(None, "none", None, None)).images, last)
    found = load(path, parse(None, "0.5, 0.4,0.3,0.1,0.2,0.3", None, None)).images
    np.testing.assert_allclose(found, last * [0.1, 0.2, 0.3] + [0.5, 0.4, 0.3], rtol=1e-5, atol=1e-6)
    same = load(path, parse(None, "0.5,0.25", None, None)).images
    np.testing.assert_allclose(same, last * 0.25 + 0.5, rtol=1e-5, atol=1e-6)


def test_floats_outside_the_unit_range_need_a_stated_normalisation(tmp_path: Path) -> None:
    error = refusal(npz(tmp_path / "a.npz", images=WIDE, labels=LABELS))
    assert "a.npz, images" in error.what
    assert error.got == f"{WIDE.min():.4g} to {WIDE.max():.4g}"
    bytes_as_floats = refusal(npz(tmp_path / "b.npz", images=BYTES.astype(np.float32), labels=LABELS))
    assert "--normalised 0,0.0039" in str(bytes_as_floats.fix)
    scaled = load(tmp_path / "b.npz", parse(None, "0,0.0039215686", None, None)).images
    np.testing.assert_allclose(scaled, BYTES.transpose(0, 2, 3, 1) / 255, atol=1e-6)


def test_an_ambiguous_layout_needs_to_be_stated(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).random((6, 3, 3, 3), dtype=np.float32)
    path = npz(tmp_path / "a.npz", images=cube, labels=LABELS)
    assert refusal(path).allowed == "nchw, nhwc"
    np.testing.assert_array_equal(load(path, Reading(layout="nhwc")).images, cube)
    np.testing.assert_array_equal(load(path, Reading(layout="nchw")).images, cube.transpose(0, 2, 3, 1))
    other = npz(tmp_path / "b.npz", images=FLOATS, labels=LABELS)
    assert refusal(other, Reading(layout="nhwc")).got == "ndarray float32 [6, 3, 5, 4]"


def test_soft_labels(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (6, 3)).astype(np.float32)
    path = npz(tmp_path / "a.npz", images=FLOATS, labels=logits)
    assert "--label-kind logits" in str(refusal(path).fix)
    found = load(path, parse(None, None, "logits", 2.0)).labels
    assert found.soft is not None and found.kind == "logits"
    np.testing.assert_allclose(found.soft, torch.softmax(torch.from_numpy(logits) / 2, 1), atol=1e-6)
    assert found.hard.tolist() == logits.argmax(1).tolist()
    again = load(npz(tmp_path / "b.npz", images=FLOATS, labels=found.soft)).labels
    assert again.kind == "probabilities" and again.soft is not None
    np.testing.assert_array_equal(again.soft, found.soft)
    assert refusal(path, Reading(label_kind="probabilities")).allowed == "at least 0 with sum 1"


IMAGES = {"images": FLOATS}
EPOCHS = np.full((4, 6, 3), 1 / 3, np.float32)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"images": FLOATS}, "has no labels"),
        ({"labels": LABELS}, "has no images"),
        ({"a": FLOATS, "b": LABELS}, "has no images"),
        ({**IMAGES, "x": FLOATS, "labels": LABELS}, "has several tensors that may be the images"),
        ({**IMAGES, "labels": LABELS, "y": LABELS}, "has several tensors that may be the labels"),
        ({"images": FLOATS[0, 0], "labels": LABELS}, "images of a wrong shape"),
        ({"images": FLOATS[0], "labels": LABELS}, "another number of labels than images"),
        ({"images": FLOATS[:0], "labels": LABELS[:0]}, "images of a wrong shape"),
        ({"images": FLOATS.reshape(6, -1), "labels": LABELS}, "images of a wrong shape"),
        ({"images": np.zeros((6, 2, 5, 4), np.uint8), "labels": LABELS}, "images of a wrong shape"),
        ({"images": BYTES.astype(np.int64), "labels": LABELS}, "images of another dtype"),
        ({"images": FLOATS.astype(complex), "labels": LABELS}, "images of another dtype"),
        ({"images": np.where(FLOATS > 0.9, np.nan, FLOATS), "labels": LABELS}, "values that are not finite"),
        ({**IMAGES, "labels": LABELS[:5]}, "another number of labels than images"),
        ({**IMAGES, "labels": LABELS + 1}, "a label that is no class of the dataset"),
        ({**IMAGES, "labels": LABELS - 1}, "a label that is no class of the dataset"),
        ({**IMAGES, "labels": LABELS.astype(np.float32)}, "labels of a wrong dtype"),
        ({**IMAGES, "labels": LABELS.astype(bool)}, "labels of a wrong dtype"),
        ({**IMAGES, "labels": np.eye(4, dtype=np.float32)[LABELS]}, "soft labels of a wrong shape or dtype"),
        ({**IMAGES, "labels": np.eye(3, dtype=np.int64)[LABELS]}, "soft labels of a wrong shape or dtype"),
        ({**IMAGES, "labels": np.full((6, 3), np.inf, np.float32)}, "labels that are not finite"),
        ({**IMAGES, "labels": EPOCHS}, "not one label per image"),
        ({**IMAGES, "labels": np.tile(LABELS, (4, 1))}, "not one label per image"),
    ],
)
def test_wrong_arrays(tmp_path: Path, arrays: dict[str, Any], what: str) -> None:
    error = refusal(npz(tmp_path / "a.npz", **arrays))
    assert what in error.what and "a.npz" in error.what


def test_labels_per_epoch_in_a_list_are_refused(tmp_path: Path) -> None:
    content = {"images": torch.from_numpy(FLOATS), "labels": [torch.from_numpy(each) for each in EPOCHS]}
    assert "not one label per image" in refusal(pt(tmp_path / "a.pt", content)).what


def test_several_experiments_are_refused(tmp_path: Path) -> None:
    pair = [torch.from_numpy(FLOATS), torch.from_numpy(LABELS)]
    error = refusal(pt(tmp_path / "a.pt", {"data": [pair, pair, pair]}))
    assert (error.got, error.allowed) == (3, "one")


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize("name", ["a.pt", "b.pt", "c.npz", "d.pkl"])
def test_no_code_of_a_file_is_run(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if name == "a.pt":
        torch.save({"images": Code()}, path)
    elif name == "c.npz":
        np.savez(path, images=np.array([Code()], dtype=object), labels=LABELS)
    else:
        path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(UvlpError):
        assert not tensor_set.is_tensor_file(path) or load(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.pt", "a.npz", "a.safetensors"])
def test_a_damaged_file(tmp_path: Path, name: str) -> None:
    whole = {
        "a.pt": lambda path: pt(path, {"images": torch.from_numpy(FLOATS)}),
        "a.npz": lambda path: npz(path, images=FLOATS),
        "a.safetensors": lambda path: save_file({"images": FLOATS}, path),
    }
    path = tmp_path / name
    whole[name](path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged" in refusal(path).what


def test_a_file_that_expands_too_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((10, 3, 100, 100), np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", buffer.getvalue())
    monkeypatch.setattr(containers, "LARGEST_BYTES", 100_000)
    error = refusal(tmp_path / "a.npz")
    assert (error.got, error.allowed) == ("300.1 kB", "at most 100.0 kB")


def test_choice_of_images(tmp_path: Path) -> None:
    found = load(npz(tmp_path / "a.npz", images=FLOATS, labels=LABELS))
    everything = tensor_set.choose(found, CLASSES, None, "first", 0)
    assert everything == tensor_set.Chosen((1, 3, 2, 4, 0, 5), "first", 2)
    assert tensor_set.choose(found, CLASSES, 1, "first", 0).rows == (1, 2, 0)
    drawn = {tensor_set.choose(found, CLASSES, 1, "drawn", seed).rows for seed in range(20)}
    assert len(drawn) > 1 and all(LABELS[list(rows)].tolist() == [0, 1, 2] for rows in drawn)
    with pytest.raises(UvlpError) as caught:
        tensor_set.choose(found, CLASSES, 3, "first", 0)
    assert caught.value.allowed == "3 or more"
    uneven = load(npz(tmp_path / "b.npz", images=FLOATS, labels=np.array([0, 0, 0, 1, 1, 2])))
    with pytest.raises(UvlpError) as caught:
        tensor_set.choose(uneven, CLASSES, None, "first", 0)
    assert caught.value.got == "1 to 3"


def test_soft_labels_need_not_be_balanced(tmp_path: Path) -> None:
    soft = labels.softened(np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 2]] * 3, 1.0)
    found = load(npz(tmp_path / "a.npz", images=FLOATS, labels=soft))
    chosen = tensor_set.choose(found, CLASSES, None, "first", 0)
    assert chosen == tensor_set.Chosen((0, 1, 2, 3, 4, 5), "all", 2)
    facts = {"ipc": chosen.ipc, "select": chosen.select}
    assert tensor_set.chosen(found, CLASSES, facts) == chosen


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("hwc", None, None, None), "unknown layout"),
        ((None, None, "soft", None), "unknown kind of labels"),
        ((None, "1,2,3", None, None), "--normalised has another number of values"),
        ((None, "0.5,0", None, None), "--normalised: a standard deviation is not above 0"),
        ((None, "a,b", None, None), "--normalised must be a number"),
        ((None, None, "logits", None), "logits need the temperature that they are learnt at"),
        ((None, None, None, 2.0), "--temperature is for logits"),
        ((None, None, "logits", 0.0), "--temperature is too small"),
    ],
)
def test_wrong_statements(given: tuple[Any, ...], what: str) -> None:
    with pytest.raises(UvlpError) as caught:
        parse(*given)
    assert caught.value.what == what


def test_images_without_an_axis_of_channels_are_grey(tmp_path: Path) -> None:
    found = load(npz(tmp_path / "grey.npz", images=FLOATS[:, 0], labels=LABELS))
    assert found.layout == "nhw" and tensor_set.facts(found, Reading())["layout"] == "nhw"
    np.testing.assert_array_equal(found.images, np.repeat(FLOATS[:, 0, :, :, None], 3, axis=3))
    again = load(found.path, tensor_set.reading_of(tensor_set.facts(found, Reading())))
    np.testing.assert_array_equal(again.images, found.images)
