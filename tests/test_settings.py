"""Settings: from YAML, the command line and dictionaries to a checked configuration, and back."""

import dataclasses
import stat
from pathlib import Path

import pytest
import yaml

from textae.config import CustomRewardConfig, TrainingConfig
from textae.errors import InputError
from textae.settings import (
    config_from_dict,
    config_to_dict,
    describe_settings,
    load_config,
    save_config,
    settings,
)

ROOT = Path(__file__).parent.parent


def write(folder, text, name="recipe.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path=None, *words):
    """Return the sentence with which a recipe is refused."""
    with pytest.raises(InputError) as caught:
        load_config(path, list(words))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_anything_the_defaults_hold():
    assert load_config(None) == TrainingConfig()


def test_yaml_sets_what_it_names_and_leaves_the_rest(tmp_path):
    path = write(
        tmp_path,
        "warmup:\n  steps: 7\n  learning_rate: 1e-3\ndata:\n  documents: [a.txt, 'b/*.txt']\n"
        "  normalization:\n    lowercase: true\nadversarial:\n  rewards:\n    kl:\n      weight: 0\n"
        "tokenizer:\nencoder:\n  overrides: {activation_function: gelu, init_std: 2e-2}\n",
    )
    config = load_config(path)
    expected = TrainingConfig()
    expected.warmup.steps = 7
    expected.warmup.learning_rate = 0.001
    expected.data.documents = ["a.txt", "b/*.txt"]
    expected.data.normalization.lowercase = True
    expected.adversarial.rewards.kl.weight = 0.0
    expected.encoder.overrides = {"activation_function": "gelu", "init_std": 0.02}
    assert config == expected
    assert isinstance(config.adversarial.rewards.kl.weight, float)


def test_an_empty_recipe_is_the_defaults(tmp_path):
    assert load_config(write(tmp_path, "# nothing\n")) == TrainingConfig()


def test_a_recipe_says_only_what_is_not_as_in_its_base(tmp_path):
    write(tmp_path, "warmup: {steps: 7, warmup_steps: 3}\nlength: {summary_words: 8}\n", "first.yaml")
    (tmp_path / "more").mkdir()
    write(
        tmp_path / "more", "base: ../first.yaml\nwarmup: {steps: 9}\ndata: {valid: [a.txt]}\n", "second.yaml"
    )
    config = load_config(write(tmp_path, "base: more/second.yaml\ndata: {valid: []}\n"), ["--run.seed", "4"])
    expected = TrainingConfig()
    expected.warmup.steps, expected.warmup.warmup_steps = 9, 3
    expected.length.summary_words, expected.run.seed = 8, 4
    assert config == expected
    # What is saved stands for itself.
    save_config(config, tmp_path / "elsewhere" / "saved.yaml")
    assert load_config(tmp_path / "elsewhere" / "saved.yaml") == expected


def test_a_base_that_is_missing_wrong_or_the_recipe_itself(tmp_path):
    path = write(tmp_path, "base: other.yaml\n")
    start = f"{path}, base: {tmp_path / 'other.yaml'}: "
    assert refusal(path) == f"{start}there is no such configuration file; check the path"
    write(tmp_path, "warmup: {step: 1}\n", "other.yaml")
    assert refusal(path).startswith(f'{start}unknown setting "warmup.step"')
    write(tmp_path, "base: recipe.yaml\n", "other.yaml")
    assert refusal(path).endswith(f"{path}: this recipe is its own base; name another, or leave base out")
    sentence = refusal(write(tmp_path, "base: [a.yaml]\n"))
    assert sentence.startswith(f"{path}: base is the file name of another recipe, not ")


def test_the_command_line_wins_over_the_recipe(tmp_path):
    path = write(tmp_path, "warmup: {steps: 7, warmup_steps: 3}\n")
    config = load_config(path, ["--warmup.steps", "9"])
    assert (config.warmup.steps, config.warmup.warmup_steps) == (9, 3)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--warmup.steps=12"], "warmup.steps", 12),
        (["--warmup.steps", "1e3"], "warmup.steps", 1000),
        (["--warmup.learning_rate", "3e-4"], "warmup.learning_rate", 0.0003),
        (["--warmup.learning_rate", "1"], "warmup.learning_rate", 1.0),
        (["--warmup.steps", "1", "--warmup.steps", "2"], "warmup.steps", 2),
        (["--data.streaming"], "data.streaming", True),
        (["--encoder.copy_head", "false"], "encoder.copy_head", False),
        (["--data.documents", "a.txt"], "data.documents", ["a.txt"]),
        (["--data.documents", "a.txt,b.txt"], "data.documents", ["a.txt", "b.txt"]),
        (["--data.documents", "a,b.txt", "c.txt"], "data.documents", ["a,b.txt", "c.txt"]),
        (["--data.documents", "[a.txt, 'b, c.txt']"], "data.documents", ["a.txt", "b, c.txt"]),
        (["--data.documents", "-"], "data.documents", ["-"]),
        (["--data.documents", "*.txt"], "data.documents", ["*.txt"]),
        (["--encoder.checkpoint="], "encoder.checkpoint", None),
        (["--data.valid=[]"], "data.valid", []),
        (["--noise.fragment_words", "2,5"], "noise.fragment_words", [2, 5]),
        (["--noise.fragment_words", "2", "5"], "noise.fragment_words", [2, 5]),
        (["--encoder.checkpoint", "null"], "encoder.checkpoint", None),
        (["--encoder.checkpoint", "org/tiny"], "encoder.checkpoint", "org/tiny"),
        (["--run.output", "2026"], "run.output", "2026"),
        (["--encoder.overrides", "{init_std: 1e-2}"], "encoder.overrides", {"init_std": 0.01}),
        (["--adversarial.baseline", "batch_mean"], "adversarial.baseline", "batch_mean"),
    ],
)
def test_overrides(words, name, value):
    found = load_config(None, words)
    for part in name.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_an_unknown_setting_in_the_recipe_names_the_nearest(tmp_path):
    path = write(tmp_path, "warmup:\n  stepz: 3\n")
    assert refusal(path) == f'{path}: unknown setting "warmup.stepz"; did you mean "warmup.steps"?'
    path = write(tmp_path, "adversial:\n  steps: 3\n")
    assert refusal(path) == f'{path}: unknown setting "adversial"; did you mean "adversarial"?'


