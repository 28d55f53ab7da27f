"""The command line: how it refuses, what it logs, how its process ends."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from textae.cli import main
from textae.errors import InputError


def refusal(capsys, *words):
    """Return the one sentence with which a command line is refused."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("textae: error: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("textae: error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("sumarize", 'unknown command "sumarize"; did you mean "summarize"? (commands: train, summarize, '),
        ("train --bems 3", 'textae train: unknown option "--bems"'),
        ("train --config x --seed 3", 'textae train: unknown option "--seed"; did you mean "--run.seed"?'),
        ("train", "the following arguments are required: --config; see textae train --help"),
        ("train --config x y", 'unexpected argument "y"; see textae --help'),
        ("train --config none.yaml", "none.yaml: there is no such configuration file; check the path"),
        ("summarize --modle m", 'textae summarize: unknown option "--modle"; did you mean "--model"?'),
        ("export --model m", "the following arguments are required: --output; see textae export --help"),
        (
            "export --model m --output o --dtype int8",
            "argument --dtype: invalid choice: 'int8' (choose from 'float32', 'float16', 'bfloat16'); see",
        ),
        (
            "export --model m --output o --engine torch",
            "argument --engine: invalid choice: 'torch' (choose from 'onnx', 'ctranslate2'); see textae",
        ),
        (
            "export --model textae-english --output o --engine onnx --quantization int8",
            "--quantization is for --engine ctranslate2; add it or leave it out",
        ),
        (
            "summarize --engine tensorflow",
            "argument --engine: invalid choice: 'tensorflow' (choose from 'auto', 'torch', 'onnx', '",
        ),
        ("export --model m --output o", "m: there is no such folder, and no such model on the Hub."),
        (
            "summarize --model m --input i --output o --beams 0",
            'argument --beams: wants a whole number of at least 1, not "0"; see textae summarize --help',
        ),
        (
            "summarize --model m --input i --output o --words many",
            'argument --words: wants a whole number of at least 1, not "many"; see textae summarize --help',
        ),
        (
            "summarize --model m --input i --output o --words 8 --ratio 0.5",
            "--words and --ratio exclude each other; take one of them",
        ),
        (
            "summarize --model m --input i --output o --ratio 1.5",
            'argument --ratio: wants a share above 0 and at most 1, not "1.5"; see textae summarize --help',
        ),
        (
            "evaluate --model m --data d --words 8 10 --save-predictions s",
            "--save-predictions is for one length; score the lengths one after the other",
        ),
        (
            "evaluate --model m --data - --words 8 10",
            "--data - can be read only once; write standard input to a file to score more than one row",
        ),
        (
            "evaluate --predictions p --references r --ratio 0.5",
            "--ratio is for --model and means nothing with --predictions; leave it out",
        ),
        (
            "summarize --model m --input i --output o --sample --temperature 0",
            'argument --temperature: wants a number above 0, not "0"; see textae summarize --help',
        ),
        (
            "summarize --model m --input i --output o --sample --temperature hot",
            'argument --temperature: wants a number above 0, not "hot"; see textae summarize --help',
        ),
        (
            "summarize --model m --input i --output o --seed 3",
            "--temperature and --seed are for --sample; add it or leave them out",
        ),
        ("evaluate", "nothing to score; give --model M --data F, or --predictions F --references F"),
        ("evaluate --predictions p", "--predictions F and --references F belong together; give both"),
        (
            "evaluate --predictions p --references r --model m",
            "--model and --predictions exclude each other; take one of them",
        ),
        (
            "evaluate --predictions p --references r --beams 2",
            "--beams is for --model and means nothing with --predictions; leave it out",
        ),
        (
            "evaluate --predictions p --references r --save-predictions s",
            "--save-predictions is for --model and means nothing with --predictions; leave it out",
        ),
        ("evaluate --model m", "--model wants --data F, documents with their reference summaries"),
        (
            "evaluate --model m --data d --prediction-column c",
            "--prediction-column is for --predictions and means nothing with --model; leave it out",
        ),
        (
            "evaluate --model a b --data d --save-predictions s",
            "--save-predictions is for one --model; score the models one after the other",
        ),
        (
            "evaluate --model a b --data -",
            "--data - can be read only once; write standard input to a file to score more than one row",
        ),
        (
            "evaluate --model =a --data d",
            '--model =a: wants NAME=PATH, such as "warm-up=runs/newswire/warm"',
        ),
        (
            "evaluate --model x=a x=b --data d",
            '--model: "x" is given twice; give each a name of its own, NAME=PATH',
        ),
        ("audit", "nothing to audit; give --model M --data F, or --summaries F"),
        ("audit --model m", "--model wants --data F, documents that it has not seen in training"),
        ("audit --documents g", "--documents G wants --summaries F, what was written of them"),
        ("audit --model m --summaries s", "--model and --summaries exclude each other; take one of them"),
        (
            "audit --summaries s --beams 2",
            "--beams is for --model and means nothing with --summaries; leave it out",
        ),
        (
            "audit --summaries s --learning-rate 0.1",
            "--learning-rate is for --model and means nothing with --summaries; leave it out",
        ),
        (
            "audit --model m --data d --function-words f",
            "--function-words is for --summaries and means nothing with --model; leave it out",
        ),
        (
            "audit --model m --data d --steps 0",
            'argument --steps: wants a whole number of at least 1, not "0"; see textae audit --help',
        ),
        ("audit --summaries none.txt", "none.txt does not exist"),
        (
            "evaluate --model m --data d --multiple worst",
            "argument --multiple: invalid choice: 'worst' (choose from 'average', 'best'); see textae",
        ),
    ],
)
def test_bad_command_lines_are_refused_in_one_sentence(capsys, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, *words.split()).startswith(sentence)


