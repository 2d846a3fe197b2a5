"""The environment of `--portable`: set, in effect in a new process, and refused where unsupported."""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest
from numpy._core import _multiarray_umath

from uvlp.core import nvidia, portable
from uvlp.core.errors import UvlpError

CONFLICTING = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "KMP_AFFINITY": "compact",
    "MKL_CBWR": "AUTO",
    "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    "OMP_NUM_THREADS": "2",
    "OMP_DYNAMIC": "true",
}
PROBE = """
import json, numpy, torch, sklearn.utils, scipy.linalg, threadpoolctl
from uvlp.core import portable
portable.begin(torch=True)
assert not torch._C._get_mkldnn_enabled()
assert not torch._C._get_nnpack_enabled()
pools = threadpoolctl.threadpool_info()
print(json.dumps([pool.get("architecture") for pool in pools if pool["user_api"] == "blas"]))
print(json.dumps([pool["num_threads"] for pool in pools]))
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Conflicting variables, restored after the test."""
    before = dict(os.environ)
    os.environ.update(CONFLICTING)
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    yield
    os.environ.clear()
    os.environ.update(before)
    nvidia.visible_gpus.cache_clear()


def test_settings_are_overwritten_and_interfering_variables_removed() -> None:
    portable.enforce()
    assert {name: os.environ[name] for name in portable.SETTINGS} == portable.SETTINGS
    assert not set(CONFLICTING) - set(portable.SETTINGS) & set(os.environ)


@pytest.mark.usefixtures("every_core")
def test_settings_are_in_effect_in_a_new_process() -> None:
    portable.enforce()
    completed = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    cores, threads = map(json.loads, completed.stdout.splitlines())
    # OpenBLAS has one set of kernels for its oldest processors, and reports the first of them.
    assert cores and set(cores) <= {"Prescott", "Katmai"}, "numpy's and scipy's OpenBLAS"
    assert set(threads) == {1}


def test_unused_gpu_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = nvidia.Card(name="NVIDIA H200", driver="1", total_mib=1, index=0, uuid="GPU-0")
    monkeypatch.setattr(nvidia, "cards", lambda: (card,))
    portable.enforce()
    assert "CPU" in capsys.readouterr().err and nvidia.visible_gpus() == ()
    portable.enforce()
    assert capsys.readouterr().err == "", "reported once"


def test_c_library_that_ignores_the_mask_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    number, exponential = portable.EXP
    monkeypatch.setattr(portable, "EXP", (number, exponential * (1 + 2**-52)))
    with pytest.raises(UvlpError) as error:
        portable.begin(torch=False)
    assert error.value.got == portable.libc() and "2.33" in (error.value.allowed or "")


def test_numpy_with_other_instructions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    number, _ = portable.EXP
    monkeypatch.setattr(portable, "EXP", (number, math.exp(number)))
    target = _multiarray_umath.__cpu_dispatch__[0]
    monkeypatch.setitem(_multiarray_umath.__cpu_features__, target, True)
    with pytest.raises(UvlpError) as error:
        portable.begin(torch=False)
    assert target in str(error.value.got)


@pytest.mark.parametrize(("system", "machine"), [("linux", "aarch64"), ("darwin", "x86_64")])
def test_other_processors_and_systems_are_refused(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(UvlpError) as error:
        portable.enforce()
    assert error.value.got == f"{system} on {machine}" and error.value.exit_code == 2
    assert os.environ["MKL_CBWR"] == "AUTO", "the environment is unchanged"
