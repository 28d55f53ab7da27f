"""A real, tiny run: what it leaves behind, how it starts anew, and how it stops."""

import json
import logging
import shutil

import pytest
import torch

from textae.config import RewardsConfig
from textae.errors import InputError
from textae.models.autoencoder import TextAutoencoder
from textae.settings import load_config
from textae.training.metrics import close_log
from textae.training.run import train
from textae.training.text_code import TextTraining


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def weights(folder):
    return TextAutoencoder.from_pretrained(folder).state_dict()


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


class Scores:
    """An evaluation that says what it is told to, and remembers the models it saw."""

    def __init__(self, *scores):
        self.scores, self.seen, self.pairs = list(scores), [], []

    def __call__(self, model, pairs):
        self.seen.append({name: value.clone() for name, value in model.state_dict().items()})
        self.pairs.append(len(pairs))
        score = self.scores[len(self.seen) - 1]
        return {"score": score, "rouge1": 2 * score}


@pytest.fixture(scope="module")
def scores():
    # After steps 4, 6 (the end of warm-up), 8 and 12: the best one of the adversarial phase is not the last.
    return Scores(1.0, 9.0, 5.0, 3.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_config, scores):
    """A finished run of six steps of warm-up and six adversarial ones."""
    output = tmp_path_factory.mktemp("runs") / "new" / "tiny"
    settings = {"trackers": ["tensorboard"], "keep_checkpoints": 3, "evaluate_documents": 4}
    assert train(make_config(output, run=settings), evaluate=scores) == output
    return output


# What a run leaves ------------------------------------------------------------------------------


def test_a_run_leaves_the_promised_files_and_nothing_temporary(run):
    assert {path.name for path in run.iterdir()} == {
        ".lock",
        "README.md",
        "best",
        "checkpoints",
        "config.json",
        "config.yaml",
        "metrics.jsonl",
        "model.safetensors",
        "run.json",
        "textae",
        "tokenizer",
        "tokenizer.json",
        "tokenizer_config.json",
        "train.log",
        "warm",
    }
    for folder in (run, run / "best", run / "warm"):
        summary, empty = TextAutoencoder.from_pretrained(folder).summarize(["fog stopped the ferry .", ""])
        assert isinstance(summary, str) and empty == ""


def test_the_recipe_is_saved_as_it_was_run(run):
    config = load_config(run / "config.yaml")
    assert config.run.output == str(run)
    assert (config.warmup.steps, config.encoder.width, config.run.keep_checkpoints) == (6, 16, 3)


def test_the_last_checkpoints_are_there(run):
    names = ["step-000008", "step-000010", "step-000012"]
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == names
    files = {path.name for path in (run / "checkpoints" / names[0]).iterdir()}
    weights = {"model.safetensors", "optimizer.safetensors", "random-0.safetensors"}
    assert files == {"manifest.json", "state.json"} | weights


def test_metrics_of_both_phases(run):
    steps = [line for line in lines(run) if "phase" in line]
    assert [line["step"] for line in steps] == list(range(1, 13))
    assert [line["phase"] for line in steps] == ["warm-up"] * 6 + ["adversarial"] * 6
    norms = {f"gradient_norm/{name}" for name in ("encoder", "reconstructor", "discriminator")}
    losses = {"loss/reconstructor", "loss/discriminator", "loss/ending", "loss/language"}
    common = {"step", "phase", "discriminator/accuracy", *losses, *norms}
    rewards = {
        f"reward/{name}{end}" for name in RewardsConfig.__dataclass_fields__ for end in ("", "_weighted")
    }
    summary = {"words", "unfinished", "length_error", "copied", "repetitive"}
    for line in steps[:6]:
        assert set(line) == common | {"loss/encoder"}
    for line in steps[6:]:
        assert set(line) == common | rewards | {"loss/policy", "policy/entropy", "policy/kl"} | {
            f"summary/{name}" for name in summary
        }
    assert steps[6]["gradient_norm/encoder"] == 0.0  # discriminator_first_steps is 1
    assert steps[7]["gradient_norm/encoder"] > 0.0
    assert steps[-1]["policy/kl"] != 0.0