def test_a_reward_that_an_estimator_cannot_use_is_refused(recipe, capsys):
    words = ["--adversarial.estimator", "gumbel", "--adversarial.rewards.repetition.weight", "2"]
    assert "this reward has no gradient" in refusal(capsys, "train", "--config", str(recipe), *words)


def test_an_unknown_setting_is_refused(recipe, capsys):
    sentence = refusal(capsys, "train", "--config", str(recipe), "--warmup.stepz", "3")
    assert sentence == 'unknown setting "--warmup.stepz"; did you mean "--warmup.steps"?'


def test_without_a_command_there_is_help(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for name in ("train", "summarize", "reconstruct", "evaluate", "audit", "export"):
        assert f"\n    {name}" in text


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "textae 0.1.0\n"


def failing(monkeypatch, error):
    import textae.training.run

    def train(config, resume, evaluate):
        raise error

    monkeypatch.setattr(textae.training.run, "train", train)


def test_interruption(recipe, monkeypatch, capsys):
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["train", "--config", str(recipe)]) == 130
    assert capsys.readouterr().err == "textae: interrupted\n"


def test_bad_input_deep_inside(recipe, monkeypatch, capsys):
    failing(monkeypatch, InputError("a.txt, line 3: broken; mend it"))
    assert refusal(capsys, "train", "--config", str(recipe)) == "a.txt, line 3: broken; mend it"


def test_an_unreadable_file_is_a_sentence_too(recipe, monkeypatch, capsys):
    failing(monkeypatch, PermissionError(13, "Permission denied", "/some/file"))
    assert refusal(capsys, "train", "--config", str(recipe)) == "/some/file: Permission denied"


def test_our_own_mistakes_keep_their_traceback(recipe, monkeypatch):
    failing(monkeypatch, OSError("no file's fault"))
    with pytest.raises(OSError, match="no file's fault"):
        main(["train", "--config", str(recipe)])


def test_the_log_goes_to_standard_error(recipe, monkeypatch, capsys):
    import textae.training.run

    def train(config, resume, evaluate):
        logging.getLogger("textae.training.loop").info("step 1")
        return Path("x")

    monkeypatch.setattr(textae.training.run, "train", train)
    main(["train", "--config", str(recipe)])
    assert capsys.readouterr().err == "step 1\n"
    monkeypatch.setenv("RANK", "1")
    main(["train", "--config", str(recipe)])
    assert capsys.readouterr().err == ""
    assert logging.getLogger("textae").handlers == []


def test_nothing_is_logged_twice_when_training_shows_its_own_log(recipe, monkeypatch, capsys):
    import textae.training.run

    logger, own = logging.getLogger("textae"), logging.StreamHandler(sys.stdout)

    def train(config, resume, evaluate):
        logger.addHandler(own)
        logger.warning("step 1")
        logger.removeHandler(own)
        return Path("x")

    monkeypatch.setattr(textae.training.run, "train", train)
    main(["train", "--config", str(recipe)])
    captured = capsys.readouterr()
    assert captured.out == "step 1\ntrained model: x\n"
    assert captured.err == ""


def run(*words, **options):
    return subprocess.run([sys.executable, "-m", "textae", *words], capture_output=True, text=True, **options)


def test_the_process_exits_with_2_and_without_a_traceback(tmp_path):
    ran = run("train", "--config", "none.yaml", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr == "textae: error: none.yaml: there is no such configuration file; check the path\n"


def test_a_reader_that_leaves_early_is_no_error():
    code = (
        "import sys; from textae import cli\n"
        "cli._run = lambda words: print('x' * 10**6) or 0\n"
        "sys.exit(cli.main([]))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        _, errors = process.communicate()
    assert process.returncode == 141
    assert errors == ""
