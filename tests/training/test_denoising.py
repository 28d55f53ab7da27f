import random

from textae.config import NoiseConfig
from textae.data.forms import DocumentForms
from textae.data.grafts import Grafts
from textae.data.similar import SimilarDocuments
from textae.data.word_classes import WordClasses
from textae.training.denoising import NoisySentences

DOCUMENTS = [
    "the ferry to ossel was late because of fog",
    "the ferry company sold two boats",
    "fog closed the airport",
    "the mill opened again",
]
OTHER = ["x", "y", "z"]


def make(config, forms=None):
    """Noise from the four documents, whose words are of no class."""
    similar = SimilarDocuments(DOCUMENTS, common=0.5)
    grafts = Grafts(similar, WordClasses([], similar.is_telling), set())
    return NoisySentences(config, similar, forms, grafts if config.graft_share is not None else None)


def noisy(sentence, **settings):
    """The words of fifty noisy forms of a sentence, none of its own words dropped."""
    config = NoiseConfig(drop=0.0, inserted_fragments=[1, 3], **settings)
    sentences = make(config)
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


def test_words_get_the_forms_of_documents_before_anything_else():
    forms = DocumentForms([], [], {"leaves": "sailed"})
    config = NoiseConfig(drop=0.0, similar_documents=1.0, graft_share=0.4, document_forms=1.0)
    sentences = make(config, forms)
    written = " ".join(sentences.corrupt(["ferry", "leaves", "in", "fog"], OTHER, random.Random(0)))
    assert written == "the ferry sailed in to ossel was late because of fog"


def test_a_share_of_the_words_gets_them():
    forms = DocumentForms([], [], {"leaves": "sailed"})
    sentences = NoisySentences(NoiseConfig(drop=0.0, document_forms=0.25), None, forms)
    written = [sentences.corrupt(["leaves"], OTHER, random.Random(seed)) for seed in range(1000)]
    assert 0.2 < sum("sailed" in words for words in written) / 1000 < 0.3
    assert all(("sailed" in words) != ("leaves" in words) for words in written)


def test_only_what_is_asked_for_is_learned():
    def unread():
        raise AssertionError("sentences are not needed")

    plain = NoisySentences.from_texts(NoiseConfig(), DOCUMENTS, unread)
    assert plain.similar is None and plain.forms is None
    config = NoiseConfig(similar_documents=0.5, document_forms=0.5, irregular_forms={"leaves": "sailed"})
    learned = NoisySentences.from_texts(config, DOCUMENTS, lambda: ["fog"])
    assert learned.similar.texts == DOCUMENTS
    assert learned.forms.draw("leaves", random.Random(0)) == "sailed"


def test_what_grafts_need_is_learned_from_the_corpus():
    config = NoiseConfig(drop=0.0, similar_documents=1.0, graft_share=0.0)
    documents = [f"a storm hit the mill in town{number} today ." for number in range(98)]
    documents += ["a storm hit the ferry today ."] * 2
    sentences = NoisySentences.from_texts(config, documents, lambda: ["storm batters ferry"] * 20)
    written = sentences.corrupt(["ferry", "batters", "mill"], OTHER, random.Random(0))
    assert " ".join(written) == "a storm hit the ferry mill today ."
    assert NoisySentences.from_texts(NoiseConfig(), documents, lambda: []).grafts is None
