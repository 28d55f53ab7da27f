"""Configuration: whatever a recipe or a plan holds, there are settings, or one sentence that names it."""

from pathlib import Path

import pytest
import yaml
from fuzzing import damaged, explore, hard_texts, json_values, refused
from hypothesis import strategies as st

from textae.ablation_plan import read_plan
from textae.settings import load_config, save_config, settings

ROOT = Path(__file__).parents[2]
# A recipe in small, with all that YAML has.
RECIPE = b"""\
data: &data
  documents: [a.txt, 'b/*.txt']
  normalization: {lowercase: true, replacements: {"\\u2014": "-"}}
encoder: {architecture: t5, width: 32, heads: 2, overrides: {init_std: 2e-2, nested: *data}}
reconstructor: {<<: {width: 64, heads: 4}, dropout: 0.1}
warmup:
  steps: 0x20
  learning_rate: !!float 3
adversarial:
  custom_rewards: {own: {function: a.b:c, weight: 1}}
  rewards: {kl: {weight: .05}}
run: {seed: 12, output: "runs/x", trackers: []}
"""
PLAN_TEXT = b"""\
base: recipe.yaml
settings: {warmup.steps: 3}
seeds: [0, 1]
rows:
  full: {what: everything}
  without kl: {settings: {adversarial.rewards.kl.weight: 0}}
audit: {steps: 3}
"""
SCALARS = st.sampled_from(
    [
        *("2001-99-99", "!!timestamp x", "!!bool maybe", "!!int ''", "!!float .", "!!binary é", "=", "<<"),
        *("0b", "1:2:3:4:5:99:9999", "0x" + "f" * 999, "9" * 5000, ".inf", ".nan", "-.inf", "1e400", "~"),
        *("*a", "&a x", "[*a, *a]", "&a [*a]", "{<<: *a}", "!!set {a, b}", "!!omap [a: 1]", "!!str [a]"),
        *("!!map [0]", "!!seq {a: 1}", "!!map x", "!!pairs [a: 1]", "!!null [a]", "!!float {a: 1}"),
        *("? [a]\n: b", "? {a: b}\n: c", "!!python/object/apply:os.system [ls]", "!x y", "|\n a", ">-\n a"),
    ]
)


@pytest.fixture
def loads(tmp_path):
    """The function that tells whether a recipe of these bytes is refused; what is not, comes back saved."""
    path, saved = tmp_path / "recipe.yaml", tmp_path / "saved.yaml"
    (tmp_path / "base.yaml").write_bytes(RECIPE)

    def load():
        config = load_config(path)
        save_config(config, saved)
        # Not the objects: what is no number is not even equal to itself.
        assert repr(load_config(saved)) == repr(config)

    def loads(data):
        path.write_bytes(data)
        return refused(load)

    return loads


def test_recipes_of_any_text(loads):
    lines = st.tuples(st.sampled_from([*settings(), "data", "warmup", "base", "a", "- ", "&a b"]), SCALARS)
    built = st.lists(lines.map(lambda pair: f"{pair[0].rpartition('.')[2]}: {pair[1]}\n"), max_size=4)
    nested = st.lists(SCALARS, max_size=3).map(lambda parts: f"encoder: {{overrides: {{a: {parts}}}}}\n")
    texts = hard_texts(100) | built.map("".join) | nested.map(lambda text: text.replace("'", ""))
    explore("recipes of any text", lambda text: loads(text.encode()), text=texts)


def test_damaged_recipes(loads):
    recipes = [RECIPE, b"base: base.yaml\nwarmup: {steps: 3}\n"]
    recipes += [path.read_bytes() for path in sorted((ROOT / "configs").glob("n*.yaml"))]
    explore("damaged recipes", loads, data=damaged(recipes))


def test_recipes_of_any_values(loads):
    numbers = st.integers() | st.floats() | st.sampled_from([0, 1, 2**31, 2**63, 10**300])
    values = (
        numbers | st.booleans() | hard_texts(8) | st.none() | st.lists(numbers, max_size=2) | json_values(4)
    )
    chosen = st.dictionaries(st.sampled_from(list(settings())), values, max_size=2)

    def write(flat):
        nested = {}
        for name, value in flat.items():
            section = nested
            for part in name.split(".")[:-1]:
                section = section.setdefault(part, {})
            section[name.rpartition(".")[2]] = value
        return yaml.safe_dump(nested, allow_unicode=True).encode()

    explore("recipes of any values", lambda flat: loads(write(flat)), flat=chosen)


def test_words_of_a_command_line():
    names = st.sampled_from(["--warmup.steps", "--data.documents", "--run.seed=3", "--encoder", "--", "3"])
    anything = st.text(max_size=8) | hard_texts(8) | SCALARS
    options = st.tuples(st.sampled_from(list(settings())), anything).map(
        lambda pair: f"--{pair[0]}={pair[1]}"
    )
    words = st.lists(names | anything | options, max_size=3)
    explore("words of a command line", lambda words: refused(lambda: load_config(None, words)), words=words)


def test_damaged_plans(tmp_path):
    path = tmp_path / "plan.yaml"
    (tmp_path / "recipe.yaml").write_bytes(RECIPE)

    def check(data):
        path.write_bytes(data)
        return refused(lambda: read_plan(path))

    explore("damaged plans", check, data=damaged([PLAN_TEXT]))