def test_an_unknown_setting_on_the_command_line_names_the_nearest():
    sentence = refusal(None, "--warmup.stepz", "3")
    assert sentence == 'unknown setting "--warmup.stepz"; did you mean "--warmup.steps"?'
    assert refusal(None, "--zzz.qqqqqqqqqq", "3") == 'unknown setting "--zzz.qqqqqqqqqq"'


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--warmup.steps", "many"], "--warmup.steps: wants a whole number, not many"),
        (["--warmup.steps", "1.5"], "--warmup.steps: wants a whole number, not 1.5"),
        (["--warmup.steps", "true"], "--warmup.steps: wants a whole number, not true"),
        (["--warmup.steps", "1", "2"], "--warmup.steps: wants a whole number, one value, not 2"),
        (["--warmup.steps"], "--warmup.steps: a value is missing; it wants a whole number"),
        (["--encoder.checkpoint"], "--encoder.checkpoint: a value is missing; it wants text or null"),
        (["--warmup.learning_rate", ".inf"], "--warmup.learning_rate: wants a number, not .inf"),
        (["--data.streaming", "maybe"], "--data.streaming: wants true or false, not maybe"),
        (
            ["--encoder.overrides", "{a: 1"],
            "--encoder.overrides: wants a mapping such as {key: value}, not '{a: 1'",
        ),
        (
            ["--encoder.overrides", "{1: a}"],
            "--encoder.overrides: wants a mapping such as {key: value}, not {1: a}",
        ),
        (["--noise.fragment_words", "a,2"], "--noise.fragment_words: wants a whole number, not a"),
        (["--warmup", "3"], '"--warmup" is a section; set one of its fields, such as --warmup.steps'),
        (["steps"], 'unexpected argument "steps"; settings are given as --section.field value'),
        (
            ["--adversarial.baseline", "leave-one-out"],
            "--adversarial.baseline: wants one of leave_one_out, self_critical, batch_mean, "
            'not leave-one-out; did you mean "leave_one_out"?',
        ),
    ],
)
def test_wrong_words_are_refused_with_what_is_wanted(words, sentence):
    assert refusal(None, *words) == sentence


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("warmup: 3\n", "warmup is a section with settings of its own, not 3"),
        ("- warmup\n", 'wants sections with settings, such as "warmup:", not [warmup]'),
        ("run: {output: 2026}\n", "run.output: wants text, not 2026"),
        ("data: {documents: {a: 1}}\n", "data.documents: wants a list of texts, not {a: 1}"),
        ("data: {documents: }\n", "data.documents: wants a list of texts, not null"),
        ("encoder: {checkpoint: 3}\n", "encoder.checkpoint: wants text, not 3"),
        ("warmup: {learning_rate: fast}\n", "warmup.learning_rate: wants a number, not fast"),
        ("warmup: {learning_rate: '2e-3'}\nrun: {seed: x}\n", "run.seed: wants a whole number, not x"),
    ],
)
def test_wrong_values_in_the_recipe_are_refused_with_what_is_wanted(tmp_path, text, ending):
    path = write(tmp_path, text)
    assert refusal(path) == f"{path}: {ending}"