def test_valid_scores_are_written_at_their_steps_at_the_end_of_warm_up_and_at_the_end(run, scores):
    valid = [line for line in lines(run) if "phase" not in line]
    assert valid == [
        {"step": 4, "valid/score": 1.0, "valid/rouge1": 2.0},
        {"step": 6, "valid/score": 9.0, "valid/rouge1": 18.0},
        {"step": 8, "valid/score": 5.0, "valid/rouge1": 10.0},
        {"step": 12, "valid/score": 3.0, "valid/rouge1": 6.0},
    ]
    assert scores.pairs == [3] * 4  # every second of six is at most four


def test_the_result_is_the_best_model_of_the_adversarial_phase(run, scores):
    _, warm, best, last = scores.seen
    assert not same(best, last)
    assert same(weights(run / "warm"), warm)
    assert same(weights(run / "best"), best)
    assert same(weights(run), best)


def test_the_optimizer_forgets_the_warm_up(run):
    from safetensors.torch import load_file

    tensors = load_file(str(run / "checkpoints" / "step-000008" / "optimizer.safetensors"))
    counts = {value.item() for name, value in tensors.items() if name.endswith(".step")}
    assert counts == {2.0}


def test_the_log_shows_documents_with_summary_and_reconstruction(run):
    log = (run / "train.log").read_text(encoding="utf-8")
    assert "processes: 1, device:" in log
    assert "reconstructor: " in log and "parameters" in log
    for step in (6, 12):
        assert log.count(f"INFO step {step}\n  document: ") == 3
    assert log.count("\n  summary:  ") == log.count("\n  reconstruction: ") == 6
    assert "step 8, valid: score 5.00, rouge1 10.00" in log


def test_signs_of_collapse_are_logged(run):
    log = (run / "train.log").read_text(encoding="utf-8")
    # An untrained encoder hardly ever ends a summary by itself.
    assert "WARNING step 9, sign of collapse: length at its bound" in log
    assert "step 8, sign of collapse" not in log  # the window is three steps


def test_the_tracker_got_the_metrics(run):
    (events,) = (run / "textae").glob("events.out.tfevents.*")
    content = events.read_bytes()
    assert b"loss/reconstructor" in content and b"valid/score" in content


def test_the_log_is_given_back(run):
    logger = logging.getLogger("textae")
    assert logger.propagate
    assert not any(isinstance(handler, logging.FileHandler) for handler in logger.handlers)


# Other runs -------------------------------------------------------------------------------------


def test_a_fresh_run_over_an_old_folder_starts_anew(run, tmp_path, make_config):
    output = tmp_path / "again"
    shutil.copytree(run, output)
    config = make_config(
        output,
        warmup={"steps": 2},
        adversarial={"steps": 0},
        data={"valid": []},
        tokenizer={"vocabulary_size": 320},
    )
    train(config)
    assert [line["step"] for line in lines(output)] == [1, 2]
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["step-000002"]
    assert not (output / "best").exists()
    # The result is the last model, with a vocabulary of its own, and no earlier best one.
    model = TextAutoencoder.from_pretrained(output)
    assert len(model.vocabulary) == 320
    assert same(weights(output), weights(output / "warm"))


def test_a_fresh_run_does_not_take_the_best_of_one_that_had_no_checkpoint_yet(run, tmp_path, make_config):
    output = tmp_path / "again"
    shutil.copytree(run, output)
    shutil.rmtree(output / "checkpoints")
    train(make_config(output, warmup={"steps": 1}, adversarial={"steps": 0}, data={"valid": []}))
    assert not (output / "best").exists()


def test_a_folder_that_is_no_run_keeps_what_it_has(tmp_path, make_config):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError):
        train(make_config(tmp_path, data={"documents": [str(tmp_path / "missing.txt")]}))
    assert (tmp_path / "best" / "mine.txt").exists()


