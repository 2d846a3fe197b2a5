"""The launcher of a command line: its name, and settings from a file and from `--set`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from tests.other_packages import importable, install
from uvlp.cli import launching
from uvlp.core.errors import UvlpError
from uvlp.launchers.slurm import COMMANDS


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "uvlp").mkdir()
    return tmp_path / "uvlp" / "launcher.toml"


def test_settings_of_the_launcher_are_split_from_those_of_the_recipe() -> None:
    texts = ["launcher.a=1", "evaluate.epochs=2", "launcher.sbatch.qos=x"]
    assert launching.split_settings(texts) == (["a=1", "sbatch.qos=x"], ["evaluate.epochs=2"])


def test_tasks_run_here_by_default() -> None:
    assert launching.resolve(None, None, [], detach=False).name == "local"


def test_an_unknown_launcher() -> None:
    with pytest.raises(UvlpError) as caught:
        launching.resolve("slurn", None, [], detach=False)
    assert (caught.value.what, caught.value.got) == ("unknown launcher", "slurn")


def test_this_machine_takes_no_settings_and_does_not_detach() -> None:
    with pytest.raises(UvlpError) as caught:
        launching.resolve("local", None, ["partition=gpu"], detach=False)
    assert caught.value.got == "partition"
    with pytest.raises(UvlpError) as caught:
        launching.resolve(None, None, [], detach=True)
    assert caught.value.got == "local"


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path, config: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        launching.resolve(None, str(tmp_path / "none.toml"), [], detach=False)
    assert str(tmp_path / "none.toml") in caught.value.what
    config.write_text("launcher = [", encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        launching.resolve(None, None, [], detach=False)
    assert str(config) in caught.value.what


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commands of Slurm on the path."""
    (tmp_path / "bin").mkdir()
    for name in COMMANDS:
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_set_overrides_the_file_and_the_file_the_defaults(slurm: None, config: Path) -> None:
    lines = ('launcher = "slurm"', 'partition = "gpu"', "cpus = 8", 'setup = ["module load x, y"]')
    config.write_text("\n".join([*lines, "[sbatch]", 'qos = "low"', "exclusive = true"]), encoding="utf-8")
    texts = ["partition=big", "sbatch.qos=high", "sbatch.gres=gpu:h200:1"]
    found = launching.resolve(None, None, texts, detach=True)
    assert (found.name, found.detach) == ("slurm", True)
    settings = found.settings
    assert (settings.partition, settings.cpus, settings.setup) == ("big", 8, ("module load x, y",))
    assert settings.sbatch == ("exclusive=true", "qos=high", "gres=gpu:h200:1")


@pytest.mark.parametrize(("text", "got"), [("cpus=0", 0), ("cpus=x", "x"), ("cpu=1", "cpu"), ("cpus", None)])
def test_a_wrong_setting(slurm: None, text: str, got: object) -> None:
    with pytest.raises(UvlpError) as caught:
        launching.resolve("slurm", None, [text], detach=False)
    assert caught.value.got == (got if got is not None else "launcher.cpus")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('partiton = "x"', "unknown setting of the launcher: got 'partiton'"),
        ('partition = ["a", "b"]', "wrong type of setting partition of the launcher: got ['a', 'b']"),
        ("account = 5", "wrong type of setting account of the launcher: got 5; allowed: a text"),
        ("cpus = true", "wrong type of setting cpus of the launcher: got True"),
        ("time_minutes = 2.5", "wrong type of setting time_minutes of the launcher: got 2.5"),
        ("setup = [1]", "wrong type of setting setup of the launcher: got [1]; allowed: a list of texts"),
        ('sbatch.qos = ["a"]', "wrong type of setting sbatch.qos of the launcher: got ['a']"),
        ("sbatch.x.y = 1", "wrong type of setting sbatch.x of the launcher"),
        ('[launcher]\npartition = "x"', "has a table [launcher]"),
        ('launcher = ""', "unknown launcher: got ''"),
        ("launcher = 1", "launcher must be a text: got 1"),
    ],
)
def test_a_wrong_line_of_a_file_names_the_file(line: str, said: str, config: Path) -> None:
    config.write_text(line, encoding="utf-8")
    name = "slurm" if "launcher" not in line else None
    named = "" if "unknown launcher" in said else str(config)
    with pytest.raises(UvlpError) as caught:
        launching.resolve(name, str(config), [], detach=False, dry_run=True)
    assert said in str(caught.value) and named in str(caught.value)


def test_an_empty_name_is_no_launcher() -> None:
    with pytest.raises(UvlpError) as caught:
        launching.resolve("", None, [], detach=False)
    assert caught.value.what == "unknown launcher"


def test_a_text_is_one_line_of_the_job_script(slurm: None, config: Path) -> None:
    config.write_text('setup = "module load a, b"', encoding="utf-8")
    assert launching.resolve("slurm", None, [], detach=False).settings.setup == ("module load a, b",)
    texts = ["setup=export A=1,2"]
    assert launching.resolve("slurm", None, texts, detach=False).settings.setup == ("export A=1,2",)
    assert launching.resolve("slurm", None, ["setup="], detach=False).settings.setup == ()


def test_the_users_own_file_does_not_disturb_a_local_run(config: Path) -> None:
    config.write_text('launcher = "slurm"\npartition = "gpu"\n', encoding="utf-8")
    assert launching.resolve("local", None, [], detach=False).name == "local"


