import math
import random

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
    total = ferry + fog + ossel
    found = similar.nearest(["the", "ferry", "ferry", "leaves", "ossel", "in", "fog"], 5)
    assert [text for _, text in found] == [DOCUMENTS[0], DOCUMENTS[1], DOCUMENTS[2]]
    shares = [share for share, _ in found]
    for share, expected in zip(shares, (1.0, ferry / total, fog / total), strict=True):
        assert math.isclose(share, expected)


def test_one_of_the_nearest_is_drawn():
    similar = SimilarDocuments(DOCUMENTS, common=0.5)
    generator = random.Random(0)
    drawn = {similar.draw(["ferry", "fog", "ossel"], 2, generator) for _ in range(30)}
    assert drawn == {DOCUMENTS[0], DOCUMENTS[1]}
    assert similar.draw(["the", "unheard"], 2, generator) is None


def test_few_documents_still_share_words():
    assert SimilarDocuments(["one fog"]).nearest(["fog"], 3) == [(1.0, "one fog")]
