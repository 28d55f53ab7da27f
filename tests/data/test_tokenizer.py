import logging

import pytest
import torch

from textae.data import tokenizer as module
from textae.data.batches import pad_rows
from textae.data.tokenizer import length_tokens, load_tokenizer, train_tokenizer, vocabulary_of
from textae.data.words import count_words
from textae.errors import InputError

ANY_TEXT = [
    "a heron landed on the mast",
    "大雪之后,桥关闭了",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "e\u0301te\u0301 au cafe\u0301",  # combining accents
    "👩\u200d👩\u200d👧 🇫🇮 ok👍🏽",
    "Ω≈ç√∫µ≤≥÷ \u0000\ufffd\u200b x",
    "\U0001d518\U0001d52b \U0010ffff",
    "a </s> b <pad> <words-3> <mask>",
]


def test_any_text_comes_back(tiny_vocabulary):
    rows = tiny_vocabulary.encode(ANY_TEXT)
    assert tiny_vocabulary.decode(rows) == [" ".join(text.split()) for text in ANY_TEXT]
    assert tiny_vocabulary.tokenizer.unk_token_id is None
    assert not any(tiny_vocabulary.special[row].any() for row in rows)


def test_the_trained_vocabulary_has_the_wanted_size_and_order(sentences):
    tokenizer = train_tokenizer(sentences, 300)
    assert len(tokenizer) == 300
    assert tokenizer.convert_tokens_to_ids(["<pad>", "<s>", "</s>", "<mask>", "<words-1>"]) == [0, 1, 2, 3, 4]
    assert (tokenizer.pad_token, tokenizer.bos_token) == ("<pad>", "<s>")
    assert (tokenizer.eos_token, tokenizer.mask_token) == ("</s>", "<mask>")
    assert tokenizer("a")["input_ids"][-1] == 2


def test_the_first_word_has_the_same_pieces_as_anywhere(tiny_vocabulary):
    first, later = tiny_vocabulary.encode(["heron lock", "lock heron"])
    assert sorted(first) == sorted(later)
    assert len(first) == 2 or first != later


def test_a_vocabulary_without_room_for_bytes_is_refused(sentences):
    with pytest.raises(InputError, match=r"^tokenizer.vocabulary_size is 291; set it to at least 292\.$"):
        train_tokenizer(sentences, 291)
    assert len(train_tokenizer(sentences, 292)) == 292


def test_special_tokens_of_a_trained_vocabulary(tiny_vocabulary):
    vocabulary = tiny_vocabulary
    assert (vocabulary.pad, vocabulary.start, vocabulary.end, vocabulary.mask) == (0, 1, 2, 3)
    assert (vocabulary.source_prefix, vocabulary.source_suffix) == ([], [2])
    assert vocabulary.as_source([50, 51]) == [50, 51, 2]
    assert vocabulary.special.nonzero().flatten().tolist() == list(range(36))
    assert len(vocabulary) == len(vocabulary.special) == len(vocabulary.words_of_token) == 400


def test_hints_are_one_token_for_each_length(tiny_vocabulary):
    hints = [tiny_vocabulary.hint(count) for count in range(1, 33)]
    assert tiny_vocabulary.tokenizer.convert_ids_to_tokens(hints) == length_tokens()
    assert len(set(hints)) == 32
    assert tiny_vocabulary.hint(0) == tiny_vocabulary.hint(-3) == hints[0]
    assert tiny_vocabulary.hint(33) == tiny_vocabulary.hint(1000) == hints[31]


def test_rows_are_cut_and_nothing_gives_nothing(tiny_vocabulary):
    full = tiny_vocabulary.encode(["forty barges pass ossel lock"])[0]
    assert tiny_vocabulary.encode(["forty barges pass ossel lock", ""], 3) == [full[:3], []]
    assert tiny_vocabulary.encode([]) == []
    assert tiny_vocabulary.decode([]) == []


def test_special_tokens_and_line_breaks_are_no_part_of_a_decoded_line(tiny_vocabulary):
    row = tiny_vocabulary.encode(["heron\nstops"])[0]
    end = tiny_vocabulary.end
    assert tiny_vocabulary.decode([[end, *row, tiny_vocabulary.hint(3), 0, 0], [end]]) == ["heron stops", ""]