def test_an_unknown_launcher_ends_with_code_2(call: Call) -> None:
    code, _, printed = call("reproduce", "digits", "1", "--launcher", "slurn", "--dry-run")
    assert code == 2 and "slurn" in printed


def test_cancelling_a_run_that_was_never_submitted(call: Call) -> None:
    code, _, printed = call("cancel", "1c2f03a9")
    assert code == 2 and "1c2f03a9" in printed


def test_a_broken_launcher_of_a_package_hinders_no_other(tmp_path: Path, call: Call) -> None:
    install(tmp_path, "broken", {"broken.py": "nonsense"}, {"launchers": {"a-broken": "broken"}})
    with importable(tmp_path):
        code, _, printed = call("cancel", "1c2f03a9")
        assert code == 2 and "note   broken.py" in printed and "1c2f03a9" in printed
        code, _, printed = call("reproduce", "digits", "1", "--launcher", "a-broken", "--dry-run")
        assert code == 2 and "broken.py" in printed


TABLE = '[launcher]\nlauncher = "slurm"\npartition = "gpu"\ncpus = 8\nsbatch = ["qos=x"]\n'


def test_a_config_may_have_a_table_of_the_launcher(tmp_path: Path, config: Path, call: Call) -> None:
    """It replaces the user's own file; options override it."""
    config.write_text('launcher = "slurm"\naccount = "mine"\n', encoding="utf-8")
    run = tmp_path / "run.toml"
    run.write_text(f'dataset = "digits"\nipc = 1\n{TABLE}', encoding="utf-8")
    dry = ("reproduce", "--config", str(run), "--dry-run", "--set", "launcher.job_minutes=0")
    code, printed, err = call(*dry)
    assert code == 0, err
    assert "--partition=gpu" in printed and "--qos=x" in printed and "mine" not in printed
    assert "sbatch" not in call(*dry[:-2], "--launcher", "local")[1]
    code, _, err = call(*dry, "--set", "launcher.cpus=0")
    assert code == 2 and "launcher.cpus" in err
    run.write_text('dataset = "digits"\nipc = 1\nlauncher = "slurm"\n', encoding="utf-8")
    code, _, err = call(*dry)
    assert code == 2 and "must be a table" in err and err.count("\n") == 1


def test_a_printed_config_has_the_launcher_that_was_named(tmp_path: Path, config: Path, call: Call) -> None:
    config.write_text('launcher = "slurm"\npartition = "own"\n', encoding="utf-8")
    words = ("reproduce", "digits", "1", "--print-config", "--format", "toml")
    assert "launcher" not in call(*words)[1]
    code, text, err = call(*words, "--launcher", "slurm", "--set", "launcher.sbatch.qos=x")
    assert code == 0, err
    assert 'launcher = "slurm"' in text and 'partition = "own"' in text and "qos=x" in text
    run = tmp_path / "run.toml"
    run.write_text(text, encoding="utf-8")
    again = ("reproduce", "--config", str(run), "--print-config", "--format", "toml")
    assert call(*again)[1] == text


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "baseline:a", "--dataset", "digits", "--ipc", "1"),
        ("teacher", "digits", "conv3"),
        ("robust", "digits", "1", "--method", "k-center"),
    ],
)
def test_commands_that_train_take_a_launcher(words: tuple[str, ...], call: Call) -> None:
    code, _, err = call(*words, "--launcher", "slurm", "--set", "launcher.cpus=0", "--dry-run")
    assert code == 2 and "launcher.cpus out of range" in err


def test_a_login_node_plans_what_it_could_not_compute(call: Call) -> None:
    """The node that runs a job checks its card."""
    half = ["reproduce", "digits", "1", "--profile", "nano", "--method", "vlcp", "--dry-run"]
    half += ["--set", "embedder.precision=float16"]
    code, printed, err = call(*half, "--launcher", "slurm")
    assert code == 0 and "--gpus-per-node=1" in printed, err
    import torch

    if not torch.cuda.is_available():
        code, _, err = call(*half)
        assert code == 2 and "unsupported precision on cpu" in err


def test_what_a_node_could_not_download_is_named_at_submission(
    slurm: None, tmp_path: Path, call: Call
) -> None:
    words = ("reproduce", "imagenette", "10", "--data", str(tmp_path / "data"), "--launcher", "slurm")
    code, _, err = call(*words, "--offline")
    assert code == 2 and f"`uvlp fetch imagenette --data {tmp_path / 'data'}`" in err
    assert "`uvlp fetch clip`" in err and "/hub" in err, "and the folder of the hub's cache"
    assert not list(tmp_path.rglob("jobs.json"))


def test_planning_jobs_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom uvlp.cli import app\n"
        f"sys.argv = ['uvlp', 'reproduce', 'digits', '1', '--store', {str(tmp_path / 'store')!r}]\n"
        "sys.argv += ['--dry-run', '--launcher', 'slurm', '--profile', 'nano', '--method', 'vlcp,uvlp,dm']\n"
        "try: app.main()\nexcept SystemExit as end: print(end.code or 0, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert "sbatch" in done.stdout and done.stdout.endswith("0 False\n"), done.stdout + done.stderr


def test_a_training_is_repeated_here_alone(call: Call, slurm: None) -> None:
    code, _, err = call("reproduce", "digits", "1", "--rerun", "1", "--launcher", "slurm")
    assert code == 2 and "--launcher local" in err
