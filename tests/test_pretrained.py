"""The model inside the package: what it is made of, and that it works at once and offline."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from textae.data.corpus import read_pairs
from textae.errors import InputError
from textae.evaluation.scoring import RougeProtocol, rouge, rouge_on_valid
from textae.models.autoencoder import TextAutoencoder
from textae.models.saving import SHIPPED, SHIPPED_FOLDER

FILES = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
STORIES = [
    "a fire destroyed the old mill in port ellin on tuesday , police said .",
    "",
    "The heron that sat on Ossel's weather mast for nine days has left, its keeper said on Monday.",
]
NOTICE = "model: textae-english, shipped with textae for short English news and scientific abstracts"


def textae(*words, **options):
    """Run the command as a person does; there is no network, and nothing in the working folder."""
    return subprocess.run(
        [sys.executable, "-m", "textae", *words],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def model():
    return TextAutoencoder.from_pretrained()


def test_it_is_safetensors_and_json_of_at_most_ten_megabytes():
    assert {file.name for file in SHIPPED_FOLDER.iterdir()} == FILES
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.iterdir()) <= 10_000_000
    weights = load_file(SHIPPED_FOLDER / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_the_model_without_a_name_is_the_one_with_its_name(model, tmp_path, monkeypatch):
    assert SHIPPED == "textae-english"
    again = TextAutoencoder.from_pretrained("textae-english")
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    # A folder that is called so is another one.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "textae-english").mkdir()
    for folder in ("./textae-english", Path("textae-english")):
        with pytest.raises(InputError, match=r"this is no trained model, config\.json is missing"):
            TextAutoencoder.from_pretrained(folder)


def test_it_beats_the_first_words_on_stories_that_it_has_not_seen(model):
    pairs = read_pairs(["newswire:test:40"], ["document"], ["summary"], model.config.normalization)
    first = [" ".join(pair.document.split()[:8]) for pair in pairs]
    lead = rouge(first, [pair.references for pair in pairs], RougeProtocol(resamples=1))
    scores = rouge_on_valid(model, pairs)
    for name in ("rouge1", "rouge2", "rougeL"):
        assert scores[name] > lead[name] + 5


def test_text_in_capitals_is_read_like_any_other(model):
    quiet, loud = model.summarize([STORIES[0], STORIES[0].upper()])
    assert quiet == loud != ""


def test_summarize_needs_no_option(tmp_path):
    ran = textae("summarize", input="".join(f"{story}\n" for story in STORIES), cwd=tmp_path)
    assert ran.returncode == 0
    first, empty, last, end = ran.stdout.split("\n")
    assert (empty, end) == ("", "")
    assert "mill" in first.split()
    assert 1 <= len(last.split()) < len(STORIES[2].split())
    notice, warning = ran.stderr.splitlines()
    assert notice.startswith(NOTICE)
    assert warning == "1 document was empty and got an empty summary"
    assert list(tmp_path.iterdir()) == []


def test_reconstruct_needs_no_option(tmp_path):
    ran = textae("reconstruct", input="fire destroys old mill\n", cwd=tmp_path)
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 1
    assert len(ran.stdout.split()) > 4
    assert ran.stderr.startswith(NOTICE) and ran.stderr.count("\n") == 1


def test_whoever_pipes_nothing_in_is_told_so(tmp_path):
    terminal, keyboard = pty.openpty()
    try:
        ran = textae("summarize", stdin=keyboard, cwd=tmp_path)
    finally:
        os.close(terminal)
        os.close(keyboard)
    assert (ran.returncode, ran.stdout) == (2, "")
    sentence = "there is no text; pipe it in, or give --input F (--input - reads what you type)"
    assert ran.stderr == f"textae: error: {sentence}\n"


def test_the_card_says_what_it_learned_from_and_what_it_is_for():
    card = (SHIPPED_FOLDER / "README.md").read_text(encoding="utf-8")
    _, head, text = card.split("---\n", 2)
    values = yaml.safe_load(head)
    assert {name: values[name] for name in ("language", "license", "library_name", "pipeline_tag")} == {
        "language": "en",
        "license": "apache-2.0",
        "library_name": "textae",
        "pipeline_tag": "summarization",
    }
    titles = re.findall("^## (.+)$", text, flags=re.MULTILINE)
    assert titles == ["What it is for", "What it is not for", "Training data", "Figures"]
    for needed in (
        "ACL Anthology",
        "https://creativecommons.org/licenses/by/4.0/",
        "newswire",
        "english.yaml",
    ):
        assert needed in text
    figures = re.search("<!-- FIGURES: begin -->\n(.+)<!-- FIGURES: end -->\n", text, flags=re.DOTALL)
    assert figures is not None and figures[1].strip()


def test_the_card_tells_the_sizes_of_the_files(model):
    card = (SHIPPED_FOLDER / "README.md").read_text(encoding="utf-8")
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert f"{millions:.1f} million parameters" in card
    length = model.config.length
    assert f"{length.minimum_words} to {length.maximum_words} were learned" in card
    assert f"reads {model.config.max_document_tokens} tokens of a document" in card
