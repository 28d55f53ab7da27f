"""Cells of tables that a person may open in a spreadsheet, which runs what looks like a formula."""

import re

# What begins a formula (https://owasp.org/www-community/attacks/CSV_Injection), also in full width.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# As harmless as it is common in tables: -5, +3.2, -1e-3.
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def safe_cell(value: object) -> object:
    """Return ``value`` as it may stand in a CSV or TSV file: a text that begins like a formula, after ``'``.

    Spreadsheets take what follows an apostrophe for text. Numbers, and texts that are one, stay as they are.

    >>> [safe_cell(value) for value in ("=HYPERLINK(A1)", "rain fell", "-5", -5, None)]
    ["'=HYPERLINK(A1)", 'rain fell', '-5', -5, None]
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