@pytest.mark.parametrize("kind", ["trained", "t5", "bart", "mbart", "bert"])
def test_words_of_tokens_add_up_to_the_words_of_a_text(kind, sentences, tiny_vocabulary, build_tokenizer):
    vocabulary = tiny_vocabulary if kind == "trained" else vocabulary_of(build_tokenizer(kind))
    # The last sentences are Chinese: known to the pieces of t5 and mbart, bytes to the others.
    rows = vocabulary.encode(sentences if kind in ("t5", "mbart") else sentences[:6])
    counts = [count_words(text) for text in vocabulary.decode(rows)]
    batch = pad_rows([[*row, vocabulary.end] for row in rows], vocabulary.pad)
    assert vocabulary.words(batch.ids).tolist() == counts
    # Every beginning of a text as well.
    for length in range(len(rows[1]) + 1):
        text = vocabulary.decode([rows[1][:length]])[0]
        assert vocabulary.words(torch.tensor([rows[1][:length]], dtype=torch.long)) == count_words(text)
    assert not vocabulary.words_of_token[vocabulary.special].any()


def test_words_of_tokens_by_hand(tiny_vocabulary):
    tokenizer = tiny_vocabulary.tokenizer
    bridge = "".join(bytes_to_spelling()[byte] for byte in "北山".encode())
    spelling = ["Ġheron", "Ġ", "h", "Ġthe", "<words-2>", "er"]
    ids = tokenizer.convert_tokens_to_ids(spelling)
    assert None not in ids
    assert tiny_vocabulary.words_of_token[ids].tolist() == [1, 0, 0, 1, 0, 0]
    assert tiny_vocabulary.blank[ids].tolist() == [False, True, False, False, False, False]
    # Letters go on with a word; marks, parts of characters and special tokens do not.
    assert tiny_vocabulary.begins_unit[ids].tolist() == [True, True, False, True, True, False]
    marks = tokenizer.convert_tokens_to_ids([",", "'", "#", bytes_to_spelling()["北".encode()[1]]])
    assert tiny_vocabulary.begins_unit[marks].all()
    # Letters and marks stand behind a word without a space; a part of a character is no such mark.
    assert tiny_vocabulary.attaches[ids].tolist() == [False, False, True, False, False, True]
    assert tiny_vocabulary.attaches[marks].tolist() == [True, True, True, False]
    tokenizer = train_tokenizer(["北山", "北山北山"] * 4, 330)
    vocabulary = vocabulary_of(tokenizer)
    ids = tokenizer.convert_tokens_to_ids([bridge, "Ġ" + bridge, "Ċ"])
    assert None not in ids
    assert vocabulary.words_of_token[ids].tolist() == [2, 2, 0]
    assert vocabulary.blank[ids].tolist() == [False, False, True]


