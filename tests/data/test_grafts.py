import random

import pytest

from textae.data.grafts import Grafts, own_words
from textae.data.similar import SimilarDocuments
from textae.data.word_classes import WordClasses

COMMON = ("a", "in", "of", "on", "the", "to")
DOCUMENT = "a baker said on monday that two rebels were killed in the north"


class Telling(SimilarDocuments):
    """All words but a few tell what a text is about."""

    def __init__(self):
        super().__init__([])

    def is_telling(self, word):
        return word not in COMMON


class Classes(WordClasses):
    """Words of one class are given."""

    def __init__(self, *classes):
        super().__init__([], lambda word: False)
        self.classes = classes

    def are_alike(self, first, second):
        return any({first, second} <= words for words in self.classes)


class Scripted(random.Random):
    """Gives the numbers it was given."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


def graft(sentence, document, *classes, own=(), drop=0.0, generator=None):
    grafts = Grafts(Telling(), Classes(*classes), set(own))
    words = document.split()
    result = grafts.graft(sentence.split(), words, drop, generator or random.Random(0))
    assert words == document.split()  # the document is not changed
    return " ".join(result)


def test_missing_words_go_behind_the_shared_word_before_them():
    assert graft("police say two rebels kill goat in north", DOCUMENT) == (
        "a baker said on monday that police say two rebels were killed goat in the north"
    )


def test_common_words_mark_no_place():
    # "in" is there, so it is not grafted, and "fog" stays with "rebels".
    assert graft("rebels in fog", DOCUMENT) == (
        "a baker said on monday that two rebels fog were killed in the north"
    )


def test_a_sentence_that_shares_nothing_stands_in_front():
    assert graft("fog delays ferry", "goats eat map", {"fog", "goats"}) == "fog delays ferry goats eat map"
    assert graft("fog", "") == "fog"


def test_a_word_in_reverse_order_takes_its_graft_along():
    assert graft("killed fog baker goat", "baker killed") == "baker goat killed fog"


def test_a_word_of_the_same_class_gives_its_place():
    names = {"oslo", "rome", "ellin"}
    assert graft("fire in oslo", "a fire in rome", names) == "a fire in oslo"
    # Wherever it stands; another word of the class stays.
    assert graft("fire in oslo", "fire in rome , near ellin , and rome burns", names) == (
        "fire in oslo , near ellin , and oslo burns"
    )
    # In front of the first shared word the nearest is taken.
    assert graft("oslo fire", "in ellin , rome saw fire", names) == "in ellin , oslo saw fire"
    assert graft("ten oslo fire", "two rome fire", names, {"ten", "two"}) == "ten oslo fire"


def test_each_word_gives_its_place_once_and_shared_words_keep_theirs():
    names = {"oslo", "rome", "bergen"}
    assert graft("fire in oslo bergen", "fire in rome", names) == "fire bergen in oslo"
    assert graft("fire in rome bergen", "fire in rome", names) == "fire in rome bergen"
    # The other "rome" is not free either.
    assert graft("rome fire bergen", "rome fire rome", names) == "rome fire bergen rome"


def test_only_near_words_give_their_place():
    names = {"oslo", "rome"}
    assert graft("fire oslo", "fire 1 2 3 rome", names) == "fire 1 2 3 oslo"
    assert graft("fire oslo", "fire 1 2 3 4 rome", names) == "fire oslo 1 2 3 4 rome"
    assert graft("oslo fire", "rome 1 2 3 fire", names) == "oslo 1 2 3 fire"
    assert graft("oslo fire", "rome 1 2 3 4 fire", names) == "rome 1 2 3 4 oslo fire"
    # Between two shared words the next one ends the search.
    assert graft("fire oslo mill", "fire the mill rome", names) == "fire oslo the mill rome"


def test_words_that_only_sentences_have_stay_out():
    assert graft("fire guts mill", "fire in mill", own=["guts"]) == "fire in mill"
    # But one that the document has stands where it stands.
    assert graft("fire guts mill", "fire guts mill", own=["guts"]) == "fire guts mill"


def test_some_missing_words_stay_missing():
    assert graft("fog goat baker", "baker", drop=0.5, generator=Scripted(0.49, 0.5)) == "goat baker"


def test_own_words_are_frequent_in_sentences_and_rare_in_documents():
    sentences = ["guts"] * 20 + ["hits"] * 19 + ["mill"] * 61
    # 100 words here and 200 there: 20.5 of them is twenty times as often as 2.05, which is 1.55 and a half.
    documents = ["mill"] * 198 + ["guts"] * 2
    assert own_words(documents, sentences) == set()
    documents = ["mill"] * 199 + ["guts"]
    assert own_words(documents, sentences) == {"guts"}


def test_all_of_it_is_learned_from_a_corpus():
    names = ["oslo", "rome", *(f"town{number}" for number in range(98))]
    documents = [f"a storm hit the mill in {name} on monday ." for name in names]
    documents[2:4] = ["a storm hit the ferry today ."] * 2
    sentences = ["storm batters mill in oslo"] * 20 + ["ferry in town7"]
    grafts = Grafts.from_texts(documents, sentences)
    assert grafts.own == {"batters", "oslo"}  # twenty times as often "oslo" is here, too
    grafts.own.remove("oslo")
    words = grafts.graft(["ferry", "batters", "oslo"], documents[2].split(), 0.0, random.Random(0))
    assert " ".join(words) == "a storm hit the ferry oslo today ."
    words = grafts.graft(
        ["ferry", "rome"], ["a", "ferry", "hit", "oslo", "on", "monday", "."], 0.0, random.Random(0)
    )
    assert " ".join(words) == "a ferry hit rome on monday ."


@pytest.mark.parametrize("drop", [0.0, 0.3])
def test_the_same_generator_makes_the_same_graft(drop):
    def once(seed):
        return graft("fog goat baker", DOCUMENT, drop=drop, generator=random.Random(seed))

    assert once(1) == once(1)
