"""Attacks with published models: every file damaged or replaced (D7, D6, cases 03, 05, 12, 19)."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

from tests.attack.ground import Attack, Expected, Prepare, done, refused, steps

CALL = (
    *("reproduce", "folder:images", "1", "--profile", "sd15", "--offline", "--dry-run", "--store", "new"),
    *("--method", "uvlp", "--missing-captions", "empty", "--set", "models.diffusion=models/diffusion"),
    *("--set", "models.clip=local-dir:models/clip", "--set", "models.llava=models/llava"),
)
OWN = (*CALL, "--finetuned-model", "other")
NEEDS = ("images", "models")
WEIGHTS = (
    *(
        "diffusion/unet/diffusion_pytorch_model.safetensors",
        "diffusion/vae/diffusion_pytorch_model.safetensors",
    ),
    *("diffusion/text_encoder/model.safetensors", "clip/open_clip_model.safetensors"),
    "llava/model-00003-of-00007.safetensors",
)
CONFIGS = (
    *("diffusion/model_index.json", "diffusion/unet/config.json", "diffusion/vae/config.json"),
    *("diffusion/text_encoder/config.json", "diffusion/scheduler/scheduler_config.json"),
    *("diffusion/tokenizer/tokenizer_config.json", "clip/open_clip_config.json", "clip/tokenizer.json"),
    *("llava/config.json", "llava/model.safetensors.index.json", "llava/tokenizer_config.json"),
)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234\n"
PAGE = b"<!DOCTYPE html><html><body>Log in</body></html>"


def header(content: bytes, length: int | None = None) -> bytes:
    """The header of a safetensors file."""
    return struct.pack("<Q", len(content) if length is None else length) + content


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
WRONG: Mapping[str, bytes] = {
    "empty": b"",
    "a Git LFS pointer": POINTER,
    "a page": PAGE,
    "a pickle": pickle.dumps({"x": 1}),
    "of a header beyond its end": header(b"{}", 2**40),
    "of a header without end": header(b"{}", 2**64 - 1),
    "of a header that is no JSON": header(b"{{{{"),
    "of a header that is a list": header(b"[]"),
    "of a deep header": header(b"[" * 100_000),
    "of a tensor beyond its end": header(json.dumps({"x": {**TENSOR, "data_offsets": [0, 2**40]}}).encode())
    + bytes(8),
    "of a tensor of negative place": header(json.dumps({"x": {**TENSOR, "data_offsets": [-8, 0]}}).encode())
    + bytes(8),
    "of a tensor of no shape": header(json.dumps({"x": {**TENSOR, "shape": None}}).encode()) + bytes(8),
    "of a tensor of unknown type": header(json.dumps({"x": {**TENSOR, "dtype": "Q99"}}).encode()) + bytes(8),
    "of other tensors": header(json.dumps({"x": TENSOR}).encode()) + bytes(8),
    "of no tensors": header(b"{}"),
}
BROKEN: Mapping[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "an object of nothing": b"{}",
    "cut": b'{"_class_name": "Sta',
    "deep": b"[" * 100_000,
    "a Git LFS pointer": POINTER,
    "no text": b"\xff\xfe\x00",
}


def _write(name: str, content: bytes) -> Prepare:
    return lambda root: (root / "models" / name).write_bytes(content)


def _attack(name: str, prepare: Prepare, expected: Expected, kind: str = "D7") -> Attack:
    return Attack(kind=kind, name=name, call=CALL, prepare=prepare, expected=expected, needs=NEEDS)


def _lacking(root: Path) -> None:
    """Remove one tensor from the text encoder; transformers would initialise it at random."""
    path = root / "models" / WEIGHTS[2]
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    tensors = json.loads(content[8:end])
    first = next(name for name in tensors if "layer_norm1" in name)
    tensors["unknown"] = tensors.pop(first)
    path.write_bytes(header(json.dumps(tensors).encode()) + content[end:])


def weights() -> list[Attack]:
    """Files that are not weights."""
    found = [
        _attack(f"{name} is {what}", _write(name, content), refused())
        for name in WEIGHTS
        for what, content in WRONG.items()
        if name == WEIGHTS[0]
        or what in ("empty", "a pickle", "of a tensor beyond its end", "of other tensors")
    ]

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-1000])

    def longer(path: Path) -> None:
        path.write_bytes(path.read_bytes() + bytes(1000))

    ways: Mapping[str, Prepare] = {
        "cut": cut,
        "longer than it says": longer,
        "gone": Path.unlink,
        "a folder": steps(Path.unlink, Path.mkdir),
        "a pipe": steps(Path.unlink, os.mkfifo),
        "a dangling link": steps(Path.unlink, lambda path: path.symlink_to("nowhere")),
        "a link to itself": steps(Path.unlink, lambda path: path.symlink_to(path.name)),
        "a link to a device": steps(Path.unlink, lambda path: path.symlink_to("/dev/zero")),
    }

    def at(name: str, way: Prepare) -> Prepare:
        return lambda root: way(root / "models" / name)

    found.append(_attack("a text encoder lacks a tensor", _lacking, refused("layer_norm1")))
    return found + [
        _attack(f"{name} is {what}", at(name, way), refused())
        for name in WEIGHTS
        for what, way in ways.items()
        if name in (WEIGHTS[0], WEIGHTS[-1]) or what in ("cut", "gone")
    ]


def configs() -> list[Attack]:
    """JSON files of a model."""
    return [
        _attack(
            f"{name} is {what}",
            _write(name, content),
            refused(),
            "D4",
        )
        for name in CONFIGS
        for what, content in BROKEN.items()
        if name in ("diffusion/model_index.json", "llava/config.json")
        or what in ("empty", "null", "a list", "deep")
    ]


def _folder(*files: tuple[str, bytes]) -> Prepare:
    """A folder of these files instead of the user's model."""

    def prepare(root: Path) -> None:
        for name, content in files:
            path = root / "other" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return prepare


