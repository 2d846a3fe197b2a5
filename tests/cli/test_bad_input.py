"""Wrong requests and inputs: one clear line that names the value, exit code 2, nothing lost."""

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from uvlp.artifacts.task import MANIFEST
from uvlp.cli import app

Answer = tuple[int, str]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> object:
    """Run the command line in this process: (exit code, standard error without progress lines)."""

    def run(*arguments: str, store: Path = tmp_path / "store") -> Answer:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments, "--store", str(store)])
        with pytest.raises(SystemExit) as end:
            app.main()
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("uvlp:")]
        return int(end.value.code or 0), "\n".join(lines)

    return run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two classes of four training and two validation images."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "images"


def wrong(answer: Answer, *parts: str) -> None:
    code, line = answer
    assert code == 2, line
    assert line.count("\n") == 0
    for part in parts:
        assert part in line, line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("digit", "10"), ("unknown dataset", "'digit'", "did you mean 'digits'")),
        (("digits", "10", "--method", "uvpl"), ("unknown method", "'uvpl'", "did you mean 'uvlp'")),
        (("digits", "10", "--method", "uvlp:x"), ("unknown variant", "'uvlp:x'", "uvlp:no-outliers")),
        (
            ("digits", "10", "--method", "uvlp:top-k=1+no-outlier"),
            ("unknown variant", "'uvlp:no-outlier'", "did you mean 'uvlp:no-outliers'"),
        ),
        (
            ("digits", "10", "--method", "uvlp:alpha=fixed+fusion=three-way"),
            ("contradicts itself", "alpha=fixed", "fusion=three-way"),
        ),
        (("digits", "10", "--network", "convnt-3"), ("unknown network", "convn", "convnet")),
        (("digits", "10", "--network", "convnet"), ("convnet", "convnet-3")),
        (("digits", "10", "--network", "convnet-9"), ("convnet-9", "16")),
        (("digits", "0"), ("IPC", "'0'", "1 or more")),
        (("digits", "-3"), ("negative", "'-3'")),
        (("digits", "ten"), ("IPC", "'ten'")),
        (("digits", "1000"), ("IPC is above the smallest class", "1000", "1 to 1")),
        (("digits", "10", "--repeats", "0"), ("repeats", "'0'")),
        (("digits", "10", "--seed", "a"), ("seed", "'a'")),
        (("digits", "10", "--profile", "huge"), ("unknown profile", "'huge'", "tiny")),
        (
            ("digits", "10", "--protocol", "minmax"),
            ("unknown protocol", "'minmax'", "did you mean 'minimax'"),
        ),
        (
            ("digits", "10", "--set", "evaluate.epoch=1"),
            ("unknown setting", "'epoch'", "did you mean 'epochs'"),
        ),
        (("digits", "10", "--set", "evaluate.lr=NaN"), ("setting lr", "'NaN'", "a number")),
        (("digits", "10", "--set", "repeats=0"), ("--set repeats", "'repeats=0'", "--repeats")),
        (("digits", "10", "--set", "seeds=-1"), ("--set seeds", "--seed")),
        (("digits", "10", "--set", "uvlp.top=1"), ("unknown setting", "'top'", "top_k")),
        (
            ("digits", "10", "--set", "caption.captioner=stroke"),
            ("unknown captioner", "did you mean 'strokes'"),
        ),
        (("digits", "10", "--missing-captions", "maybe"), ("maybe", "stop, empty")),
        (("folder:/no/such/place", "10"), ("/no/such/place",)),
        (("digits", "10", "--set", "finetune.batch=0"), ("finetune.batch", "got 0", "1 or more")),
        (("digits", "10", "--set", "finetune.lr=1e300"), ("setting lr", "'1e300'", "up to 1e+30")),
        (("digits", "10", "--set", "caption.batch=-1"), ("caption.batch", "got -1", "1 or more")),
        (("digits", "10", "--set", "embed.shard=0"), ("embed.shard", "got 0")),
        (("digits", "10", "--set", "embed.shard=99999999999999999999"), ("setting shard", "integer")),
        (("digits", "10", "--set", "uvlp.synthesis.batch=-3"), ("uvlp.synthesis.batch", "got -3")),
        (("digits", "10", "--set", "uvlp.synthesis.noise=x"), ("uvlp.synthesis.noise", "published")),
        (("digits", "10", "--set", "uvlp.order=x"), ("uvlp.order", "'x'", "file, published")),
        (("digits", "10", "--set", "diffuser.channels=32,0"), ("diffuser.channels", "'32,0'", "1 to")),
        (("digits", "10", "--set", "models.precision=half"), ("models.precision", "'half'", "float16")),
        (("digits", "10", "--set", "image_px=-1"), ("image_px", "got -1", "8 to 4096")),
        (("digits", "10", "--set", "evaluate.validations=0", "--dry-run"), ("evaluate.validations", "got 0")),
        (("digits", "10", "--set", "teacher.batch=0"), ("teacher.batch", "got 0")),
        (("digits", "10", "--set", "diffuser.channels=33"), ("diffuser.channels", "'33'", "multiples of 16")),
        (("digits", "10", "--set", "autoencoder.channels=3"), ("autoencoder.channels", "multiples of 8")),
        (("digits", "10", "--set", "embedder.width=7"), ("embedder.width", "'7'", "multiples of 2")),
        (("digits", "10", "--set", "embedder.text_heads=3"), ("embedder.text_width", "multiples of 3")),
        (("digits", "10", "--set", "diffuser.attention_levels=60"), ("attention_levels", "got 60")),
        (("digits", "10", "--seed", "4294967296"), ("seed", "'4294967296'", "4294967295")),
        (("digits", "9" * 5000), ("IPC", "999", "1 or more")),
        (("digits", "10", "--set", "method=x"), ("setting method", "--print-config")),
        (("digits", "10", "--set", "method.uvlp=x"), ("setting method", "method.uvlp")),
        (("digits", "10", "--set", "uvlp.synthesis=1"), ("unknown setting", "''", "guidance")),
        (("digits", "10", "--set", "evaluate=1"), ("setting evaluate has parts", "evaluate.epochs")),
        (("digits", "10", "--set", "evaluate.epochs.x=1"), ("setting epochs has no parts",)),
        (("digits", "10", "--set", "evaluate.epochs="), ("setting epochs", "''", "integer")),
        (("digits", "10", "--set", f"evaluate.epochs={'[' * 100_000}"), ("setting epochs", "integer")),
        (("digits", "10", "--set", "note=\udcff"), ("not UTF-8",)),
        (("folder:\udcff", "10"), ("not UTF-8",)),
    ],
)
def test_wrong_request_names_its_value(
    call: object, arguments: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    wrong(call("reproduce", *arguments), *expected)  # type: ignore[operator]


def reproduce(call: object, images: Path, *arguments: str) -> Answer:
    arguments = ("reproduce", f"folder:{images}", "2", "--profile", "nano", "--method", "uvlp", *arguments)
    answer: Answer = call(*arguments)  # type: ignore[operator]
    return answer


def test_empty_class_folder_is_named(call: object, images: Path) -> None:
    (images / "train" / "emu").mkdir()
    (images / "val" / "emu").mkdir()
    wrong(reproduce(call, images), "emu")


def test_truncated_image_is_named(call: object, images: Path) -> None:
    victim = images / "train" / "cat" / "2.png"
    victim.write_bytes(victim.read_bytes()[:300])
    wrong(reproduce(call, images), "2.png")


def test_file_that_is_not_an_image_is_named(call: object, images: Path) -> None:
    (images / "val" / "dog" / "9.jpg").write_text("hello")
    wrong(reproduce(call, images), "9.jpg")


def test_different_classes_in_train_and_val_are_named(call: object, images: Path) -> None:
    shutil.move(images / "val" / "dog", images / "val" / "wolf")
    wrong(reproduce(call, images), "dog", "wolf")


def captions(images: Path, skip: int = 0) -> Path:
    path = images / "train" / "metadata.jsonl"
    names = sorted(str(p.relative_to(images / "train")) for p in (images / "train").rglob("*.png"))
    rows = [json.dumps({"file_name": name, "text": f"a photo of {name}"}) for name in names[skip:]]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_missing_captions_are_named_and_counted(call: object, images: Path) -> None:
    captions(images, skip=3)
    wrong(reproduce(call, images), "3 of 8", "cat/0.png", "--missing-captions empty")


def test_invalid_caption_line_is_named(call: object, images: Path) -> None:
    path = captions(images)
    path.write_text(path.read_text() + '{"file_name": \n')
    wrong(reproduce(call, images), "metadata.jsonl", "9")


def test_caption_of_a_missing_file_is_named(call: object, images: Path) -> None:
    path = captions(images)
    path.write_text(path.read_text() + '{"file_name": "cat/77.png", "text": "x"}\n')
    wrong(reproduce(call, images), "cat/77.png")


def test_store_that_is_a_file_is_refused(call: object, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    answer = call("reproduce", "digits", "2", "--profile", "nano", store=tmp_path / "taken")  # type: ignore[operator]
    wrong(answer, "the store cannot be at", "taken", "--store")


def test_a_file_system_that_refuses_renames_is_named_before_any_work(
    call: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "rename", refuse)
    answer = call("reproduce", "digits", "2", "--profile", "nano", "--method", "random")  # type: ignore[operator]
    wrong(answer, "rename", str(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob(MANIFEST))


@pytest.mark.slow
def test_nan_loss_of_a_model_is_reported(call: Any) -> None:
    settings = ("--set", "autoencoder.lr=1e30", "--set", "autoencoder.steps=20")
    answer = call("reproduce", "digits", "2", "--profile", "nano", "--method", "uvlp", *settings)
    wrong(answer, "autoencoder", "is not finite", "step")


@pytest.mark.slow
def test_nan_loss_in_evaluation_keeps_finished_artifacts(call: object, tmp_path: Path) -> None:
    arguments = ("reproduce", "digits", "2", "--profile", "nano", "--method", "random")
    extra = ("--set", "evaluate.lr=1e30", "--set", "evaluate.epochs=20")
    wrong(call(*arguments, *extra), "convnet-3", "is not finite", "epoch")  # type: ignore[operator]
    assert len(list((tmp_path / "store" / "distilled").iterdir())) == 1
    assert list((tmp_path / "store" / ".tmp").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root; CI is root")
def test_full_and_read_only_disks_are_reported(tmp_path: Path) -> None:
    # Large enough for the minimum that is checked beforehand (3.7 MB), too small for the weights.
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], check=True)
    try:
        full = run_on(disk)
        assert full.returncode == 2 and "No space left" in refusal(full)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        fixed = run_on(disk)
        assert fixed.returncode == 2 and "Read-only" in refusal(fixed)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def refusal(answer: subprocess.CompletedProcess[str]) -> str:
    """The last line but the path of the log: the error."""
    (*_, line) = (line for line in answer.stderr.splitlines() if not line.startswith("log: "))
    return line


def run_on(disk: Path) -> subprocess.CompletedProcess[str]:
    arguments = (
        "reproduce",
        "digits",
        "2",
        "--profile",
        "nano",
        "--method",
        "uvlp",
        "--store",
        str(disk / "store"),
    )
    return subprocess.run(
        [sys.executable, "-m", "uvlp", *arguments], capture_output=True, text=True, check=False
    )


def paper(call: object, images: Path, *arguments: str) -> Answer:
    """Run profile sd15 on tiny models in the format of the published ones."""
    from tests import tiny_models

    root = images.parent / "models"
    settings = {
        "models.diffusion": tiny_models.diffusion(root / "diffusion"),
        "models.clip": f"local-dir:{tiny_models.clip(root / 'clip')}",
        "models.llava": tiny_models.llava(root / "llava"),
    }
    options = [f"--set={name}={value}" for name, value in settings.items()]
    answer: Answer = call(  # type: ignore[operator]
        *("reproduce", f"folder:{images}", "2", "--profile", "sd15", "--offline", "--workers", "1"),
        *("--method", "vlcp", "--network", "convnet-3", *options, *arguments),
    )
    return answer


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have what these settings need")
@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("caption.quantise=4bit", ("4 bits needs a GPU", "'cpu'")),
        ("models.precision=float16", ("precision on cpu", "'float16'")),
        ("finetune.center_crop=false", ("finetune.cache_latents", "random crops")),
        ("image_px=60", ("image_px", "multiple of 8")),
    ],
)
def test_unsupported_settings_are_refused_before_work_starts(
    call: object, images: Path, tmp_path: Path, setting: str, expected: tuple[str, ...]
) -> None:
    wrong(paper(call, images, "--set", setting), *expected)
    assert not (tmp_path / "store" / "features").exists()


