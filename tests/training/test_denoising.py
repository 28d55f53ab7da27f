import random

from textae.config import NoiseConfig
from textae.data.similar import SimilarDocuments
from textae.training.denoising import NoisySentences

DOCUMENTS = [
    "the ferry to ossel was late because of fog",
    "the ferry company sold two boats",
    "fog closed the airport",
    "the mill opened again",
]
OTHER = ["x", "y", "z"]


def noisy(sentence, **settings):
    """The words of fifty noisy forms of a sentence, none of its own words dropped."""
    config = NoiseConfig(drop=0.0, inserted_fragments=[1, 3], **settings)
    sentences = NoisySentences(config, SimilarDocuments(DOCUMENTS, common=0.5))
    return [sentences.corrupt(sentence.split(), OTHER, random.Random(seed)) for seed in range(50)]


def foreign(sentence, **settings):
    return [set(words) - set(sentence.split()) for words in noisy(sentence, **settings)]


def test_fragments_come_from_documents_that_share_words():
    seen = foreign("ferry leaves in fog", similar_documents=1.0)
    like = [set(text.split()) for text in DOCUMENTS[:3]]
    assert all(any(words <= document for document in like) for words in seen)
    assert all(any(words & document for words in seen) for document in like)


def test_without_a_similar_document_fragments_come_from_the_other():
    assert all(words <= set(OTHER) for words in foreign("unheard thing", similar_documents=1.0))
    assert all(words <= set(OTHER) for words in foreign("ferry leaves in fog", similar_documents=0.0))
    sentences = NoisySentences(NoiseConfig(similar_documents=1.0, drop=0.0), None)
    assert set(sentences.corrupt(["fog"], OTHER, random.Random(0))) <= {"fog", *OTHER}


def test_a_document_that_is_close_enough_stays_whole():
    # Two words that no document has weigh more than ferry and fog, which the first document has.
    close = noisy("ferry leaves in fog", similar_documents=1.0, graft_share=0.4)
    assert {" ".join(words) for words in close} == {"the ferry leaves in to ossel was late because of fog"}
    texts = {" ".join(words) for words in noisy("fog fog", similar_documents=1.0, graft_share=1.0)}
    assert texts == {DOCUMENTS[0], DOCUMENTS[2]}


def test_a_document_that_is_not_close_enough_gives_fragments():
    settings = {"similar_documents": 1.0, "fragment_words": [1, 1]}
    assert max(map(len, foreign("ferry leaves in fog", graft_share=0.45, **settings))) <= 3
    assert min(map(len, foreign("ferry leaves in fog", graft_share=0.4, **settings))) > 3


def test_the_same_generator_makes_the_same_noise():
    assert noisy("ferry leaves in fog", similar_documents=0.5, graft_share=0.5) == noisy(
        "ferry leaves in fog", similar_documents=0.5, graft_share=0.5
    )