def _copy(part: str) -> Prepare:
    return lambda root: shutil.copytree(root / "models" / part, root / "other")


def _as_pickles(root: Path) -> None:
    unet = root / "other" / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.bin")


ONE = header(json.dumps({"x": TENSOR}).encode()) + bytes(8)
LORA = _folder(("pytorch_lora_weights.safetensors", ONE))
OTHERS: Mapping[str, tuple[Prepare, Expected]] = {
    "a LoRA": (LORA, refused("LoRA")),
    "a LoRA in a pickle": (_folder(("pytorch_lora_weights.bin", b"\x80\x02")), refused("LoRA")),
    "a checkpoint of accelerate": (
        _folder(("optimizer.bin", b"x"), ("random_states_0.pkl", b"x"), ("unet/config.json", b"{}")),
        refused(),
    ),
    "one file": (_folder(("v1-5-pruned.safetensors", ONE)), refused()),
    "one pickled file": (_folder(("model.ckpt", b"\x80\x02")), refused()),
    "nothing": (_folder(("README.md", b"words")), refused()),
    "a folder of images": (_folder(("train/cat/0.png", b"x")), refused()),
    "the UNet alone": (_copy("diffusion/unet"), refused()),
    "CLIP": (_copy("clip"), refused()),
    "LLaVA": (_copy("llava"), refused()),
    "a pipeline of another kind": (
        _folder(("model_index.json", b'{"_class_name": "FluxPipeline"}')),
        refused(),
    ),
    "a pipeline of no kind": (_folder(("model_index.json", b'{"_class_name": null}')), refused()),
    "a pipeline of pickles": (steps(_copy("diffusion"), _as_pickles), refused()),
}


def others() -> list[Attack]:
    """Folders of other kinds instead of the user's model."""
    return [
        Attack(
            kind="case 03",
            name=f"the fine-tuned model is {what}",
            call=OWN,
            prepare=prepare,
            expected=expected,
            needs=NEEDS,
        )
        for what, (prepare, expected) in OTHERS.items()
    ]


def _authors_own(root: Path) -> None:
    """LLaVA as its authors publish it, which transformers does not read."""
    llava = root / "models" / "llava"
    shutil.rmtree(llava)
    llava.mkdir()
    (llava / "config.json").write_text('{"model_type": "llava_llama"}', encoding="utf-8")
    (llava / "pytorch_model-00001-of-00002.bin").write_bytes(b"\x80\x02")


def readers() -> list[Attack]:
    """Models that the run does not read, unchanged ones, and one in a different format."""
    return [
        Attack(
            kind="case 12",
            name="a LoRA for a method that reads no fine-tuned model",
            call=(*OWN[:9], "--method", "d4m", *OWN[11:]),
            prepare=LORA,
            expected=refused("--finetuned-model"),
            needs=NEEDS,
        ),
        Attack(kind="case 12", name="the models as they are", call=CALL, expected=done(), needs=NEEDS),
        Attack(
            kind="case 05",
            name="LLaVA in its authors' format",
            call=CALL,
            prepare=_authors_own,
            expected=refused("llava-hf"),
            needs=NEEDS,
        ),
    ]


def _checkpoint(ending: str, content: bytes) -> Prepare:
    return lambda root: (root / f"t{ending}").write_bytes(content)


def checkpoints() -> list[Attack]:
    """Checkpoints of a teacher."""
    call = (
        "teacher",
        "digits",
        "conv3",
        "--profile",
        "nano",
        "--workers",
        "1",
        "--checkpoint",
        "mine2",
        "--store",
        "new",
    )
    return [
        Attack(
            kind="D7",
            name=f"a checkpoint is {what}",
            call=[*call[:8], f"t{ending}", *call[9:]],
            prepare=_checkpoint(ending, content),
            expected=refused(),
            needs=(),
        )
        for ending in (".safetensors", ".pth")
        for what_, content in WRONG.items()
        for what in (f"{what_} in {ending}",)
        if what_
        in ("empty", "a Git LFS pointer", "a page", "a pickle", "of other tensors", "of a header without end")
    ]


ATTACKS = [*weights(), *configs(), *others(), *readers(), *checkpoints()]
