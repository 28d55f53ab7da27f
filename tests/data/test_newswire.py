"""The embedded corpus: repeatable, varied, disjoint, and hard in the way that it claims to be."""

import itertools
import random
import statistics

import pytest
from rouge_score import rouge_scorer

from textae.data import newswire
from textae.data.newswire_grammar import (
    Fillers,
    load_table,
    name_lists,
    parse,
    render,
    reserved_lists,
    slot_names,
)
from textae.errors import InputError

EXPECTED_STORY = (
    "corvus paper recalled 62,000 coffee machines on wednesday because of sharp edges , according to adviser "
    "kevin lundard . the last comparable event dates from 1954 , historian renata yeldard noted ."
)
EXPECTED_HEADLINE = "corvus paper recalls 62,000 faulty coffee machines"


@pytest.fixture(scope="module")
def documents():
    return newswire.documents(4000)


@pytest.fixture(scope="module")
def headlines():
    return newswire.headlines(4000)


@pytest.fixture(scope="module")
def stories():
    return [newswire.story("valid", 0, f"{index}/0") for index in range(600)]


def first(text, words):
    return " ".join(text.split()[:words])


def rouge(stories, predict):
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2"], use_stemmer=True)
    scores = [scorer.score(story.headline, predict(story)) for story in stories]
    return {name: 100 * statistics.mean(score[name].fmeasure for score in scores) for name in scores[0]}


def test_the_same_seed_gives_the_same_text_on_every_python():
    assert newswire.pairs(1, seed=6) == [(EXPECTED_STORY, EXPECTED_HEADLINE)]


def test_seeds_splits_and_kinds_of_text_differ_and_longer_lists_begin_alike(documents):
    assert newswire.documents(50) == documents[:50]
    assert not set(newswire.documents(50, seed=1)) & set(documents)
    assert not set(newswire.pairs(50)) & set(newswire.pairs(50, split="test"))
    assert newswire.documents(0) == newswire.headlines(0) == newswire.pairs(0) == []


def test_stories_are_as_long_as_promised_and_all_different(documents):
    lengths = [len(text.split()) for text in documents]
    assert min(lengths) >= 25 and max(lengths) <= 70 and 40 < statistics.mean(lengths) < 50
    assert len(set(documents)) == len(documents)


def test_headlines_are_as_long_as_promised_and_all_different(headlines):
    lengths = [len(text.split()) for text in headlines]
    assert min(lengths) >= 6 and max(lengths) <= 11 and 8 <= statistics.mean(lengths) <= 8.8
    assert len(set(headlines)) == len(headlines)


def test_text_is_lower_case_tokenised_and_free_of_template_marks(documents, headlines):
    for text in itertools.chain(documents, headlines):
        assert text == text.lower() == " ".join(text.split())
        assert not set(text) & set("{}[]()|@")
        assert ", ," not in text and ", ." not in text
    assert all(text.endswith(" .") for text in documents)


def test_there_are_many_kinds_of_event_each_worded_in_several_ways():
    kinds = newswire.kinds()
    assert len(kinds) >= 40
    for kind in kinds.values():
        assert len(kind.facts) >= 3 and len(kind.headlines) >= 3 and len(kind.sides) >= 2
    seen = {newswire.story("documents", 0, f"{index}/0").kind for index in range(2000)}
    assert seen == set(kinds)


def test_every_wording_of_a_fact_can_be_told_by_a_headline():
    for kind in newswire.kinds().values():
        for fact in kind.facts:
            assert any(slot_names(head) <= slot_names(fact) for head in kind.headlines)


def test_every_slot_of_every_template_can_be_filled_and_every_headline_can_fit():
    table = load_table("newswire_events.json")
    texts = list(itertools.chain(*table["surroundings"].values()))
    texts += [text for kind in table["kinds"].values() for part in kind.values() for text in part]
    for text, seed in itertools.product(texts, range(3)):
        assert render(parse(text), Fillers(random.Random(str(seed)), unseen=True))
    for kind in table["kinds"].values():
        for text in kind["headlines"]:
            lengths = {
                len(render(parse(text), Fillers(random.Random(str(seed)))).split()) for seed in range(30)
            }
            assert lengths & set(range(6, 12)), text


def test_no_training_headline_belongs_to_a_training_story_and_no_pair_tells_a_training_fact():
    facts = {stream: set() for stream in ("documents", "headlines", "valid", "test")}
    for stream, (seed, index) in itertools.product(facts, itertools.product(range(2), range(600))):
        name, fillers = newswire._main_fact(random.Random(f"{stream}/{seed}/{index}"), stream)
        facts[stream].add((name, *(fillers.values[slot] for slot in newswire.kinds()[name].key)))
    for one, other in itertools.combinations(facts.values(), 2):
        assert not one & other


def test_pairs_hardly_ever_repeat_a_training_headline_and_never_a_story(documents, headlines):
    pairs = newswire.pairs(1000) + newswire.pairs(1000, split="test")
    assert not {story for story, _ in pairs} & set(documents)
    assert sum(headline in set(headlines) for _, headline in pairs) <= 0.01 * len(pairs)


