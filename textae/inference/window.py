"""What is made of a stretch of a corpus."""

from collections.abc import Callable, Sequence
from typing import Any

from textae.data.formats import Record
from textae.data.long_documents import split_sentences
from textae.errors import InputError
from textae.inference.job import Segment

# What is longer is no document but a file that lost its line ends, and would fill the memory.
MOST_CHARACTERS = 10_000_000


class Window:
    """Makes a segment of so many records.

    Args:
        model: counts tokens.
        write: texts from texts.
        columns: in which to look for a record's text.
        name: of what is read.
        selects: whether what is too long is condensed.
        size: records of a window.
        strict: a record that cannot be used stops the work; otherwise it gets an empty text.
    """

    def __init__(
        self,
        model: Any,
        write: Callable[[list[str]], list[str]],
        columns: Sequence[str],
        name: str,
        selects: bool,
        size: int,
        strict: bool,
    ):
        self.model, self.write, self.columns, self.name = model, write, columns, name
        self.selects, self.size, self.strict = selects, size, strict

    def make(self, records: list[Record], position: int) -> Segment:
        """The segment of ``records``, the first of which is number ``position`` of the corpus.

        Raises:
            InputError: if ``strict`` and a record cannot be used.
        """
        texts, rejects = [], []
        for number, record in enumerate(records, start=position):
            try:
                texts.append(self._text(record))
            except InputError as error:
                if self.strict:
                    raise
                texts.append("")
                rejects.append({"position": number, "where": record.where, "reason": str(error)})
        filled = [text for text in texts if text.strip()]
        long = self._longer(filled)
        several = sum(len(split_sentences(text)) > 1 for text in long) if self.selects else 0
        written = iter(self.write(filled) if filled else [])
        results = [" ".join(next(written).split()) if text.strip() else "" for text in texts]
        return Segment(
            rows=[(record.id, result) for record, result in zip(records, results, strict=True)],
            counts={
                "records": len(texts),
                "empty": len(texts) - len(filled) - len(rejects),
                "condensed": several,
                "cut": len(long) - several,
                "rejected": len(rejects),
            },
            rejects=rejects,
            with_ids=any(record.id is not None for record in records),
            plain=records[0].plain,
        )

    def _text(self, record: Record) -> str:
        text = record.text(self.columns)
        if len(text) > MOST_CHARACTERS:
            told = f"a {self.name} of {len(text):,} characters, more than {MOST_CHARACTERS:,}"
            raise InputError(f"{record.where} has {told}: split it")
        return text

    def _longer(self, texts: list[str]) -> list[str]:
        """Those that have more tokens than the model reads."""
        if not texts:
            return []
        lengths = zip(texts, self.model.count_tokens(texts), strict=True)
        return [text for text, length in lengths if length > self.model.config.max_document_tokens]
