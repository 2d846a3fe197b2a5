"""Config files: what is printed is read again, options override it, mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from uvlp.core.errors import UvlpError
from uvlp.pipeline.requests import config
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.schema import Recipe


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def recipe(path: Path, **given: object) -> Recipe:
    return resolve(config.requested(str(path), config.read(path), given, "tabulate"))


@pytest.mark.parametrize(
    "words",
    [
        ("reproduce", "digits", "10"),
        (*("reproduce", "digits", "5", "--method", "uvlp:no-outliers,random,full", "--seed", "0,1"),),
        (*("reproduce", "imagenette", "10", "--method", "paper", "--set", "note=mine"),),
        (*("reproduce", "cifar10", "10", "--alpha", "0.25", "--set", "method.rded.factor=2"),),
        (*("ablate", "uvlp", "digits", "2", "--profile", "nano"),),
        (*("evaluate", "a=x,y", "--dataset", "digits", "--no-random", "--select", "drawn"),),
        ("teacher", "digits", "conv3", "--set", "teacher.epochs=3"),
        ("caption", "digits", "10", "--missing-captions", "empty"),
    ],
)
def test_what_is_printed_prints_the_same_when_it_is_read(
    call: Call,
    tmp_path: Path,
    words: tuple[str, ...],
) -> None:
    code, text, err = call(*words, "--print-config", "--format", "toml")
    assert code == 0, err
    path = write(tmp_path, text)
    assert call(words[0], "--config", str(path), "--print-config", "--format", "toml")[:2] == (0, text)
    assert (
        call(words[0], "--config", str(path), "--print-config", "--json")[1]
        == call(*words, "--print-config", "--json")[1]
    )


def test_options_override_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'dataset = "digits"\nipc = 10\n[evaluate]\nepochs = 7\n[uvlp]\nalpha = 0.1\n')
    plain = recipe(path)
    assert (plain.ipc, plain.evaluate.epochs, plain.method["uvlp"]["alpha"]) == (10, 7, 0.1)
    changed = recipe(path, ipc=5, alpha=0.5, settings=["evaluate.epochs=8"])
    assert (changed.ipc, changed.evaluate.epochs) == (5, 8)
    assert changed.method["uvlp"] == {"search": "package", "alpha": 0.5}


def test_usual_values_of_a_file_do_not_override_another_profile(call: Call, tmp_path: Path) -> None:
    words = ("reproduce", "digits", "10", "--set", "evaluate.batch=32")
    path = write(tmp_path, call(*words, "--print-config", "--format", "toml")[1])
    nano = ("--profile", "nano", "--print-config", "--json")
    read = json.loads(call("reproduce", "--config", str(path), *nano)[1])
    expected = json.loads(call(*words, *nano)[1])
    assert read == expected and read["evaluate"]["batch"] == 32


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ('datset = "digits"', "unknown key", "did you mean 'dataset'?"),
        ("[evalute]\nepochs = 3", "unknown setting", "did you mean 'evaluate'?"),
        ("[evaluate]\nepoch = 3", "unknown setting", "did you mean 'epochs'?"),
        ("[uvlp]\ntopk = 3", "unknown setting", "did you mean 'top_k'?"),
        ("[uvlp.synthesis]\nstep = 3", "unknown setting", "did you mean 'steps'?"),
        ("[evaluate]\nepochs = true", "wrong type of setting epochs", None),
        ('[evaluate]\nnorm = ["a"]', "wrong type of setting norm", None),
        ("[embedder]\nlayers = 3", "wrong type of setting layers", None),
        ("[[evaluate]]\nepochs = 3", "unknown key", None),
        ("evaluate = 3", "unknown key", None),
        ("seeds = [0.5]", "seed must be an integer", None),
        ("ipc = 0", "IPC must be an integer", None),
        ("portable = 1", "--portable must be true or false", None),
        ("protocol_notes = 1", "unknown key", None),
    ],
)
def test_mistakes_name_the_file_and_the_nearest_key(
    tmp_path: Path, text: str, what: str, fix: str | None
) -> None:
    path = write(tmp_path, text if text.startswith("datset") else f'dataset = "digits"\n{text}')
    with pytest.raises(UvlpError) as caught:
        recipe(path)
    assert caught.value.what == f"{path}: {what}" and (fix is None or caught.value.fix == fix)


@pytest.mark.parametrize("version", ["2", '"x"', "1.0"])
def test_a_config_of_another_version_is_refused(tmp_path: Path, version: str) -> None:
    path = write(tmp_path, f'config_version = {version}\ndataset = "digits"')
    with pytest.raises(UvlpError) as caught:
        config.read(path)
    assert caught.value.got == json.loads(version) and caught.value.allowed == "1"


@pytest.mark.parametrize("content", [b"dataset =", b"\xff", b'a = "x"\na = "y"'])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        config.read(path)
    assert caught.value.what == f"{path} is not TOML in UTF-8"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("reproduce", "--config", "{dir}/none.toml", "digits", "10"), "cannot read {dir}/none.toml"),
        (("reproduce", "--config", "{dir}/run.toml"), "IPC is missing"),
        (("evaluate", "--config", "{dir}/run.toml"), "PATH is missing"),
        (("reproduce", "--config", "{dir}/images.toml", "digits", "2"), "{dir}/images.toml: images is for"),
        (("reproduce", "digits", "10", "--format", "toml"), "--format is for --print-config"),
        (("reproduce", "digits", "10", "--print-config", "--format", "yaml"), "unknown format"),
        (("reproduce", "digits", "10", "--print-config", "--format", "toml", "--json"), "--format is for"),
        (("reproduce", "--config", "{dir}/run.toml", "--from", "x"), "--config with --from"),
        (("reproduce", "--from", "tables/0123456789abcdef"), "no run in the store"),
    ],
)
def test_wrong_requests_are_one_line(
    call: Call,
    tmp_path: Path,
    words: tuple[str, ...],
    what: str,
) -> None:
    write(tmp_path, 'dataset = "digits"')
    (tmp_path / "images.toml").write_text('dataset = "digits"\nimages = ["x"]', encoding="utf-8")
    code, out, err = call(*(word.format(dir=tmp_path) for word in words))
    assert (code, out) == (2, "") and err.count("\n") == 1 and what.format(dir=tmp_path) in err, err


@pytest.mark.slow
def test_the_recipe_of_every_stored_artifact_runs_again(call: Call, tmp_path: Path) -> None:
    words = ("reproduce", "digits", "1", "--profile", "nano", "--method", "random,vlcp", "--repeats", "1")
    code, first, err = call(*words, "--set", "evaluate.batch=8", "--set", "note=mine", "--json")
    assert code == 0, err
    artifacts = json.loads(first)["artifacts"]
    table = next(name for name in artifacts.values() if name.startswith("tables/"))
    score = next((tmp_path / "store" / "scores").iterdir()).name
    names = (json.loads(first)["table"]["name"], table.partition("/")[2], f"scores/{score}")
    for name in (*names, next(each for each in artifacts.values() if each.startswith("weights/"))):
        code, again, err = call("reproduce", "--from", name, "--json")
        assert code == 0, err
        assert json.loads(again)["artifacts"] == artifacts and json.loads(again)["made"] == 0, name
    code, other, err = call("reproduce", "--from", table, "--repeats", "2", "--dry-run", "--json")
    assert code == 0 and sum(row["make"] for row in json.loads(other)["artifacts"]) == 3, err


def test_an_artifact_of_an_earlier_version_says_what_its_manifest_lacks(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "store" / "weights" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"files": {}, "made": {}}', encoding="utf-8")
    code, out, err = call("reproduce", "--from", "0123456789abcdef")
    assert (code, out) == (2, "") and "weights/0123456789abcdef lacks made.recipe" in err


def test_the_recipe_of_scored_folders_needs_no_ipc(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "store" / "weights" / "0123456789abcdef"
    folder.mkdir(parents=True)
    recipe = {"config_version": 1, "dataset": "digits", "images": ["a=b"], "evaluate": {"epochs": 7}}
    text = json.dumps({"files": {}, "made": {"recipe": recipe}})
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    code, out, err = call("reproduce", "--from", "0123456789abcdef", "--print-config", "--format", "toml")
    assert code == 0 and 'images = ["a=b"]' in out and "epochs = 7 " in out, err