def test_reserved_names_are_in_evaluation_pairs_only(documents, headlines):
    training = set(itertools.chain(*(text.split() for text in documents + headlines)))
    for kind in ("place", "family", "company"):
        common, reserved = reserved_lists()[kind]
        assert len(common) + len(reserved) >= 240 and not set(common) & set(reserved)
    families = set(reserved_lists()["family"][1])
    assert not families & training
    assert sum(bool(families & set(story.split())) for story, _ in newswire.pairs(500)) > 50
    for stream in ("place", "company"):
        text = " | ".join(documents + headlines)
        assert not [name for name in reserved_lists()[stream][1] if f" {name} " in text and " " in name]


def test_lists_of_names_are_large_and_without_repetition():
    lists = name_lists()
    assert len(lists["given"]) >= 200 and len(lists["country"]) >= 40
    assert all(len(set(items)) == len(items) for items in lists.values())
    assert all(len(set(common + kept)) == len(common + kept) for common, kept in reserved_lists().values())


def test_the_vocabulary_suits_a_small_tokenizer(documents):
    words = set(itertools.chain(*(text.split() for text in documents)))
    assert 2500 < len(words) < 4500


def test_two_stories_of_three_begin_with_something_else(stories):
    lead_ins = [len(story.lead_in.split()) for story in stories if story.lead_in]
    assert 0.6 < len(lead_ins) / len(stories) < 0.73
    assert min(lead_ins) >= 5 and max(lead_ins) <= 15


def test_the_first_words_are_a_poor_summary_and_the_main_fact_is_a_good_one(stories):
    for words in (8, 10):
        assert 15 <= rouge(stories, lambda story, words=words: first(story.text, words))["rouge1"] <= 28
    extractor = rouge(stories, lambda story: first(story.fact, 9))
    assert extractor["rouge1"] >= 50 and extractor["rouge2"] >= 22


def test_most_words_of_a_headline_can_be_copied_but_not_all(stories):
    shares = [
        statistics.mean(token in set(story.text.split()) for token in story.headline.split())
        for story in stories
    ]
    assert 0.65 <= statistics.mean(shares) <= 0.85
    assert sum(share == 1 for share in shares) < 0.3 * len(shares)


def test_half_of_the_stories_name_their_main_words_again(stories):
    again = 0
    for story in stories:
        later = set(" ".join(story.sides).split())
        again += any(len(word) > 3 and word in later for word in story.headline.split())
    assert again / len(stories) >= 0.5


def test_headlines_do_not_speak_like_lead_ins(headlines):
    words = set(itertools.chain(*(text.split() for text in headlines)))
    marks = "the a an that was were had said according spokesman residents remarked confirmed told rumours"
    assert not words & set(marks.split())


def test_side_facts_are_sentences_and_the_parts_make_the_story(stories):
    for story in stories:
        assert story.text.split() == " ".join([story.lead_in, story.fact, story.tail, *story.sides]).split()
        assert story.tail.endswith(".") and all(side.endswith(" .") for side in story.sides)


@pytest.mark.parametrize("make", [newswire.documents, newswire.headlines, newswire.pairs])
def test_a_negative_count_is_refused(make):
    with pytest.raises(InputError, match="count is -1"):
        make(-1)


def test_an_unknown_split_is_refused_with_the_nearest_right_one():
    with pytest.raises(InputError, match=r'no split "vald".*did you mean "valid"'):
        newswire.pairs(1, split="vald")
    with pytest.raises(InputError, match='choose "train", "valid" or "test"'):
        newswire.pairs(1, split="documents")


def test_pairs_to_learn_from_are_the_documents_with_their_headlines(documents, headlines):
    pairs = newswire.pairs(600, split="train")
    assert [story for story, _ in pairs] == documents[:600]
    evaluation = newswire.pairs(600) + newswire.pairs(600, split="test")
    told = {headline for _, headline in pairs}
    assert len(told & {headline for _, headline in evaluation}) <= 0.01 * len(told)
    assert len(told & set(headlines)) <= 0.01 * len(told)
    families = set(reserved_lists()["family"][1])
    assert not families & set(itertools.chain(*(headline.split() for headline in told)))


def test_templates_choose_nest_and_take_articles():
    template = parse("a (old|[very] old) {crop} [of (one|two)] , , end")
    seen = {render(template, Fillers(random.Random(str(seed)))) for seed in range(60)}
    assert any(text.startswith("an old ") for text in seen)
    assert any(text.startswith("a very old ") for text in seen)
    assert any(" of two , end" in text for text in seen) and all(text.endswith(" , end") for text in seen)
    assert slot_names(parse("{a} (x|{b.s} [{c}])")) == {"a", "b", "c"}
    assert (
        render(parse("a 85 a 18,000 a unit a 110"), Fillers(random.Random("0")))
        == "an 85 an 18,000 a unit a 110"
    )


@pytest.mark.parametrize("text", ["(one|two", "one)", "[one (two]"])
def test_a_template_with_unbalanced_brackets_is_refused(text):
    with pytest.raises(ValueError, match="template"):
        parse(text)


def test_two_slots_of_a_type_differ_and_short_forms_are_short():
    fillers = Fillers(random.Random("names"))
    assert fillers.get("place") != fillers.get("place2")
    assert fillers.get("person").endswith(" " + fillers.get("person", short=True))
    assert fillers.get("money").startswith(fillers.get("money", short=True) + " ")
    assert fillers.get("place") == fillers.get("place", short=True)
    fillers.names_used.update(name_lists()["season"])
    assert fillers.get("season") in name_lists()["season"]