def test_broken_yaml_names_the_line(tmp_path):
    path = write(tmp_path, "warmup:\n  steps: 3\n  learning_rate: [1\nrun: {}\n")
    assert refusal(path).startswith(f"{path}, line 4: this is not valid YAML: ")
    path = write(tmp_path, "warmup:\n  steps: 3\n  steps: 4\n")
    assert refusal(path) == f'{path}, line 3: this is not valid YAML: "steps" is given twice'
    path = write(tmp_path, "warmup: \x07\n")
    assert refusal(path).startswith(f"{path}: this is not valid YAML: ")


def test_files_that_cannot_be_read(tmp_path):
    missing = tmp_path / "none.yaml"
    assert refusal(missing) == f"{missing}: there is no such configuration file; check the path"
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read (Is a directory); check the path"
    binary = tmp_path / "latin.yaml"
    binary.write_bytes(b"run: {output: caf\xe9}\n")
    assert refusal(binary) == f"{binary}: is not UTF-8 (byte 17); save it as UTF-8"


def test_a_recipe_comes_back_as_it_went(tmp_path):
    config = load_config(
        None, ["--run.output", "läufe/1", "--warmup.learning_rate", "1e-5", "--data.valid", "v"]
    )
    path = tmp_path / "new" / "folder" / "settings.yaml"
    save_config(config, path)
    assert load_config(path) == config
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.yaml"]
    assert config_from_dict(config_to_dict(config)) == config
    assert config_from_dict(yaml.safe_load(path.read_text(encoding="utf-8"))) == config


