"""The secret-code audit: its parts exactly, and honest text and a cipher told apart by real training."""

import json
import random

import pytest
import torch

from textae.cli import main
from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.errors import InputError
from textae.evaluation.audit import (
    audit_model,
    audit_summaries,
    corrupted,
    leads,
    read_documents,
    split_documents,
)
from textae.evaluation.audit_tables import audit_text
from textae.evaluation.fresh import train_fresh_reader
from textae.model_config import NormalizationConfig

SUMMARIES = ["one two three four", "five six", "seven", "eight nine ten eleven twelve"]
QUICK = {"steps": 2, "batch_size": 4}


def test_conditions_of_summaries():
    found = corrupted(SUMMARIES, seed=0)
    assert list(found) == ["written", "shuffled", "dropped", "others", "empty"]
    assert found["written"] == SUMMARIES
    assert found["empty"] == ["", "", "", ""]
    pairs = list(zip(SUMMARIES, found["shuffled"], strict=True))
    assert all(sorted(one.split()) == sorted(other.split()) for one, other in pairs)
    assert any(one != other for one, other in pairs)
    for one, other in zip(SUMMARIES, found["dropped"], strict=True):
        words = iter(one.split())
        assert other and all(word in words for word in other.split())  # some of the words, in their order
    assert sorted(found["others"]) == sorted(SUMMARIES)
    assert all(one != other for one, other in zip(SUMMARIES, found["others"], strict=True))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_nobody_gets_the_own_summary(count):
    texts = [str(number) for number in range(count)]
    for seed in range(20):
        others = corrupted(texts, seed)["others"]
        assert sorted(others) == sorted(texts)
        assert all(one != other for one, other in zip(texts, others, strict=True))


def test_conditions_follow_the_seed():
    texts = [" ".join(f"w{number}" for number in range(100))] * 2
    assert corrupted(texts, 3) == corrupted(texts, 3)
    assert corrupted(texts, 3)["shuffled"] != corrupted(texts, 4)["shuffled"]
    dropped = corrupted(texts, 3)["dropped"]
    assert dropped != corrupted(texts, 4)["dropped"]
    assert 55 <= len(dropped[0].split()) <= 85  # 70, give or take three deviations


def test_shuffled_characters_are_joined_again():
    assert " " not in corrupted(["北山的桥", "大雪"], 0)["shuffled"][0]


def test_leads_have_the_words_of_their_summaries():
    documents = ["a b c d", "e f", "g h", "北山的桥"]
    assert leads(documents, ["x y", "x y z", "", "大雪"]) == ["a b", "e f", "", "北山"]


def test_the_split_follows_the_text_and_the_seed():
    documents = [f"document {number}" for number in range(1000)]
    held_out, others = split_documents(documents, 0)
    assert sorted(held_out + others) == sorted(documents)
    assert set(held_out).isdisjoint(others)
    assert 160 <= len(held_out) <= 240
    # Whatever stands beside it, a document falls on the same side.
    assert split_documents(documents[::-1], 0)[0] == held_out[::-1]
    assert split_documents(documents, 1)[0] != held_out


def test_documents_are_normalised_and_each_is_there_once(tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text(
        "".join(json.dumps({"body": text}) + "\n" for text in ("Rain  fell", "", "rain fell", "b"))
    )
    settings = NormalizationConfig(lowercase=True)
    assert read_documents([str(file)], ["document", "body"], settings) == ["rain fell", "b"]
    file.write_text('{"body": " "}\n')
    with pytest.raises(InputError, match=r"d\.jsonl: there is no document in it"):
        read_documents([str(file)], ["body"], settings)


def test_a_fresh_reader_is_the_model_s_in_shape_and_follows_the_seed(tiny_model, sentences):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    codes = [" ".join(sentence.split()[:2]) for sentence in sentences]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (
        train_fresh_reader(tiny_model, sentences, codes, steps=3, batch_size=4, seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(3), expected)  # the caller's random numbers are untouched
    shapes = {name: value.shape for name, value in tiny_model.reconstructor.state_dict().items()}
    assert {name: value.shape for name, value in one.state_dict().items()} == shapes
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not one.training
    assert all(torch.equal(before[name], value) for name, value in tiny_model.state_dict().items())
    losses = tiny_model.reconstruction_loss(sentences, codes, reconstructor=one)
    assert losses == tiny_model.reconstruction_loss(sentences, codes, reconstructor=same)
    assert losses != tiny_model.reconstruction_loss(sentences, codes)


def test_training_that_breaks_down_is_told(tiny_model, sentences):
    with pytest.raises(InputError, match=r"broke down at step \d+; lower --learning-rate"):
        train_fresh_reader(tiny_model, sentences, sentences, steps=40, batch_size=8, learning_rate=1e30)


def test_trained_losses_are_the_model_s_own(tiny_model, sentences):
    texts, rest = sentences[:3], sentences[3:]
    summaries = tiny_model.summarize(sentences)
    found = audit_summaries(tiny_model, texts, summaries[:3], rest, summaries[3:], **QUICK)
    losses = found["losses"]
    assert {code: list(readers) for code, readers in losses.items()} == {
        "summary": ["trained", "fresh"],
        "lead": ["trained", "fresh"],
    }
    own = tiny_model.reconstruction_loss(texts, summaries[:3])
    assert losses["summary"]["trained"]["written"] == pytest.approx(sum(own) / 3)
    empty = tiny_model.reconstruction_loss(texts, ["", "", ""])
    assert losses["lead"]["trained"]["empty"] == pytest.approx(sum(empty) / 3)
    assert losses["summary"]["fresh"] != losses["summary"]["trained"]


@pytest.fixture
def files(tmp_path, sentences):
    """The invented sentences as held-out data, and other documents of which one is the same."""
    data, train = tmp_path / "data.txt", tmp_path / "train.txt"
    data.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    train.write_text("\n".join(["snow fell on the lake", sentences[0], "the baker left"]) + "\n")
    return str(data), str(train)


def test_report_of_a_model(tiny_model, files, caplog):
    data, train = files
    with caplog.at_level("WARNING", logger="textae"):
        report = audit_model(tiny_model, [data], [train], limit=4, max_words=3, seed=7, **QUICK)
    assert "1 documents to train on are in the held-out data, too, and left out" in caplog.text
    assert (report["protocol"]["held_out"], report["protocol"]["trained_on"]) == (4, 2)
    assert (report["protocol"]["seed"], report["protocol"]["decoding"]) == (7, {"max_words": 3})
    assert report["collapse"]["count"] == 4
    assert "novelty" in report["collapse"]["figures"]
    json.dumps(report, allow_nan=False)
    text = audit_text(report)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    written = [
        report["losses"][code][reader]["written"]
        for code in ("summary", "lead")
        for reader in ("trained", "fresh")
    ]
    assert "| written | " + " | ".join(f"{value:.3f}" for value in written) + " |" in lines
    assert report["verdict"]["sentences"][0] in text
    assert max(len(line) for line in text.splitlines()[:10]) <= 110


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; set it to at least 1"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 1}, "1 documents to audit and 2 others for the fresh readers are too few"),
        ({"document_columns": []}, None),
    ],
)
def test_what_cannot_be_audited_is_refused(tiny_model, files, options, message):
    data, train = files
    if message is None:  # a plain line stands for any column
        assert audit_model(tiny_model, [data], [train], **{**QUICK, **options})["protocol"]["held_out"] == 8
        return
    with pytest.raises(InputError, match=message):
        audit_model(tiny_model, [data], [train], **{**QUICK, **options})


