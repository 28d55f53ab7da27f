import pytest

from textae.data.normalization import normalize
from textae.model_config import NormalizationConfig

GIGAWORD = NormalizationConfig(lowercase=True, digits_to_hash=True, split_punctuation=True)
SPLIT = NormalizationConfig(split_punctuation=True)


def test_the_default_applies_nfkc_and_collapses_white_space_only():
    assert (
        normalize(" \uff21cme\u3000Corp.\n\t said “5%”. ", NormalizationConfig()) == "Acme Corp. said “5%”."
    )


def test_nfkc_can_be_switched_off():
    assert normalize("\uff21  b", NormalizationConfig(unicode_nfkc=False)) == "\uff21 b"


def test_replacements_come_first_in_their_order():
    settings = NormalizationConfig(
        replacements={"<unk>": "unk", "unk unk": "Unk"}, lowercase=True, split_punctuation=True
    )
    assert normalize("<unk> of <unk> <unk> <b>", settings) == "unk of unk <b>"


@pytest.mark.parametrize("text", ["", "  \n "])
def test_nothing_stays_nothing(text):
    assert normalize(text, GIGAWORD) == ""


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (
            "He didn't say U.S. sales rose 5.3%, Mr. Smith's aide said.",
            "he did n't say u.s. sales rose #.# % , mr. smith 's aide said .",
        ),
        ("Paid $1,000 at 5:30: “No!”", 'paid $ #,### at #:## : " no ! "'),
        (
            "They've gone; he'll go, I'm sure, we're not.",
            "they 've gone ; he 'll go , i 'm sure , we 're not .",
        ),
        (
            "The workers\u2019 vote (on Friday) can't wait...",
            "the workers ' vote ( on friday ) ca n't wait ...",
        ),
        (
            "Sales rose. J. Ford left in 1999. See http://a.org.",
            "sales rose . j. ford left in #### . see http://a.org .",
        ),
        ("No. 5 fell. He said no. Then -- nothing", "no. # fell . he said no . then -- nothing"),
        (
            "At 9 a.m. ex-Gov. Lee of the U.S. spoke to Acme Inc.",
            "at # a.m. ex-gov. lee of the u.s. spoke to acme inc.",
        ),
        ("``Yes,'' she said of plan B.", "`` yes , '' she said of plan b ."),
        ("'Go now.' he cried", "'go now . ' he cried"),
        ("O'Malley's AT&T", "o'malley 's at&t"),
        ("rock 'n' roll by Lee &amp; Co.", "rock 'n' roll by lee &amp; co."),
    ],
)
def test_gigaword_like_tokens(raw, clean):
    assert normalize(raw, GIGAWORD) == clean
    assert normalize(clean, GIGAWORD) == clean


@pytest.mark.parametrize("text", ["东京股市上涨5.3%。分析师说\uff1a“很好”。", "首相は「大丈夫だ」と話した。"])
def test_scripts_without_spaces_keep_their_punctuation_unspaced(text):
    assert " " not in normalize(text, GIGAWORD)


def test_a_chinese_name_in_an_english_sentence_does_not_stop_the_splitting():
    assert normalize("The firm (东京) rose.", SPLIT) == "The firm ( 东京 ) rose ."


def test_korean_is_split_as_it_has_spaces():
    assert normalize("그는 말했다.", SPLIT) == "그는 말했다 ."


def test_digits_of_every_script_become_hash():
    assert normalize("٣ and \uff14\uff12", NormalizationConfig(digits_to_hash=True)) == "# and ##"
