"""Words that only headlines use, and what documents write instead, learned from unpaired text."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from textae.data.words import endings, split_words

# A word belongs to sentences if it is so many times as frequent there as in documents, and another
# form of it is the documents' if it is that much less so.
FOREIGN, CONTRAST = 5.0, 3.0
# Forms share so many letters in front; what follows them has at most so many letters.
STEM, ENDING = 3, 3
# A change of endings is believed if so many words undergo it: kills, killed, but not dies, diesel.
PRODUCTIVE = 10
# A word is looked at if sentences (or documents) have it so often.
SEEN = 3


class DocumentForms:
    """Turns words of human sentences into the forms that documents have: ``kills`` into ``killed``.

    Headlines tell in the present what documents tell in the past. Whoever learns to restore a
    headline among a document's words, and meets past forms in the document's part alone, learns to
    drop every verb of a real document.

    Args:
        documents: texts.
        sentences: human sentences of other content.
        irregular: further pairs, such as ``{"falls": "fell"}``, that endings do not tell.
    """

    def __init__(
        self, documents: Iterable[str], sentences: Iterable[str], irregular: Mapping[str, str] | None = None
    ):
        there = Counter(word for text in documents for word in split_words(text))
        here = Counter(word for text in sentences for word in split_words(text))
        total_there, total_here = max(1, there.total()), max(1, here.total())

        def preference(word: str) -> float:
            """How many times as frequent a word is in sentences as in documents."""
            return ((here[word] + 0.5) / total_here) / ((there[word] + 0.5) / total_there)

        stems = defaultdict(list)
        for word, count in there.items():
            if count >= SEEN and word.isalpha():
                stems[word[:STEM]].append(word)
        found: list[tuple[str, str, tuple[str, str]]] = []
        for word, count in here.items():
            if count < SEEN or not word.isalpha() or preference(word) < FOREIGN:
                continue
            for form in stems[word[:STEM]]:
                change = endings(word, form)
                is_form = form != word and max(map(len, change)) <= ENDING
                if is_form and CONTRAST * preference(form) <= preference(word):
                    found.append((word, form, change))
        changes = Counter(change for _, _, change in found)
        self.forms: dict[str, Counter[str]] = defaultdict(Counter)
        for word, form, change in found:
            if changes[change] >= PRODUCTIVE:
                self.forms[word][form] = there[form]
        for word, form in (irregular or {}).items():
            self.forms[word][form] = max(1, there[form])

    def draw(self, word: str, generator: random.Random) -> str:
        """A form that documents have, as often as they have it; the word itself where none is known."""
        forms = self.forms.get(word)
        return generator.choices(list(forms), list(forms.values()))[0] if forms else word
