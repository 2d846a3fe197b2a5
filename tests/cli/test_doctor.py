"""`uvlp doctor` on GPUs and folders; torch's answers about GPUs are faked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.cli.caption_forms import Call
from tests.pretend_cards import Driver, Pretended
from uvlp.cli.findings import folders, gpu as gpu_findings
from uvlp.cli.findings.finding import INSTALL, Finding
from uvlp.core import nvidia
from uvlp.core.nvidia import Card

CARD = Card(name="NVIDIA H200", driver="580.65.06", total_mib=143771, index=0, uuid="GPU-0")
H200 = {
    "is_available": True,
    "device_count": 1,
    "get_device_capability": (9, 0),
    "mem_get_info": (138 * 2**30, 140 * 2**30),
    "get_device_name": "NVIDIA H200",
    "get_arch_list": ["sm_75", "sm_80", "sm_90", "compute_90"],
}
Gpu = Callable[..., None]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """Fake the driver's GPUs and CUDA version, and torch's answers."""

    def install(
        cards: tuple[Card, ...], cuda: tuple[int, int] | None, built: str | None, **facts: object
    ) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(nvidia, "cards", lambda: cards)
        monkeypatch.setattr(nvidia, "driver_cuda", lambda: cuda)
        monkeypatch.setattr(torch.version, "cuda", built)
        for name, value in {**H200, **facts}.items():
            monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)

    return install


def findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in gpu_findings.findings()}


def test_supported_gpu_is_described(gpu: Gpu) -> None:
    gpu((CARD,), (13, 0), "13.2")
    found = findings()
    assert all(finding.good for finding in found.values())
    assert found["driver"].found == (
        "NVIDIA 580.65.06, runs CUDA up to 13.0; "
        "torch is built for CUDA 13.2, which needs driver 580 or newer"
    )
    assert found["gpu"].found == "NVIDIA H200, compute capability 9.0, 140 GiB (138 free), bfloat16"
    assert found["precision"].found == (
        "float16 to caption, embed and synthesise, bfloat16 to train; evaluation in TF32 and float32"
    )
    assert found["batches"].found.startswith("caption 32, fine-tune 32 (times 4), embed 64, synthesise 25, ")
    assert "gpus" not in found


def test_several_gpus_are_counted(gpu: Gpu) -> None:
    gpu((CARD, CARD), (13, 0), "13.2", device_count=2)
    assert findings()["gpus"].found == "2: each process uses its own, and a fine-tuning uses all"


def test_small_turing_gpu_lists_what_does_not_fit(gpu: Gpu) -> None:
    gpu(
        (CARD,),
        None,
        "13.2",
        get_device_capability=(7, 5),
        mem_get_info=(14 * 2**30, 15 * 2**30),
        get_device_name="Tesla T4",
    )
    found = findings()
    assert found["driver"].found.startswith("NVIDIA 580.65.06; torch is built for CUDA 13.2, ")
    assert found["gpu"].found == "Tesla T4, compute capability 7.5, 15 GiB (14 free), no bfloat16"
    assert found["precision"].found.startswith("float16 to caption, embed and synthesise, float16 to train")
    assert found["gpu memory"] == Finding(
        "gpu memory",
        False,
        "too little in profile sd15 for captions by LLaVA (16 GiB), fine-tuning (20 GiB)",
        "reduce the batch sizes of caption, finetune and synthesise, or use profile small or tiny",
    )


def test_gpu_of_24_gb_is_enough(gpu: Gpu) -> None:
    # Torch reports 23.5 GiB for an RTX 4090; fine-tuning splits its batch there.
    gpu((CARD,), None, "13.2", mem_get_info=(23 * 2**30, int(23.5 * 2**30)))
    assert all(finding.good for finding in gpu_findings.findings())


def test_gpu_without_kernels_in_torch_is_refused(gpu: Gpu) -> None:
    gpu((CARD,), (13, 0), "13.2", get_device_capability=(7, 0), get_device_name="Tesla V100")
    found = findings()
    assert not found["gpu"].good and "batches" not in found
    assert found["gpu"].fix == "this torch needs 7.5 or newer; CUDA_VISIBLE_DEVICES= uses the CPU"


def test_too_old_driver_is_refused(gpu: Gpu) -> None:
    gpu((CARD,), (12, 2), "13.2", is_available=False)
    newer = "install driver 580 or newer; on a data-centre GPU cuda-compat-13 is enough"
    problem = "NVIDIA H200, but its driver runs CUDA 12.2 and torch needs 13.2"
    assert findings()["gpu"] == Finding("gpu", False, problem, newer)
    assert not findings()["driver"].good and findings()["driver"].fix == newer


def test_doctor_names_the_driver_and_the_one_needed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command, with a stand-in for the driver's program; no CUDA library answers."""
    card = Pretended(name="NVIDIA A100-SXM4-80GB", total_mib=81920, index=0, driver="535.183.01")
    Driver(tmp_path, monkeypatch).install([card])
    monkeypatch.setattr(nvidia, "driver_cuda", lambda: None)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, _ = call("doctor", "--json")
    assert code == 2
    lines = {line["what"]: line for line in json.loads(out)}
    assert lines["driver"] == {
        "what": "driver",
        "good": False,
        "found": "NVIDIA 535.183.01; torch is built for CUDA 13.2, which needs driver 580 or newer",
        "fix": "install driver 580 or newer; on a data-centre GPU cuda-compat-13 is enough",
    }
    assert lines["gpu"]["found"] == (
        "NVIDIA A100-SXM4-80GB, but its driver is 535.183.01 and torch needs 13.2"
    )


