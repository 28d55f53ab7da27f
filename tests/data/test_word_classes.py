from textae.data.word_classes import WordClasses

TEXTS = [
    *["fire in oslo , today", "fire in rome , today", "fire near ellin , today"] * 4,
    *["the fire ate the mill"] * 12,
    *["the"] * 24,
]
NAMES = {"oslo", "rome", "ellin", "fire", "mill"}


def test_words_with_like_neighbours_are_of_one_class():
    classes = WordClasses(TEXTS, NAMES.__contains__)
    assert classes.are_alike("oslo", "rome") and classes.are_alike("rome", "oslo")
    # One neighbour of two: "in" or "near" to the left, "," to the right, the cosine is a half.
    assert not classes.are_alike("oslo", "ellin")
    assert not classes.are_alike("oslo", "mill")


def test_rare_neighbours_count_as_one():
    texts = ["anna brown said", "maria jones said", "anna jones said", "maria brown said"] * 3
    others = ["x y z"] * 108  # so that no name is common
    rare = {"anna", "maria", "brown", "jones"}
    assert WordClasses(texts + others, rare.__contains__).are_alike("anna", "maria")
    apart = ["anna brown said", "maria jones said"] * 6 + others
    assert WordClasses(apart, rare.__contains__).are_alike("anna", "maria")
    assert not WordClasses(apart, lambda word: False).are_alike("anna", "maria")


def test_common_and_unknown_words_are_of_no_class():
    classes = WordClasses(TEXTS, NAMES.__contains__)
    assert not classes.are_alike("oslo", "paris")
    assert not classes.are_alike("the", "the")  # in most of the texts
    assert not classes.are_alike(",", ",")  # in a quarter
