"""Configuration files that anybody may have written: bombs, nesting, odd tags and numbers, odd names."""

import time

import pytest

from textae.cli import main
from textae.errors import InputError
from textae.settings import load_config
from textae.yaml_text import MOST_NESTED, MOST_NODES


def write(folder, text):
    path = folder / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def refusal(path):
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def laughs(kind):
    """Nine lines, each of which stands for nine times the one before."""
    lines = ["l0: &l0 {a: 1, b: 2}" if kind == "merge" else "l0: &l0 [lol]"]
    for number in range(1, 10):
        before = ", ".join([f"*l{number - 1}"] * 9)
        value = f"{{<<: [{before}]}}" if kind == "merge" else f"[{before}]"
        lines.append(f"l{number}: &l{number} {value}")
    return "encoder:\n  overrides:\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize("kind", ["list", "merge"])
def test_a_billion_laughs_are_refused(tmp_path, kind):
    path = write(tmp_path, laughs(kind))
    sentence = f"it has more than {MOST_NODES:,} values with what aliases stand for"
    assert sentence in refusal(path)
    assert refusal(path).startswith(f"{path}, line ")


def test_aliases_that_stand_for_little_are_taken(tmp_path):
    text = "data: {documents: &files [a.txt, b.txt], human: *files}\n"
    config = load_config(write(tmp_path, text + "encoder: &e {width: 64}\nreconstructor: *e\n"))
    assert config.data.documents == config.data.human == ["a.txt", "b.txt"]
    assert config.encoder.width == config.reconstructor.width == 64


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "encoder: {overrides: {a: " + "[" * 50_000,
            "line 1: this is not valid YAML: it is nested too deeply",
        ),
        ("- " * 5000 + "x", "it is nested too deeply"),
        ("a: &a [*a]", '"*a" stands inside of what it stands for'),
        ("run: {seed: 0x" + "f" * 300 + "}", "cannot be read as int"),
        ("run: {seed: " + "9" * 5000 + "}", "cannot be read as int"),
        ("run: {seed: " + "1:" * 9000 + "1}", "cannot be read as int"),
        ("run: {seed: 9223372036854775808}", "run.seed: wants a whole number, not 9223372036854775808"),
        ("run: {seed: 1e300}", "run.seed: wants a whole number, not 1.0e+300"),
        ("0x" + "f" * 300 + ": 1", "cannot be read as int"),
        (
            "run: {output: 2001-99-99}",
            'line 1: this is not valid YAML: "2001-99-99" cannot be read as timestamp',
        ),
        ("run: {output: !!timestamp x}", '"x" cannot be read as timestamp'),
        ("run: {output: !!bool maybe}", '"maybe" cannot be read as bool'),
        ("run: {seed: !!int ''}", '"" cannot be read as int'),
        ("run: {seed: !!float .}", '"." cannot be read as float'),
        ("run: !!map [0]", "expected a mapping node, but found sequence"),
        ("run: !!omap [a: 1]", "what stands here cannot be read as omap"),
        ("run: !!set {a, b}", "what stands here cannot be read as set"),
        ("run: !!binary aGk=", '"aGk=" cannot be read as binary'),
        ("run: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("run: {output: a\x00b}", "special characters are not allowed"),
        ('base: "a\\0b"', r"a\x00b: there is no such configuration file; check the path"),
        ("#" * 2**20 + "#", "is larger than 1,048,576 bytes; name a configuration file"),
        ('"\\e[2J\\n": 1', r'unknown setting "\x1b[2J\n"'),
        ("? " + "x" * 200_000 + "\n: 1", 'unknown setting "xxx'),
    ],
)
def test_what_no_recipe_needs_is_refused(tmp_path, text, sentence):
    assert sentence in refusal(write(tmp_path, text))


def test_nesting_up_to_the_limit_is_taken(tmp_path):
    inner = MOST_NESTED - 3
    text = "encoder: {overrides: {a: " + "[" * inner + "]" * inner + "}}"
    value = load_config(write(tmp_path, text)).encoder.overrides["a"]
    for _ in range(inner - 1):
        (value,) = value
    assert value == []


def test_the_command_line_says_it_in_one_sentence(tmp_path, capsys):
    path = write(tmp_path, laughs("merge"))
    assert main(["train", "--config", str(path)]) == 2
    captured = capsys.readouterr().err
    assert captured.startswith(f"textae: error: {path}, line ") and captured.count("\n") == 1
