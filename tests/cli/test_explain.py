"""`uvlp explain` on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from tests.stored_tables import put_table
from uvlp.artifacts.task import MANIFEST, read_manifest
from uvlp.cli import app
from uvlp.cli.command import OUTPUT, WHAT


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`uvlp explain` in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", "explain", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_the_page_names_the_method_its_run_and_its_sources(explain: Call) -> None:
    code, out, err = explain("uvlp", "--set", "uvlp.top_k=3")
    assert code == 0 and err == ""
    assert out.startswith("UVLP: ") and "digits at 10 images per class, profile tiny" in out
    assert "top_k 3*† (0) [--set]" in " ".join(out.split())


def test_json_has_the_same_steps(explain: Call) -> None:
    code, out, _ = explain("vlcp", "--dataset", "imagenette", "--ipc", "50", "--json")
    content = json.loads(out)
    assert code == 0
    assert (content["method"], content["dataset"], content["ipc"]) == ("vlcp", "imagenette", 50)
    assert [step["stage"] for step in content["steps"]][-1] == "tabulate"
    assert content["costs"][1]["machine"]["name"] == "NVIDIA H200"


def test_a_combination_is_explained_by_its_parts(explain: Call) -> None:
    code, out, _ = explain("uvlp:no-outliers+alpha=fixed")
    assert code == 0 and "without the removal of outliers" in " ".join(out.split())
    content = json.loads(explain("uvlp:no-outliers+alpha=fixed", "--json")[1])
    assert content["method"] == "uvlp:alpha=fixed+no-outliers" and content["notes"] == []


def test_a_variant_without_an_effect_is_explained_as_its_base(explain: Call) -> None:
    code, out, _ = explain("uvlp:top-k=1", "--ipc", "50", "--json")
    content = json.loads(out)
    assert code == 0 and content["method"] == "uvlp" and content["variant"] == ""
    assert content["notes"][0].startswith("uvlp:top-k=1 equals uvlp at IPC 50")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("uvlp:alpha=fixed+alpha=package",), "contradicts itself"),
        (("uvpl",), "did you mean 'uvlp'"),
        (("uvlp,vlcp",), "unknown method"),
        (("uvlp:no-outlier",), "uvlp:no-outliers"),
        (("uvlp", "--dataset", "imagenet"), "did you mean 'imagenette'"),
        (("uvlp", "--dataset", ""), "dataset is empty"),
        (("uvlp", "--dataset", "folder:no/such"), "no/such"),
        (("uvlp", "--profile", "tin"), "did you mean 'tiny'"),
        (("uvlp", "--protocol", "rdedd"), "rded"),
        (("uvlp", "--set", "uvlp.topk=3"), "did you mean 'top_k'"),
        (("uvlp", "--ipc", "ten"), "--ipc"),
    ],
)
def test_bad_input_is_one_line(explain: Call, arguments: tuple[str, ...], expected: str) -> None:
    code, out, err = explain(*arguments)
    assert code == 2 and out == "" and expected in err and len(err.splitlines()) == 1


def test_the_help_has_panels_and_an_example(explain: Call) -> None:
    code, out, _ = explain("--help")
    assert code == 0 and all(f"{panel}:" in out for panel in (WHAT, OUTPUT))
    assert "Example: uvlp explain " in out


def test_it_names_the_devices_of_what_the_store_has(explain: Call, tmp_path: Path) -> None:
    _, folders = put_table(tmp_path, methods=("random", "uvlp"), repeats=3)
    for folder, gpu in zip(folders[3:5], (None, "NVIDIA H200"), strict=True):  # the third names none
        content = read_manifest(folder)
        content["made"]["gpu"] = gpu
        (folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    code, out, _ = explain("uvlp", "--store", str(tmp_path))
    assert code == 0 and " evaluate: CPU (1), NVIDIA H200 (1)\n" in out and "several types" in out
    content = json.loads(explain("uvlp", "--store", str(tmp_path), "--json")[1])
    assert content["devices"] == {"evaluate": {"CPU": 1, "NVIDIA H200": 1}}
    for other in (("random",), ("uvlp", "--ipc", "1"), ("uvlp", "--dataset", "imagenette")):
        assert "Made on" not in explain(*other, "--store", str(tmp_path))[1], other


def test_it_loads_no_torch_and_makes_no_store(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from uvlp.cli import app\n"
        "sys.argv = ['uvlp', 'explain', 'uvlp', '--dataset', 'imagenette']\n"
        "try:\n    app.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(sorted(set(sys.modules) & {'torch', 'numpy', 'diffusers'}), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=tmp_path
    )
    assert result.stderr.strip() == "[]" and not list(tmp_path.iterdir())