def bytes_to_spelling():
    """Spelling of the 256 bytes in byte-level vocabularies: printable ones stand for themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    spelling = {byte: chr(byte) for byte in printable}
    return spelling | {byte: chr(256 + place) for place, byte in enumerate(others)}


def test_word_pieces_and_their_punctuation(build_tokenizer):
    vocabulary = vocabulary_of(build_tokenizer("bert"))
    tokenizer = vocabulary.tokenizer
    for token, index in tokenizer.get_vocab().items():
        expected = not (token.startswith("##") or token in ".,?!" or vocabulary.special[index])
        assert vocabulary.words_of_token[index] == expected
        goes_on = token.startswith("##") and token[2].isalnum()
        assert vocabulary.begins_unit[index] == (not goes_on)
        assert vocabulary.attaches[index] == (token.startswith("##") or token in ".,?!")
    assert vocabulary.decode(vocabulary.encode(["the road , so the"])) == ["the road, so the"]


@pytest.mark.parametrize(
    ("kind", "pad", "start", "end", "prefix", "suffix"),
    [
        ("t5", "<pad>", "<pad>", "</s>", [], ["</s>"]),
        ("bart", "<pad>", "<s>", "</s>", ["<s>"], ["</s>"]),
        ("mbart", "<pad>", "<s>", "</s>", [], ["</s>", "en_XX"]),
        ("bert", "[PAD]", "[CLS]", "[SEP]", ["[CLS]"], ["[SEP]"]),
    ],
)
def test_tokenizers_of_checkpoints(
    kind, pad, start, end, prefix, suffix, build_tokenizer, tmp_path, sentences
):
    tokenizer = build_tokenizer(kind)
    before = len(tokenizer)
    vocabulary = vocabulary_of(tokenizer)
    name = tokenizer.convert_ids_to_tokens
    assert name([vocabulary.pad, vocabulary.start, vocabulary.end]) == [pad, start, end]
    assert (name(vocabulary.source_prefix), name(vocabulary.source_suffix)) == (prefix, suffix)
    assert name(vocabulary.hints) == length_tokens()
    assert len(vocabulary) == before + 32 + (kind == "t5")  # T5 has no mask token
    assert vocabulary.special[[vocabulary.mask, *vocabulary.hints]].all()
    # Whole words of the training text need no unknown token, and the text comes back.
    assert vocabulary.decode(vocabulary.encode(sentences[2:4])) == sentences[2:4]
    unknown = tokenizer.unk_token_id
    smuggled = vocabulary.encode(["heron </s> [SEP] <words-3> stops"])[0]
    assert not vocabulary.special[[token for token in smuggled if token != unknown]].any()

    tokenizer.save_pretrained(tmp_path)
    again = vocabulary_of(load_tokenizer(tmp_path))
    assert again.encode(sentences) == vocabulary.encode(sentences)
    assert again.hints == vocabulary.hints
    assert (again.source_prefix, again.source_suffix) == (vocabulary.source_prefix, vocabulary.source_suffix)
    assert torch.equal(again.words_of_token, vocabulary.words_of_token)


def test_a_second_preparation_adds_nothing(build_tokenizer):
    tokenizer = build_tokenizer("bert")
    assert len(vocabulary_of(tokenizer)) == len(vocabulary_of(tokenizer))


def test_what_a_word_piece_tokenizer_does_not_know_stays_unknown(build_tokenizer):
    vocabulary = vocabulary_of(build_tokenizer("bert"))
    row = vocabulary.encode(["heron Ж stops"])[0]
    assert row.count(vocabulary.tokenizer.unk_token_id) == 1
    assert vocabulary.decode([row]) == ["heron stops"]


def test_a_tokenizer_without_end_or_padding_is_refused(sentences):
    tokenizer = train_tokenizer(sentences, 300)
    tokenizer.pad_token = None
    with pytest.raises(InputError, match=r"the tokenizer has no padding or end token; choose another\.$"):
        vocabulary_of(tokenizer)
    tokenizer = train_tokenizer(sentences, 300)
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="no padding or end token"):
        vocabulary_of(tokenizer)


def fails_to_load(path):
    with pytest.raises(InputError) as caught:
        load_tokenizer(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: no tokenizer can be loaded from there (")
    assert message.endswith(").")
    assert "\n" not in message


def test_missing_and_damaged_tokenizers(tmp_path, tiny_vocabulary):
    fails_to_load(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    fails_to_load(tmp_path / "empty")
    folder = tmp_path / "damaged"
    tiny_vocabulary.tokenizer.save_pretrained(folder)
    whole = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(whole[:1000], encoding="utf-8")
    fails_to_load(folder)
    (folder / "tokenizer.json").write_text('{"model": {}}', encoding="utf-8")
    fails_to_load(folder)


def test_errors_without_a_message_are_named_by_their_kind(monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise KeyError

    monkeypatch.setattr(module.AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(InputError, match=r"\(KeyError\)\.$"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [None, '{"model_type": "textae"}', "[]", "{", "{}"])
def test_loading_is_silent_whatever_stands_beside_it(content, tmp_path, tiny_vocabulary, caplog, capfd):
    # The folder's name must not matter either: transformers guesses families from it.
    folder = tmp_path / "bart-t5-bert"
    tiny_vocabulary.tokenizer.save_pretrained(folder)
    if content is not None:
        (folder / "config.json").write_text(content, encoding="utf-8")
    library = logging.getLogger("transformers")
    library.addHandler(caplog.handler)
    try:
        if content in ("[]", "{"):
            fails_to_load(folder)
            return
        tokenizer = load_tokenizer(folder)
    finally:
        library.removeHandler(caplog.handler)
    assert tokenizer("桥 heron")["input_ids"] == tiny_vocabulary.tokenizer("桥 heron")["input_ids"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


def test_a_share_of_the_rarer_words_is_written_in_pieces():
    texts = [f"fire in {name} today" for name in ("ossel", "ellin", "bergum", "tavara") for _ in range(50)]
    texts += ["fire today"] * 20_000  # each name is in one text of 400
    words = ["fire", "today", "ossel", "ellin", "bergum", "tavara"]

    def pieces(held_out):
        vocabulary = vocabulary_of(train_tokenizer(texts, 330, held_out))
        return [len(row) for row in vocabulary.encode(words)]

    assert pieces(0.0) == [1] * 6
    assert pieces(0.999)[:2] == [1, 1] and min(pieces(0.999)[2:]) > 1
    some = pieces(0.5)
    assert some[:2] == [1, 1] and 1 in some[2:] and max(some[2:]) > 1
    assert pieces(0.5) == some
