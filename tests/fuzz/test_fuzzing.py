"""The fuzz tests' own means: each kind of failure is one."""

import time

import fuzzing
import pytest
from fuzzing import HangError, explore, refused
from hypothesis import strategies as st

from textae.errors import InputError


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A plan of ten inputs that are not counted among those of the readers."""
    monkeypatch.setattr(fuzzing, "PLAN", {"x": 10})
    monkeypatch.setattr(fuzzing, "FACTOR", 1)
    monkeypatch.setattr(fuzzing, "tried", fuzzing.Counter())


def refuse(message):
    def call():
        raise InputError(message)

    return call


def try_out(check):
    explore("x", check, number=st.integers(0, 99))


def test_what_is_read_and_refused_is_counted():
    try_out(lambda number: number > 5)
    assert fuzzing.tried["x"] >= 10


def test_any_other_error_is_a_failure():
    with pytest.raises(KeyError):
        try_out(lambda number: {}[number])


def test_a_message_that_no_terminal_should_get_is_a_failure(monkeypatch):
    assert refused(refuse("a sentence"))
    assert not refused(lambda: None)
    monkeypatch.setattr("textae.errors._one_line", lambda text: text)
    for message in ("", "two\nlines", "\x1b[31m", "x" * 9999):
        with pytest.raises(AssertionError):
            refused(refuse(message))
    with pytest.raises(UnicodeEncodeError):
        refused(refuse("\ud800"))


def test_a_hang_is_a_failure_that_nothing_catches(monkeypatch):
    monkeypatch.setattr(fuzzing, "LONGEST", 0.2)

    def sleep(number):
        try:
            time.sleep(5)
        except Exception:
            return True

    with pytest.raises(HangError):
        try_out(sleep)


def test_an_exploration_that_sees_one_outcome_alone_is_a_failure():
    with pytest.raises(AssertionError, match="nothing was refused"):
        try_out(lambda number: False)
    with pytest.raises(AssertionError, match="everything was refused"):
        try_out(lambda number: True)


def test_memory_that_grows_is_a_failure(monkeypatch):
    sizes = iter([100, 100 + fuzzing.MOST_GROWTH + 1])
    monkeypatch.setattr(fuzzing, "_largest_mebibytes", lambda: next(sizes))
    with pytest.raises(AssertionError, match="the process grew by 301 MiB"):
        try_out(lambda number: number > 5)
