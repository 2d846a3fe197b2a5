"""Mistakes on the command line are reported like all others: one line, exit code 2."""

from __future__ import annotations

import pytest
import typer

from uvlp.cli.app import app
from uvlp.cli.printing import usage
from uvlp.core.errors import UvlpError


def refused(*words: str) -> UvlpError:
    with pytest.raises((typer.TyperException, UvlpError)) as caught:
        app([*words], standalone_mode=False)
    error = caught.value
    if isinstance(error, UvlpError):
        return error
    assert isinstance(error, typer.TyperException)
    return usage.as_uvlp_error(error)


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("reproduce", "digits"), "IPC is missing", "uvlp reproduce digits 10"),
        (("evaluate", "x"), "--dataset NAME is missing", "uvlp evaluate "),
        (("captions", "import"), "FILE is missing", "uvlp captions import "),
    ],
)
def test_what_is_missing_is_named_as_in_the_help_with_an_example(
    words: tuple[str, ...], what: str, fix: str
) -> None:
    error = refused(*words)
    assert error.what == what and error.allowed and fix in str(error.fix)


@pytest.mark.parametrize(
    ("words", "got", "fix"),
    [
        (("reproduce", "digits", "10", "--forc"), "--forc", "--force"),
        (("reproduce", "digits", "10", "--zzz"), "--zzz", "uvlp reproduce --help"),
        (("reproduc",), "reproduc", "reproduce"),
        (("captions", "impor"), "impor", "import"),
        (("reproduce", "digits", "10", "a", "b"), "a b", "uvlp reproduce --help"),
        (("reproduce", "digits", "10", "--alpha", "x"), "x", ""),
    ],
)
def test_what_is_unknown_is_quoted_and_the_nearest_named(words: tuple[str, ...], got: str, fix: str) -> None:
    error = refused(*words)
    assert error.got == got and fix in (error.fix or "")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("verify", "--seed"), "--seed"),
        (("reproduce", "digits", "10", "--portable=1"), "--portable"),
    ],
)
def test_a_value_that_is_missing_or_too_much_names_the_option(words: tuple[str, ...], option: str) -> None:
    error = refused(*words)
    assert error.what.startswith(option) and option in str(error.allowed)