def test_without_an_adversarial_phase_the_best_warm_model_is_the_result(tmp_path, make_config):
    scores = Scores(2.0, 1.0)
    config = make_config(
        tmp_path / "run", warmup={"steps": 2}, adversarial={"steps": 0}, run={"evaluate_every": 1}
    )
    folder = train(config, evaluate=scores)
    assert same(weights(folder), scores.seen[0])
    assert same(weights(folder / "warm"), scores.seen[1])


def test_no_step_at_all_gives_the_untrained_model(tmp_path, make_config):
    folder = train(make_config(tmp_path / "run", warmup={"steps": 0}, adversarial={"steps": 0}))
    assert lines(folder) == []
    assert TextAutoencoder.from_pretrained(folder).summarize([""]) == [""]


def test_samples_come_from_the_documents_where_there_are_no_valid_pairs(tmp_path, make_config):
    config = make_config(
        tmp_path,
        data={"valid": []},
        warmup={"steps": 1},
        adversarial={"steps": 0},
        run={"sample_every": 1, "sample_documents": 2},
    )
    log = (train(config) / "train.log").read_text(encoding="utf-8")
    assert log.count("\n  document: ") == 2


def test_nothing_is_shown_where_no_samples_are_wanted(tmp_path, make_config):
    config = make_config(
        tmp_path,
        warmup={"steps": 1},
        adversarial={"steps": 0},
        run={"sample_every": 1, "sample_documents": 0},
    )
    assert "document:" not in (train(config) / "train.log").read_text(encoding="utf-8")


def test_a_given_tokenizer_is_taken(run, tmp_path, make_config):
    config = make_config(
        tmp_path, tokenizer={"path": str(run)}, warmup={"steps": 0}, adversarial={"steps": 0}
    )
    assert len(TextAutoencoder.from_pretrained(train(config)).vocabulary) == 400


def test_a_loss_that_is_not_finite_stops_the_run_and_gives_the_log_back(tmp_path, make_config):
    warmup = {"steps": 6, "learning_rate": 1e30, "warmup_steps": 0}
    config = make_config(tmp_path, warmup=warmup, optimizer={"most_skipped_steps": 2})
    with pytest.raises(
        InputError,
        match=r"broke down at step [34] \(.*loss/encoder.* are not finite, 2 steps in a row\); lower",
    ) as error:
        train(config)
    assert "\n" not in str(error.value)
    logger = logging.getLogger("textae")
    assert logger.propagate
    assert not any(isinstance(handler, logging.FileHandler) for handler in logger.handlers)


def test_more_than_one_process_reads_only_its_own_rows(tmp_path, make_config, monkeypatch):
    """The rows of all processes are all rows; where there are too few, no process is left without one."""
    config = make_config(tmp_path, warmup={"steps": 1}, adversarial={"steps": 0})
    training = TextTraining(config, None, None)
    training.streams.open("warm-up")
    seen = []

    def make(step, rows, documents, human, device, paired):
        seen.append((list(rows), len(documents)))
        raise StopIteration

    monkeypatch.setattr(training.warmup, "make", make)
    for processes in (1, 2, 3, 5):
        for index in range(processes):
            state = type("State", (), {"num_processes": processes, "process_index": index, "device": "cpu"})
            monkeypatch.setattr(training, "accelerator", state)
            with pytest.raises(StopIteration):
                training.train_step()
    rows = [rows for rows, count in seen if count == 4]
    assert len(rows) == len(seen)
    assert rows[0] == [0, 1, 2, 3]
    assert rows[1:3] == [[0, 1], [2, 3]]
    assert rows[3:6] == [[0], [1], [2, 3]]
    assert rows[6:] == [[0], [0], [1], [2], [3]]
    close_log()


def test_an_output_that_cannot_be_made_is_told(tmp_path, make_config):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match=r"file/run: this folder cannot be written \(.*\); set run.output"):
        train(make_config(tmp_path / "file" / "run"))
