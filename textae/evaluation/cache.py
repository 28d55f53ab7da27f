"""What a model has written, kept on disk, so that a second call does not write it again."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import textae
from textae.errors import InputError
from textae.evaluation.files import write_text
from textae.evaluation.measures import SummaryModel, model_measures

logger = logging.getLogger(__name__)
_Rows = list[dict[str, Any]]
# A change of what reads, tokenises or writes must not be answered with what was written before it.
_CODE = ("data", "models")


def fingerprint(value: Any) -> str:
    """SHA-256 of a value of JSON, 64 hex digits."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def files_fingerprint(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 of the contents of files, by their names in ``folder``, wherever it lies."""
    found = {}
    for file in files:
        with file.open("rb") as stream:
            found[str(file.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return fingerprint(found)


class CachedModel:
    """A saved model that is loaded only when it has to do what is not on disk yet.

    Args:
        folder: of the saved model.
        load: loads it.
        cache: where to keep what it writes: ``NAME-KEY.jsonl``, whole or not at all. The key depends on
            the model's files, the texts, the settings and the code that reads and writes.
        name: what the model's files there begin with.
    """

    def __init__(self, folder: Path, load: Callable[[str], SummaryModel], cache: Path, name: str):
        self.folder, self.cache, self.name = folder, cache, name
        self._load = load
        self._model: SummaryModel | None = None
        model_files = [*folder.glob("*.safetensors"), *folder.glob("*.json")]
        package = Path(textae.__file__).parent
        code = [
            file for part in _CODE for file in (package / part).rglob("*") if file.suffix in (".py", ".json")
        ]
        self._state = [files_fingerprint(folder, model_files), files_fingerprint(package, code)]

    def summarize(
        self, documents: list[str], identifiers: Sequence[str | None], what: str, **options: Any
    ) -> list[str]:
        """One summary for each document; ``what`` says which in the file's name and in the log."""

        def write() -> _Rows:
            logger.info("%s: writing %d summaries, %s", self.folder, len(documents), what)
            summaries = self._loaded().summarize(documents, **options)
            # As ``textae evaluate --predictions`` reads them.
            ids = [{} if identity is None else {"id": identity} for identity in identifiers]
            return [{**one, "output": text} for one, text in zip(ids, summaries, strict=True)]

        rows = self._rows(f"summaries, {what}", ["summarize", documents, options], write)
        return [row["output"] for row in rows]

    def judge(self, documents: list[str], summaries: list[str], batch_size: int) -> dict[str, Any]:
        """The measures of :func:`~textae.evaluation.measures.model_measures`."""

        def write() -> _Rows:
            return [model_measures(self._loaded(), documents, summaries, batch_size)]

        (measures,) = self._rows("measures", ["judge", documents, summaries, batch_size], write)
        return measures

    def reconstruct(self, summaries: list[str]) -> list[str]:
        """The document that each summary seems to stand for."""

        def write() -> _Rows:
            return [{"document": text} for text in self._loaded().reconstruct(summaries)]

        return [row["document"] for row in self._rows("samples", ["reconstruct", summaries], write)]

    def release(self) -> None:
        """Give back the memory of the loaded model; it is loaded again when it is needed again."""
        self._model = None

    def _loaded(self) -> SummaryModel:
        if self._model is None:
            self._model = self._load(str(self.folder))
        return self._model

    def _rows(self, what: str, key: Any, write: Callable[[], _Rows]) -> _Rows:
        stem = "-".join([self.name, *what.replace(",", "").split(), fingerprint([self._state, key])[:16]])
        file = self.cache / f"{stem}.jsonl"
        if not file.is_file():
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in write())
            write_text(file, text)
        try:
            # Split at line feeds only: a summary may hold other line separators.
            return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        except ValueError as error:
            raise InputError(f"{file}: this file is damaged; remove it, and it is written again.") from error
