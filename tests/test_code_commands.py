"""The commands of codes of numbers, by hand of a person: every one works, and says what is wrong."""

import json

import numpy as np
import pytest
from pyarrow import parquet

from textae import CodeAutoencoder, TextAutoencoder
from textae.cli import main
from textae.data.corpus import read_pairs
from textae.model_config import NormalizationConfig

RECIPE = """
data: {{documents: ["newswire:200", "newswire:40"], max_document_tokens: 40}}
tokenizer: {{vocabulary_size: 400}}
encoder: {{width: 16, layers: 1, heads: 2, feed_forward: 16}}
code: {{kind: {kind}, vectors: 2, width: 8, slots: 2, codebook_size: 4, style_width: 2}}
warmup: {{steps: 4, documents_per_batch: 8, warmup_steps: 2}}
run: {{output: {output}, trackers: [], sample_every: 4, log_every: 1}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function that gives the folder of a model with a kind of code, trained by the command."""
    folder = tmp_path_factory.mktemp("codes")

    def train(kind):
        output = folder / kind
        if not output.exists():
            recipe = folder / f"{kind}.yaml"
            recipe.write_text(RECIPE.format(kind=kind, output=output), encoding="utf-8")
            assert main(["train", "--config", str(recipe)]) == 0
        return str(output)

    return train


@pytest.fixture
def corpus(tmp_path):
    """Six documents with ids, as JSON lines; the fourth is empty."""
    pairs = read_pairs(["newswire:test:6"], ["document"], ["summary"], NormalizationConfig())
    texts = [pair.document for pair in pairs]
    texts[3] = ""
    path = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"id": f"d{i}", "document": text}) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path), texts


def test_embeddings_keep_order_in_both_formats(trained, corpus, tmp_path, capsys):
    path, texts = corpus
    arguments = ["embed", "--model", trained("vector"), "--input", path, "--output"]
    assert main([*arguments, str(tmp_path / "e.npy")]) == 0
    assert "6 vectors of 16 numbers" in capsys.readouterr().out
    array = np.load(tmp_path / "e.npy", allow_pickle=False)
    assert array.shape == (6, 16) and array.dtype == np.float32
    assert np.allclose(array, CodeAutoencoder.from_pretrained(trained("vector")).embed(texts), atol=1e-6)
    assert main([*arguments, str(tmp_path / "e.parquet"), "--batch-size", "2"]) == 0
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table["id"].to_pylist() == [f"d{i}" for i in range(6)]
    assert np.allclose(table["embedding"].to_pylist(), array, atol=1e-5)


def test_a_code_that_is_text_embeds_as_well(corpus, tmp_path):
    path, _ = corpus
    output = tmp_path / "e.npy"
    assert main(["embed", "--model", "textae-english", "--input", path, "--output", str(output)]) == 0
    array = np.load(output)
    assert array.shape == (6, 128)
    assert not array[3].any() and array[[0, 1, 2, 4, 5]].any(axis=1).all()


