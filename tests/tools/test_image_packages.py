"""Which packages the image gets, on distributions and wheels made here."""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import image_packages
from tools.image_packages import Refused

WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FILES = ("METADATA", "WHEEL", "RECORD")


def wheel(folder: Path, name: str, version: str, *requires: str, file: str = "") -> Path:
    """Write a wheel without code, which pip can install."""
    folder.mkdir(exist_ok=True)
    path = folder / (file or f"{name}-{version}-py3-none-any.whl")
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    with zipfile.ZipFile(path, "w") as archive:
        text = "\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires)])
        inside = f"{name}-{version}.dist-info"
        archive.writestr(f"{inside}/METADATA", text + "\n")
        archive.writestr(f"{inside}/WHEEL", WHEEL)
        archive.writestr(f"{inside}/RECORD", "".join(f"{inside}/{each},,\n" for each in FILES))
    return path


@pytest.fixture
def present(tmp_path: Path) -> dict[str, importlib.metadata.Distribution]:
    """Installed: torch 2 with a library of its own and triton, and a test tool with one."""
    for name, version, requires in (
        ("torch", "2.0", ["nvidia-x", "triton", "Jinja_2[fast]; extra == 'all'", "absent; extra == 'more'"]),
        ("nvidia_x", "1", []),
        ("triton", "3", []),
        ("jinja-2", "3", ["speed; extra == 'fast'"]),
        ("speed", "1", []),
        ("pytest", "9", ["pluggy"]),
        ("pluggy", "1", []),
    ):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
        (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = importlib.metadata.distributions(path=[str(tmp_path)])
    return {canonicalize_name(each.name): each for each in found}


def test_needed_are_all_that_the_package_reaches(
    present: dict[str, importlib.metadata.Distribution],
) -> None:
    assert image_packages.needed([Requirement("torch>=2")], present) == {"torch", "nvidia-x"}
    with_extra = image_packages.needed([Requirement("torch[all]")], present)
    assert with_extra == {"torch", "nvidia-x", "jinja-2", "speed"}


@pytest.mark.parametrize(
    ("root", "says"),
    [("torch>=3", "uvlp needs torch>=3, and 2.0 is installed"), ("torch[more]", "torch needs absent")],
)
def test_missing_and_unfit_packages_are_refused(
    present: dict[str, importlib.metadata.Distribution], root: str, says: str
) -> None:
    with pytest.raises(Refused, match=says):
        image_packages.needed([Requirement(root)], present)


def test_wheels_become_requirements_with_hashes(tmp_path: Path) -> None:
    torch = wheel(tmp_path / "wheels", "torch", "2.1", "nvidia-cu12")
    library = wheel(tmp_path / "wheels", "nvidia_cu12", "12")
    first, second = image_packages.supplied(tmp_path / "wheels", ["torch", "numpy"])
    assert first.startswith(f"nvidia-cu12 @ {library.as_uri()}#sha256=")
    assert second.startswith(f"torch @ {torch.as_uri()}#sha256=")


def test_folder_without_a_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no wheel in the folder"):
        list(image_packages.supplied(tmp_path, ["torch"]))


def test_wheel_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, "other", "1")
    with pytest.raises(Refused, match=r"needs other-1-py3-none-any\.whl: remove it"):
        list(image_packages.supplied(tmp_path, ["torch"]))


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path / "renamed", "other", "1", file="torch-2-py3-none-any.whl")
    with pytest.raises(Refused, match="it contains other 1"):
        list(image_packages.supplied(tmp_path / "renamed", ["torch"]))
    (tmp_path / "torch-2-py3-none-any.whl").write_text("no archive", encoding="utf-8")
    with pytest.raises(Refused, match="not a wheel: torch-2"):
        list(image_packages.supplied(tmp_path, ["torch"]))


def test_what_is_left_out_is_named_once_a_line(
    tmp_path: Path,
    present: dict[str, importlib.metadata.Distribution],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(image_packages, "installed", lambda: present)
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project]\ndependencies = ["torch"]\n', encoding="utf-8")
    assert image_packages.main(["unneeded", str(pyproject)]) == 0
    assert capsys.readouterr().out.split() == ["jinja-2", "pluggy", "pytest", "speed", "triton"]
    pyproject.write_text('[project]\ndependencies = ["torch>=3"]\n', encoding="utf-8")
    assert image_packages.main(["unneeded", str(pyproject)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error  uvlp needs torch>=3") and err.count("\n") == 1


def test_the_image_has_what_workers_of_a_cluster_need() -> None:
    pyproject = Path(image_packages.__file__).resolve().parent.parent / "pyproject.toml"
    assert "submitit" in {each.name for each in image_packages.project_requirements(pyproject)}