def test_missing_captions_are_reported_before_features_are_computed(
    call: object, images: Path, tmp_path: Path
) -> None:
    captions(images, skip=3)
    wrong(paper(call, images), "3 of 8", "cat/0.png", "--missing-captions empty")
    assert not (tmp_path / "store" / "features").exists()


def test_dry_run_with_missing_models_succeeds(call: object, images: Path) -> None:
    code, line = call("reproduce", f"folder:{images}", "2", "--profile", "sd15", "--dry-run")  # type: ignore[operator]
    assert (code, line) == (0, "")


@pytest.mark.parametrize(
    ("folder", "what"),
    [("", "is empty"), ("/no/such", "no such folder"), ("relative/nothing", "no such folder")],
)
def test_missing_finetuned_model_is_refused(call: object, images: Path, folder: str, what: str) -> None:
    wrong(paper(call, images, "--finetuned-model", folder), "--finetuned-model", what, repr(folder))


def test_portable_on_another_processor_is_refused(
    call: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    wrong(call("reproduce", "digits", "10", "--portable"), "x86-64", "aarch64")
    assert not (tmp_path / "store").exists()


def test_portable_cannot_be_a_setting(call: Any) -> None:
    wrong(call("reproduce", "digits", "10", "--set", "portable=true"), "portable", "--portable")
