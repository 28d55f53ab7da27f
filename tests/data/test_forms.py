import random
from collections import Counter

import pytest

from textae.data import forms
from textae.data.forms import DocumentForms

VERBS = [f"{letter}rang" for letter in "abcdefghijkl"]
# Documents tell in the past, sentences in the present; both have other words as well.
DOCUMENTS = [f"the {verb}ed thing {verb}ed on" for verb in VERBS for _ in range(3)] + ["the diesel fell"] * 5
SENTENCES = [f"{verb}s thing" for verb in VERBS for _ in range(3)] + ["the king dies", "rate falls"] * 5


def drawn(learned, word, count=200):
    generator = random.Random(0)
    return Counter(learned.draw(word, generator) for _ in range(count))


def test_a_present_form_becomes_the_past_one_that_documents_have():
    learned = DocumentForms(DOCUMENTS, SENTENCES)
    assert drawn(learned, "arangs") == {"aranged": 200}
    assert set(learned.forms) == {f"{verb}s" for verb in VERBS}


def test_a_change_of_endings_that_few_words_undergo_is_not_believed(monkeypatch):
    assert drawn(DocumentForms(DOCUMENTS, SENTENCES), "dies") == {"dies": 200}
    monkeypatch.setattr(forms, "PRODUCTIVE", 1)
    assert drawn(DocumentForms(DOCUMENTS, SENTENCES), "dies") == {"diesel": 200}


def test_words_that_documents_have_as_often_stay():
    learned = DocumentForms([*DOCUMENTS, *["arangs"] * 40], SENTENCES)
    assert drawn(learned, "arangs") == {"arangs": 200}
    assert drawn(learned, "brangs") == {"branged": 200}
    assert drawn(learned, "unheard") == {"unheard": 200}


def test_forms_come_as_often_as_documents_have_them():
    # Six times aranged, and twice as often aranging, which eleven more words have as well.
    more = [f"{verb}ing {verb}ing {verb}ing {verb}ing" for verb in VERBS for _ in range(3)]
    counts = drawn(DocumentForms([*DOCUMENTS, *more], SENTENCES), "arangs", 3000)
    assert set(counts) == {"aranged", "aranging"}
    assert counts["aranging"] / 3000 == pytest.approx(2 / 3, abs=0.03)


def test_irregular_forms_are_taken_on_trust():
    learned = DocumentForms(DOCUMENTS, SENTENCES, {"falls": "fell", "goes": "went"})
    assert drawn(learned, "falls") == {"fell": 200}
    assert drawn(learned, "goes") == {"went": 200}  # though no document has it


def test_no_text_has_no_forms():
    assert drawn(DocumentForms([], []), "kills") == {"kills": 200}