def test_dictionaries_are_checked_too():
    with pytest.raises(
        InputError, match=r'^old\.json: unknown setting "run.sed"; did you mean "run.seed"\?$'
    ):
        config_from_dict({"run": {"sed": 1}}, "old.json")
    with pytest.raises(InputError, match=r"^configuration: run.seed: wants a whole number, not <object"):
        config_from_dict({"run": {"seed": object()}})
    assert config_from_dict({"noise": {"fragment_words": (2, 3)}}).noise.fragment_words == [2, 3]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = write(tmp_path, "", "file") / "settings.yaml"
    with pytest.raises(InputError, match=r"settings\.yaml: cannot be written \(.+\); choose another place"):
        save_config(TrainingConfig(), path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "settings.yaml"
    path.mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save_config(TrainingConfig(), path)
    assert stat.S_ISDIR(path.stat().st_mode)


def test_every_field_is_a_setting_with_a_sentence():
    def leaves(instance, prefix=""):
        for field in dataclasses.fields(instance):
            value = getattr(instance, field.name)
            if dataclasses.is_dataclass(value):
                yield from leaves(value, f"{prefix}{field.name}.")
            else:
                yield f"{prefix}{field.name}"

    table = settings()
    assert list(table) == list(leaves(TrainingConfig()))
    assert [name for name, setting in table.items() if not setting.sentence.endswith((".", "..."))] == []


OWN = """
adversarial:
  custom_rewards:
    brevity: {function: my.rewards:brevity, weight: 2}
    names: {function: "my.rewards:Names.share", normalize: false}
"""


def test_custom_rewards_are_typed_and_come_back_as_they_went(tmp_path):
    config = load_config(write(tmp_path, OWN))
    assert config.adversarial.custom_rewards == {
        "brevity": CustomRewardConfig(2.0, True, "my.rewards:brevity"),
        "names": CustomRewardConfig(1.0, False, "my.rewards:Names.share"),
    }
    assert isinstance(config.adversarial.custom_rewards["brevity"].weight, float)
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config
    assert config_from_dict(config_to_dict(config)) == config


def test_fields_of_custom_rewards_can_be_overridden(tmp_path):
    path = write(tmp_path, OWN)
    words = ["--adversarial.custom_rewards.brevity.weight", "0.5"]
    own = load_config(path, [*words, "--adversarial.custom_rewards.names.normalize"])
    own = own.adversarial.custom_rewards
    assert own["brevity"] == CustomRewardConfig(0.5, True, "my.rewards:brevity")
    assert own["names"].normalize is True
    # The mapping may come on the command line too, behind the field.
    mapping = ["--adversarial.custom_rewards", "{brevity: {function: 'a:b'}}"]
    own = load_config(None, [*words, *mapping]).adversarial.custom_rewards
    assert own == {"brevity": CustomRewardConfig(0.5, True, "a:b")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--adversarial.custom_rewards.brevty.weight", "1"],
            '--adversarial.custom_rewards.brevty.weight: the recipe has no entry "brevty"; '
            'did you mean "brevity"?',
        ),
        (
            ["--adversarial.custom_rewards.brevity.weight", "much"],
            "--adversarial.custom_rewards.brevity.weight: wants a number, not much",
        ),
        (
            ["--adversarial.custom_rewards.brevity.wait", "1"],
            'unknown setting "--adversarial.custom_rewards.brevity.wait"; '
            'did you mean "--adversarial.custom_rewards"?',
        ),
        (
            ["--adversarial.custom_rewards", "{brevity: 3}"],
            "--adversarial.custom_rewards.brevity: wants a mapping with weight, normalize, function, not 3",
        ),
        (
            ["--adversarial.custom_rewards", "{brevity: {function: 'a:b', wait: 3}}"],
            '--adversarial.custom_rewards.brevity: unknown field "wait"; did you mean "weight"?',
        ),
        (
            ["--adversarial.custom_rewards", "{brevity: {function: 'a:b', normalize: 3}}"],
            "--adversarial.custom_rewards.brevity.normalize: wants true or false, not 3",
        ),
    ],
)
def test_wrong_custom_rewards_are_refused(tmp_path, words, sentence):
    assert refusal(write(tmp_path, OWN), *words) == sentence


def test_the_help_explains_every_setting():
    text = describe_settings(100)
    assert max(len(line) for line in text.splitlines()) <= 100
    lines = text.splitlines()
    for name, setting in settings().items():
        (start,) = (number for number, line in enumerate(lines) if line.startswith(f"  --{name} "))
        end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith("      ")), len(lines))
        explained = " ".join(line.strip() for line in lines[start + 1 : end])
        assert explained.startswith(f"{setting.sentence} (default: ")
    assert "  --adversarial.baseline leave_one_out|self_critical|batch_mean\n" in text
    assert "  --encoder.checkpoint TEXT|null\n" in text
    assert "  --noise.fragment_words [INT, ...]\n" in text
    assert "(default: 0.3)" in text


def test_the_help_fits_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    text = describe_settings()
    assert max(len(line) for line in text.splitlines() if not line.startswith("  --")) <= 70


@pytest.mark.parametrize("recipe", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_one_that_training_takes_and_the_table_names_it(recipe):
    assert load_config(recipe, []).run.output.startswith("runs/")
    assert f"`{recipe.name}`" in (ROOT / "configs" / "README.md").read_text(encoding="utf-8")
