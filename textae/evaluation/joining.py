"""Predictions and references out of two files, put side by side."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from textae.data.corpus import read_columns
from textae.errors import InputError

PREDICTION_COLUMNS = ("output", "prediction", "summary")
REFERENCE_COLUMNS = ("summaries", "summary", "text")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Joined:
    """Predictions beside their references, in the order of the references."""

    predictions: list[str]
    references: list[list[str]]
    joined_by: str
    """``"id"`` or ``"order"``."""
    references_without_prediction: int = 0
    predictions_without_reference: int = 0
    references_empty: int = 0
    """Pairs left out because every reference is an empty text."""


_Rows = list[tuple[str | None, list[str]]]


def read_joined(
    predictions: str,
    references: str,
    prediction_columns: Sequence[str] = PREDICTION_COLUMNS,
    reference_columns: Sequence[str] = REFERENCE_COLUMNS,
    names: tuple[str, str] = ("prediction", "reference"),
) -> Joined:
    """Read two sources and join them on ``id`` where both have one, else by order.

    A prediction is a text (or a list of one), a reference a text or a list of texts; a plain text
    file has one on each line, and an empty line is an empty prediction. Ids without a partner are
    left out with a warning that says how many. ``names`` are what messages call the two.

    Raises:
        InputError: for anything wrong with a source; different counts when joining by order;
            duplicate ids; some records with an id and some without; no id in common; a prediction
            that is a list of several; no reference with any text.
    """
    if predictions == references == "-":
        both = f"{_plural(names[0]).capitalize()} and {_plural(names[1])}"
        raise InputError(f"{both} both come from standard input; give one as a file.")
    candidates = _read(predictions, prediction_columns)
    targets = _read(references, reference_columns)
    _check_single(predictions, candidates, names[0])
    if all(any(identifier is not None for identifier, _ in rows) for rows in (candidates, targets)):
        _check_ids(predictions, candidates)
        _check_ids(references, targets)
        return _join_by_id(predictions, candidates, references, targets, names)
    if len(candidates) != len(targets):
        raise InputError(
            f"{predictions} has {len(candidates)} {_plural(names[0])} and {references} has {len(targets)} "
            f'{_plural(names[1])}; make the counts equal, or give both an "id" column.'
        )
    return _joined(
        [(one[1][0], two[1]) for one, two in zip(candidates, targets, strict=True)], "order", names
    )


def predictions_for(
    source: str,
    identifiers: Sequence[str | None],
    prediction_columns: Sequence[str] = PREDICTION_COLUMNS,
) -> list[str | None]:
    """The prediction for each of some rows, or None where ``source`` has none for it.

    Joined on ``id`` where all rows and all predictions have one, else by order.

    Raises:
        InputError: for anything wrong with the source; a prediction that is a list of several;
            duplicate ids; different counts when joining by order; no id in common.
    """
    found = _read(source, prediction_columns)
    _check_single(source, found, "prediction")
    if None not in identifiers and all(identifier is not None for identifier, _ in found):
        _check_ids(source, found)
        by_id = {identifier: texts[0] for identifier, texts in found}
        joined = [by_id.get(identifier) for identifier in identifiers]
        if all(text is None for text in joined):
            raise InputError(
                f'No id of {source} (such as "{found[0][0]}") occurs in the data (such as '
                f'"{identifiers[0]}"); give the predictions that belong to these documents.'
            )
        return joined
    if len(found) != len(identifiers):
        raise InputError(
            f"{source} has {len(found)} predictions for {len(identifiers)} rows of data; make the counts "
            'equal, or give both an "id" column.'
        )
    return [texts[0] for _, texts in found]


def _check_single(source: str, rows: _Rows, name: str) -> None:
    for number, (_, texts) in enumerate(rows, start=1):
        if len(texts) != 1:
            raise InputError(f"{source}: {name} {number} is a list of {len(texts)} texts; give one text.")


def _read(source: str, columns: Sequence[str]) -> _Rows:
    return [
        (identifier, [value] if isinstance(value, str) else list(value))
        for identifier, value in read_columns(source, list(columns))
    ]


def _check_ids(source: str, rows: _Rows) -> None:
    without = sum(identifier is None for identifier, _ in rows)
    if without:
        raise InputError(
            f'{source}: {without} of {len(rows)} records have no "id"; give it to all of them or to none.'
        )
    identifier, count = Counter(identifier for identifier, _ in rows).most_common(1)[0]
    if count > 1:
        raise InputError(f'{source}: id "{identifier}" occurs {count} times; make ids unique.')


def _join_by_id(
    predictions: str, candidates: _Rows, references: str, targets: _Rows, names: tuple[str, str]
) -> Joined:
    found = {identifier: texts[0] for identifier, texts in candidates}
    pairs = [(found[identifier], texts) for identifier, texts in targets if identifier in found]
    if not pairs:
        raise InputError(
            f'No id of {predictions} (such as "{candidates[0][0]}") occurs in {references} '
            f'(such as "{targets[0][0]}"); '
            f"give the {_plural(names[1])} that belong to these {_plural(names[0])}."
        )
    without_prediction, without_reference = len(targets) - len(pairs), len(candidates) - len(pairs)
    if without_prediction:
        logger.warning(
            "%s: %d of %d %s have no %s and are not scored.",
            references, without_prediction, len(targets), _plural(names[1]), names[0],
        )  # fmt: skip
    if without_reference:
        logger.warning(
            "%s: %d of %d %s have no %s and are not scored.",
            predictions, without_reference, len(candidates), _plural(names[0]), names[1],
        )  # fmt: skip
    return _joined(pairs, "id", names, without_prediction, without_reference)


def _joined(
    pairs: list[tuple[str, list[str]]],
    joined_by: str,
    names: tuple[str, str],
    without_prediction: int = 0,
    without_reference: int = 0,
) -> Joined:
    # Only now: dropping a row earlier would shift everything that is joined by order.
    filled = [(prediction, [text for text in texts if text.strip()]) for prediction, texts in pairs]
    scored = [(prediction, texts) for prediction, texts in filled if texts]
    empty = len(filled) - len(scored)
    if not scored:
        raise InputError(
            f"No {names[1]} has any text; give {_plural(names[1])} to compare the {_plural(names[0])} with."
        )
    if empty:
        logger.warning("%d %s are empty and are not scored.", empty, _plural(names[1]))
    return Joined(
        predictions=[prediction for prediction, _ in scored],
        references=[texts for _, texts in scored],
        joined_by=joined_by,
        references_without_prediction=without_prediction,
        predictions_without_reference=without_reference,
        references_empty=empty,
    )


def _plural(name: str) -> str:
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
