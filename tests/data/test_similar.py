import math

from textae.data.similar import SimilarDocuments

DOCUMENTS = [
    "the ferry to ossel was late because of fog",
    "the ferry company sold two boats",
    "fog closed the airport",
    "the mill opened again",
]


def test_shared_rare_words_are_weighed():
    similar = SimilarDocuments(DOCUMENTS, common=0.5)
    # "the" is in every document and is not looked up; ferry and fog are in two of four, ossel in one.
    ferry, fog, ossel = math.log(3), math.log(3), math.log(5)
    total = ferry + fog + ossel + 2 * math.log(5)  # leaves and in are in none
    found = similar.nearest(["the", "ferry", "ferry", "leaves", "ossel", "in", "fog"], 5)
    assert [text for _, text in found] == [DOCUMENTS[0], DOCUMENTS[1], DOCUMENTS[2]]
    shares = [share for share, _ in found]
    for share, expected in zip(
        shares, ((ferry + fog + ossel) / total, ferry / total, fog / total), strict=True
    ):
        assert math.isclose(share, expected)


def test_forms_of_a_word_are_alike_and_what_no_document_has_counts_most():
    similar = SimilarDocuments(
        ["the ferries sailed", "the mill opened again", "the fog", "the goat"], forms=True
    )
    found = similar.nearest(["mills", "opens", "sails", "unheard"], 5)
    weight = math.log(5)  # one document of four, and no more for what none has
    assert [similar.weight(word) for word in ("the", "opens", "unheard")] == [0.0, weight, weight]
    assert found == [(0.5, "the mill opened again"), (0.25, "the ferries sailed")]
    assert [similar.is_telling(word) for word in ("the", "fog")] == [False, True]
    assert SimilarDocuments(similar.texts).nearest(["mills", "opens", "sails", "unheard"], 5) == []


def test_no_document_is_like_common_words():
    similar = SimilarDocuments(DOCUMENTS, common=0.5)
    assert similar.nearest(["the", "unheard"], 2) == []
    assert similar.nearest(["the"], 2) == []


def test_few_documents_still_share_words():
    assert SimilarDocuments(["one fog"]).nearest(["fog"], 3) == [(1.0, "one fog")]
