import ctypes
import sys
from types import SimpleNamespace

import pytest

from textae.allocator import keep_freed_memory, return_freed_memory


@pytest.fixture
def library(monkeypatch):
    """Linux with a C library whose mallopt notes what it is told and answers as the test wants."""
    calls, answers = [], {"default": 1}

    def mallopt(name, value):
        calls.append((name, value))
        return answers.get(name, answers["default"])

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    return calls, answers


def test_thresholds_are_raised_on_linux(library):
    calls, _ = library
    assert keep_freed_memory() is True
    # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD of malloc.h.
    assert calls == [(-3, 2**30), (-1, 2**31 - 1), (-2, 2**26)]
    assert all(value < 2**31 for _, value in calls)  # mallopt takes a C int


def test_a_refused_setting_is_reported_and_the_others_are_still_made(library):
    calls, answers = library
    answers[-3] = 0
    assert keep_freed_memory() is False
    assert len(calls) == 3


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(library, monkeypatch, platform):
    calls, _ = library
    monkeypatch.setattr(sys, "platform", platform)
    assert keep_freed_memory() is False
    assert calls == []


def test_linux_without_glibc_is_left_alone(library, monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert keep_freed_memory() is False
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert keep_freed_memory() is False


def test_freed_memory_is_returned_where_it_is_a_mebibyte_or_more(library):
    calls, _ = library
    assert return_freed_memory() is True
    assert calls == [(-3, 2**20), (-1, 2**20), (-2, 2**17)]
