"""Tells at the end how many inputs were tried."""

from fuzzing import FULL, tried


def pytest_terminal_summary(terminalreporter):
    if tried:
        which = "full" if FULL else "of the default profile; TEXTAE_FUZZ=full tries seven times as many"
        terminalreporter.write_line(f"fuzz: {tried.total():,} inputs, {which}")