def test_the_command_prints_tables_and_writes_the_same_figures(tiny_model, files, tmp_path, capsys):
    data, train = files
    tiny_model.save_pretrained(tmp_path / "model")
    words = ["audit", "--model", str(tmp_path / "model"), "--data", data, "--train", train, "--steps", "2"]
    figures = tmp_path / "figures.json"
    assert main([*words, "--batch-size", "4", "--json", str(figures)]) == 0
    printed = capsys.readouterr().out
    report = json.loads(figures.read_text(encoding="utf-8"))
    assert audit_text(report) + "\n" == printed
    assert main([*words, "--batch-size", "4", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == report
    assert "| written" in captured.err


def test_the_command_reports_collapse_of_files(tmp_path, capsys):
    summaries, documents = tmp_path / "s.txt", tmp_path / "d.txt"
    summaries.write_text("rain rain falls\nfog\n")
    documents.write_text("rain falls\nfog in town\n")
    figures = tmp_path / "figures.json"
    words = ["audit", "--summaries", str(summaries), "--documents", str(documents), "--max-words", "3"]
    assert main([*words, "--json", str(figures)]) == 0
    report = json.loads(figures.read_text(encoding="utf-8"))
    assert report["figures"]["repeated_at_once"] == report["figures"]["at_maximum"] == 0.5
    assert report["figures"]["novelty"] == 0.0
    assert "Sign of collapse: summaries stutter" in capsys.readouterr().out


# An encoder that writes in cipher, and a reconstructor that knows the cipher -------------------------


WORDS = [first + last for first in ("ba", "du", "ki", "mo") for last in ("lan", "ros", "tek", "vim")]
CIPHER = dict(zip(WORDS, WORDS[1:] + WORDS[:1], strict=True))


@pytest.fixture(scope="module")
def foreign():
    """Documents of four words drawn at random, so that none tells the next, and their vocabulary."""
    generator = random.Random(0)
    texts = dict.fromkeys(" ".join(generator.choices(WORDS, k=4)) for _ in range(3000))
    return list(texts), vocabulary_of(train_tokenizer(list(texts), 380))


def encipher(documents, cipher):
    return [" ".join(cipher.get(word, word) for word in document.split()[:2]) for document in documents]


@pytest.mark.slow
@pytest.mark.parametrize(("cipher", "name"), [({}, "readable"), (CIPHER, "code")])
def test_first_words_are_readable_and_the_same_words_in_cipher_are_a_code(
    foreign, build_model, build_network_config, cipher, name
):
    documents, vocabulary = foreign
    network = build_network_config(width=64, heads=4, feed_forward=128)
    model = build_model(vocabulary, encoder=network, reconstructor=network)
    held_out, others = documents[:200], documents[200:]
    codes = encipher(others, cipher)
    training = {"batch_size": 64, "learning_rate": 2e-3}
    # The reconstructor has had all the time that it takes to break the cipher; a stranger has less.
    model.reconstructor = train_fresh_reader(
        model, others, codes, steps=500 if cipher else 150, seed=1, **training
    )
    found = audit_summaries(model, held_out, encipher(held_out, cipher), others, codes, steps=100, **training)
    verdict = found["verdict"]
    assert verdict["worth"]["summary"]["trained"] > 0.5  # nats of a word's 2.8
    assert verdict["name"] == name
    assert verdict["lead_share"] > 0.8
    if cipher:
        assert verdict["readability"] < 0.3