@pytest.mark.parametrize("kind", ["vector", "gaussian", "vq", "split"])
def test_anomalies_are_what_is_harder_than_normal(kind, trained, corpus, tmp_path, capsys):
    path, texts = corpus
    normal = tmp_path / "normal.txt"
    normal.write_text("\n".join(texts[:3]) + "\n", encoding="utf-8")
    output = tmp_path / "verdicts.jsonl"
    words = ["anomalies", "--model", trained(kind), "--input", path, "--normal", str(normal)]
    assert main([*words, "--output", str(output), "--quantile", "0.5"]) == 0
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [f"d{i}" for i in range(6)]
    losses = CodeAutoencoder.from_pretrained(trained(kind)).reconstruction_loss(texts)
    assert [line["loss"] for line in lines] == pytest.approx(losses, abs=1e-3)
    limit = sorted(losses[:3])[1]
    assert [line["anomaly"] for line in lines] == [loss > limit + 1e-6 for loss in losses]
    assert f"{sum(line['anomaly'] for line in lines)} of 6 documents are anomalous" in capsys.readouterr().out
    assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_a_code_that_is_text_finds_anomalies_too(corpus, tmp_path, capsys):
    path, texts = corpus
    normal = tmp_path / "normal.txt"
    normal.write_text(texts[0] + "\n", encoding="utf-8")
    assert main(["anomalies", "--model", "textae-english", "--input", path, "--normal", str(normal)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["anomaly"] is False


def test_documents_are_mapped_by_their_kinds(trained, corpus, tmp_path, capsys):
    path, _ = corpus
    picture = tmp_path / "map.png"
    words = ["map", "--model", trained("vector"), "--input", path, "-o", str(picture)]
    assert main([*words, "--color", "id", "--title", "six"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "5 documents" in capsys.readouterr().out  # the empty one has no place
    assert main([*words, "--color", "label"]) == 2
    assert 'has no column "label": name another with --color' in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "map.gif")]) == 2
    losses = tmp_path / "losses.svg"
    judged = ["anomalies", *words[1:5], "--normal", path, "-o", str(tmp_path / "a.jsonl")]
    assert main([*judged, "--plot", str(losses)]) == 0
    assert b"<svg" in losses.read_bytes()


def test_curves_of_codes_are_drawn_and_documents_pass_through(trained, corpus, tmp_path, capsys):
    path, texts = corpus
    picture = tmp_path / "curves.png"
    runs = [f"{kind}={trained(kind)}" for kind in ("vector", "gaussian", "vq", "split")]
    assert main(["plot", *runs, "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main(["reconstruct", "--model", trained("vector"), "--input", path]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    model = CodeAutoencoder.from_pretrained(trained("vector"))
    assert [line["document"] for line in lines] == model.reconstruct(texts)
    text = tmp_path / "text"
    text.mkdir()
    (text / "config.yaml").write_text("", encoding="utf-8")
    (text / "metrics.jsonl").write_text('{"step": 1, "loss/encoder": 2.0}\n', encoding="utf-8")
    assert main(["plot", str(text), trained("vq"), "-o", str(picture)]) == 2
    assert "have no curves in common; plot each alone" in capsys.readouterr().err


def test_documents_are_drawn_and_walked_between(trained, capsys):
    drawn = ["generate", "--model", trained("gaussian"), "--n", "3", "--seed", "1"]
    assert main(drawn) == 0
    first = capsys.readouterr().out
    assert len(first.splitlines()) == 3
    assert main([*drawn, "--beams", "4"]) == 0
    assert capsys.readouterr().out == first
    words = [
        "generate",
        "--model",
        trained("vector"),
        "--between",
        "a fire in linora",
        "a strike",
        "--n",
        "4",
    ]
    assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_what_codes_mean_is_told_by_words_and_documents(trained, corpus, tmp_path, capsys):
    path, texts = corpus
    words = ["codes", "--model", trained("vq"), "--input", path]
    assert main(words) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("code 0:") and shown[1].startswith("    ")
    assert main([*words, "--json", str(tmp_path / "codes.json"), "--examples", "1"]) == 0
    told = json.loads((tmp_path / "codes.json").read_text(encoding="utf-8"))
    for place in (0, 1):
        assert sum(code["count"] for code in told["codes"] if code["place"] == place) == 6
    assert all(code["documents"][0] in texts for code in told["codes"])


def test_documents_are_written_in_another_style(trained, corpus, capsys):
    path, _ = corpus
    assert main(["restyle", "--model", trained("split"), "--input", path, "--style-of", path]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == [f"d{i}" for i in range(6)]
    assert lines[3]["document"] == ""


def test_files_of_codes_come_back(trained, corpus, tmp_path, capsys):
    path, texts = corpus
    packed, back = str(tmp_path / "c.tae"), tmp_path / "back.jsonl"
    words = ["--model", trained("vq")]
    assert main(["compress", path, "-o", packed, "--lossless", *words]) == 0
    assert "every character was read back and is the same" in capsys.readouterr().out
    assert main(["decompress", packed, "-o", str(back), *words]) == 0
    assert [json.loads(line)["document"] for line in back.read_text(encoding="utf-8").splitlines()] == texts
    assert main(["decompress", packed, *words]) == 0
    assert capsys.readouterr().out.splitlines() == texts
    assert main(["compress", path, "-o", packed, *words]) == 0
    told = capsys.readouterr().out
    assert "bits a character" in told and "ROUGE-L" in told and "nats per token" in told
    assert main(["decompress", packed, *words]) == 0
    restored = CodeAutoencoder.from_pretrained(trained("vq")).reconstruct(texts)
    assert capsys.readouterr().out.splitlines() == restored


def test_the_loss_of_a_code_that_is_text_is_that_of_its_length(corpus, tmp_path, capsys):
    path, texts = corpus
    words = ["compress", path, "-o", str(tmp_path / "c.tae"), "--model", "textae-english", "--words", "5"]
    assert main(words) == 0
    filled = [text for text in texts if text]
    model = TextAutoencoder.from_pretrained()
    losses = model.reconstruction_loss(filled, model.summarize(filled, words=5))
    assert f" {sum(losses) / len(losses):.3f} nats per token" in capsys.readouterr().out


def test_what_is_wrong_is_said_in_one_sentence(trained, corpus, tmp_path, capsys):
    path, _ = corpus
    empty, lines = tmp_path / "empty.jsonl", tmp_path / "lines.jsonl"
    empty.write_text("", encoding="utf-8")
    lines.write_text(json.dumps({"document": "two\nlines"}) + "\n", encoding="utf-8")
    vector, discrete = trained("vector"), trained("vq")
    packed = str(tmp_path / "lines.tae")
    assert main(["compress", str(lines), "-o", packed, "--lossless", "--model", discrete]) == 0
    capsys.readouterr()
    for words, reason in (
        (["embed", "--model", vector, "--input", path, "--output", "e.csv"], ".npy or .parquet"),
        (
            ["embed", "--model", vector, "--input", str(empty), "--output", str(tmp_path / "e.npy")],
            "is empty",
        ),
        (["embed", "--model", vector, "--input", path, "--output", str(tmp_path)], "no extension"),
        (["embed", "--model", "nowhere/at-all", "--input", path, "--output", "e.npy"], "no such folder"),
        (["generate", "--model", vector], "has no prior"),
        (["generate", "--model", "textae-english"], "this model's code is text"),
        (["codes", "--model", vector, "--input", path], "not discrete"),
        (["restyle", "--model", vector, "--input", path, "--style-of", path], "does not tell style"),
        (["compress", path, "-o", packed, "--model", vector], "not discrete"),
        (["decompress", path, "--model", discrete], "no file of codes"),
        (["decompress", str(tmp_path / "gone.tae"), "--model", discrete], "cannot be read"),
        (["decompress", packed, "--model", discrete], "documents of several lines"),
        (["summarize", "--model", vector, "--input", path], "this model's code is vector"),
        (
            ["anomalies", "--model", vector, "--input", path, "--normal", path, "--quantile", "1.5"],
            "between 0 and 1",
        ),
    ):
        assert main(words) == 2, words
        error = capsys.readouterr().err
        assert reason in error and "Traceback" not in error, (words, error)
        assert error.startswith("textae: error: ") or error.splitlines()[-1].startswith("textae: error: ")