def test_old_driver_with_the_compatibility_package_is_accepted(gpu: Gpu) -> None:
    old = Card(name="NVIDIA H200", driver="535.183.01", total_mib=143771, index=0, uuid="GPU-0")
    gpu((old,), None, "13.2")
    assert findings()["driver"].good


def test_torch_without_cuda_is_reported(gpu: Gpu) -> None:
    gpu((CARD,), (13, 0), None, is_available=False)
    found = findings()
    assert found["driver"].found.endswith("torch is built for the CPU only")
    assert found["gpu"] == Finding("gpu", False, "NVIDIA H200, but torch is built for the CPU only", INSTALL)


@pytest.mark.parametrize("value", ["", "-1"])
def test_masked_gpu_is_reported(gpu: Gpu, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    gpu((CARD,), (13, 0), "13.2", is_available=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert findings()["gpu"] == Finding(
        "gpu",
        False,
        f"NVIDIA H200, hidden by CUDA_VISIBLE_DEVICES={value}",
        "unset CUDA_VISIBLE_DEVICES, or continue on the CPU",
    )


def test_cuda_initialisation_failure_is_reported(gpu: Gpu) -> None:
    gpu((CARD,), (13, 2), "13.2", is_available=False)
    found = findings()["gpu"]
    assert not found.good and found.found == "NVIDIA H200, but CUDA cannot be initialised"
    assert "--gpus all" in found.fix


def test_no_gpu_is_accepted(gpu: Gpu) -> None:
    gpu((), None, "13.2", is_available=False)
    assert findings() == {"gpu": Finding("gpu", True, gpu_findings.NONE)}
    assert "everything runs on the CPU" in gpu_findings.NONE


@pytest.fixture
def empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import huggingface_hub.constants

    monkeypatch.setenv("UVLP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HOME", str(tmp_path))
    yield tmp_path


def test_empty_folders_are_reported_with_fixes(empty_folders: Path) -> None:
    found = {finding.what: finding for finding in folders.findings()}
    assert all(finding.good for finding in found.values())
    assert found["models folder"].found.startswith(f"{empty_folders / 'hub'}, ")
    assert found["models"].found == "not present: Stable Diffusion 1.5, CLIP ViT-L/14, LLaVA-1.5-7B"
    assert found["data folder"].found.startswith(f"{empty_folders / 'data'}, ")
    assert found["data folder"].found.endswith(" free (UVLP_DATA)")
    assert (
        found["datasets"].found.startswith("not present: cifar10, ")
        and "imagenette" in found["datasets"].found
    )
    assert found["datasets"].fix == "`uvlp fetch DATASET`; subsets of an ILSVRC folder: --data DIR"


def test_doctor_runs_without_torch(tmp_path: Path) -> None:
    """As on a machine where nothing is installed; the packages are hidden, not removed."""
    code = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "hidden = ('torch', 'huggingface_hub')\n"
        "importlib.util.find_spec = lambda name, *a: None if name in hidden else real(name, *a)\n"
        "sys.modules['torch'] = None\n"
        "from uvlp.cli import app\n"
        f"sys.argv = ['uvlp', 'doctor', '--store', {str(tmp_path)!r}]\n"
        "app.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == ""
    assert f"FAIL  gpu              unknown without torch  -> {INSTALL}" in done.stdout
    assert "FAIL  models           unknown without huggingface_hub" in done.stdout


def test_unreadable_folder_is_one_finding_among_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UVLP_DATA", str(tmp_path / ("x" * 300)))
    found = {finding.what: finding for finding in folders.findings()}
    assert found["models folder"].good
    assert not found["data folder"].good
    assert found["data folder"].found.endswith("File name too long")
    assert found["data folder"].fix == "choose a shorter path"
