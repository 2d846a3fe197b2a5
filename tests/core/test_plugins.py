"""Names of plug-ins without imports, unknown names, and plug-ins of other packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.other_packages import importable, install
from uvlp.core import plugins
from uvlp.core.errors import UvlpError


def refused(group: str, name: str) -> UvlpError:
    with pytest.raises(UvlpError) as error:
        plugins.load(group, name)
    return error.value


def test_each_file_is_a_plugin_name() -> None:
    assert {"random", "k-center", "herding", "d4m", "vlcp", "uvlp", "full"} <= set(plugins.names("methods"))


def test_hyphen_and_underscore_are_equivalent() -> None:
    assert plugins.load("methods", "k-center") is plugins.load("methods", "k_center")


def test_unknown_name_suggests_the_nearest() -> None:
    error = refused("methods", "hering")
    assert error.got == "hering" and "herding" in str(error.fix)


def test_entry_point_of_another_package_is_a_plugin(tmp_path: Path) -> None:
    install(tmp_path, "blue-pack", {"blue_pack/one.py": "X = 1"}, {"methods": {"blue_one": "blue_pack.one"}})
    with importable(tmp_path):
        assert "blue-one" in plugins.names("methods") and "blue-one" not in plugins.names("datasets")
        origin = plugins.find("methods", "blue_one")
        assert (origin.package, origin.module) == ("blue-pack 1.0", "blue_pack.one")
        assert origin.file == "blue_pack/one.py (blue-pack 1.0)"
        assert plugins.load("methods", "blue-one").X == 1
        assert plugins.source(origin) == tmp_path / "blue_pack" / "one.py"
    assert "blue-one" not in plugins.names("methods")


def test_built_in_name_cannot_be_reused(tmp_path: Path) -> None:
    install(tmp_path, "red-pack", {"red_pack/uvlp.py": ""}, {"methods": {"k_center": "red_pack.uvlp"}})
    with importable(tmp_path):
        error = refused("methods", "random")
    assert error.got == "uvlp/methods/k_center.py and red_pack/uvlp.py (red-pack 1.0)"


def test_two_packages_cannot_share_a_name(tmp_path: Path) -> None:
    for name in ("left", "right"):
        install(tmp_path, name, {f"{name}/own.py": ""}, {"networks": {"wide": f"{name}.own"}})
    with importable(tmp_path):
        error = refused("networks", "convnet")
    assert error.got == "left/own.py (left 1.0) and right/own.py (right 1.0)"


@pytest.mark.parametrize(
    ("point", "module", "got"),
    [
        ("Wide", "odd.own", "Wide"),
        ("a:b", "odd.own", "a:b"),
        ("wide", "odd.own:METHOD", "odd.own:METHOD"),
    ],
)
def test_invalid_entry_points_are_refused(tmp_path: Path, point: str, module: str, got: str) -> None:
    install(tmp_path, "odd", {"odd/own.py": ""}, {"methods": {point: module}})
    with importable(tmp_path):
        error = refused("methods", "random")
    assert error.got == got and "odd 1.0" in error.what


@pytest.mark.parametrize(
    ("text", "what", "got"),
    [
        ("import no_such_package", "own.py, line 1", "ModuleNotFoundError: No module named"),
        ("\n1 / 0", "own.py, line 2", "ZeroDivisionError"),
        ("def select(:\n", "line 1", "def select(:"),
    ],
)
def test_import_error_names_file_and_line(tmp_path: Path, text: str, what: str, got: str) -> None:
    name = f"broken{abs(hash(text))}"
    install(tmp_path, name, {f"{name}/own.py": text}, {"methods": {"broken": f"{name}.own"}})
    with importable(tmp_path):
        error = refused("methods", "broken")
    assert what in error.what and f"{name}/own.py ({name} 1.0)" in error.what
    assert str(error.got).startswith(got)


def raised(folder: Path, text: str) -> Exception:
    """Return the exception that `f` of another package's plug-in raises."""
    name = f"raises{abs(hash(text))}"
    install(folder, name, {f"{name}/own.py": text}, {"methods": {"raises": f"{name}.own"}})
    with importable(folder):
        try:
            plugins.load("methods", "raises").f()
        except Exception as error:
            assert plugins.describe_error(error).startswith(
                f"{name}/own.py, line 2: {type(error).__name__}: "
            )
            error.add_note(plugins.plugin_line(error))
            return error
    raise AssertionError("nothing was raised")


def test_error_description_names_the_plugin_line_that_led_to_it(tmp_path: Path) -> None:
    own = raised(tmp_path / "own", "def f():\n    return 1 / 0\n")
    assert own.__notes__ == [""]  # its line ends the traceback anyway
    called = raised(tmp_path / "called", "def f():\n    return __import__('json').loads('{')\n")
    (line,) = called.__notes__
    assert "own.py, line 2, in f\n    return __import__('json').loads('{')" in line


def test_error_outside_plugins_names_no_plugin() -> None:
    with pytest.raises(ValueError) as error:
        int("x")
    assert plugins.describe_error(error.value).startswith("ValueError: invalid literal")
    assert plugins.plugin_line(error.value) == ""


def test_missing_module_of_an_entry_point_is_named(tmp_path: Path) -> None:
    install(tmp_path, "gone", {"gone/__init__.py": ""}, {"networks": {"gone": "gone.away"}})
    with importable(tmp_path), pytest.raises(UvlpError) as error:
        plugins.source(plugins.find("networks", "gone"))
    assert error.value.got == "gone.away"
