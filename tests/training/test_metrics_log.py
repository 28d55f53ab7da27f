"""metrics.jsonl, trackers, progress bar and log."""

import json
import logging
import time

import pytest

from textae.training.metrics import MetricsLog, close_log, logger, set_up_log


class OneProcess:
    """Stands for an Accelerator with trackers."""

    def __init__(self, is_main_process=True):
        self.is_main_process, self.logged = is_main_process, []

    def log(self, values, step):
        self.logged.append((step, values))


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_means_are_written_every_few_steps_to_the_file_and_the_trackers(file):
    accelerator = OneProcess()
    log = MetricsLog(accelerator, file, every=2, total=4, start=0)
    for step, loss in enumerate([1.0, 2.0, 5.0], start=1):
        log.step(step, "warm-up", {"loss/encoder": loss})
    log.step(4, "adversarial", {"loss/encoder": 6.0, "summary/words": 8.0})
    log.close()
    assert lines(file) == [
        {"step": 2, "phase": "warm-up", "loss/encoder": 1.5},
        {"step": 4, "phase": "adversarial", "loss/encoder": 5.5, "summary/words": 8.0},
    ]
    assert accelerator.logged == [
        (2, {"loss/encoder": 1.5}),
        (4, {"loss/encoder": 5.5, "summary/words": 8.0}),
    ]
    assert log.bar.n == 4


def test_the_progress_bar_shows_the_phase_and_short_names(file, capsys):
    log = MetricsLog(OneProcess(), file, every=1, total=2, start=1)
    time.sleep(0.15)  # it is drawn ten times a second at most
    log.step(2, "adversarial", {"policy/kl": 0.125, "gradient_norm/encoder": 9.0})
    log.close()
    shown = capsys.readouterr().err
    assert "adversarial: 100%" in shown and "2/2" in shown and "kl=0.12" in shown
    assert "gradient" not in shown


def test_a_resumed_run_drops_what_it_will_write_again(file):
    kept = [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 0.2}, {"step": 2, "valid/score": 3.0}]
    later = [{"step": 3, "loss": 0.3}]
    text = "".join(json.dumps(line) + "\n" for line in [*kept, *later])
    file.write_text(text + '{"step": 4, "lo', encoding="utf-8")  # cut off by a kill
    MetricsLog(OneProcess(), file, every=1, total=9, start=2).close()
    assert lines(file) == kept
    assert [path.name for path in file.parent.iterdir()] == ["metrics.jsonl"]


def test_values_since_the_last_line_survive_a_checkpoint(file):
    log = MetricsLog(OneProcess(), file, every=3, total=9, start=0)
    log.step(1, "warm-up", {"loss": 0.1})
    log.step(2, "warm-up", {"loss": 0.7})
    state = json.loads(json.dumps(log.state_dict()))
    log.step(3, "warm-up", {"loss": 1 / 3})
    unbroken = lines(file)
    log.close()
    again = MetricsLog(OneProcess(), file, every=3, total=9, start=2)
    assert lines(file) == []
    again.load_state_dict(state)
    again.step(3, "warm-up", {"loss": 1 / 3})
    again.step(4, "warm-up", {"loss": 5.0})
    again.close()
    assert lines(file) == unbroken
    assert again.state_dict() == {"loss": [5.0]}


def test_only_the_main_process_writes(file, capsys):
    accelerator = OneProcess(is_main_process=False)
    log = MetricsLog(accelerator, file, every=1, total=1, start=0)
    log.step(1, "warm-up", {"loss": 1.0})
    log.close()
    assert not file.exists()
    assert accelerator.logged == [(1, {"loss": 1.0})]  # the tracker itself knows who writes
    assert capsys.readouterr().err == ""


def test_the_log_goes_to_a_file_and_the_screen_until_it_is_closed(tmp_path, capsys):
    file = tmp_path / "train.log"
    before = list(logger.handlers)
    set_up_log(file)
    try:
        logging.getLogger("textae.anything").info("fog over %s", "the sea")
        assert not logger.propagate
    finally:
        close_log()
    logger.warning("later")
    assert capsys.readouterr().out == "fog over the sea\n"
    written = file.read_text(encoding="utf-8")
    assert written.endswith("INFO fog over the sea\n") and written.count("\n") == 1
    assert logger.handlers == before and logger.propagate
    close_log()  # nothing left to close


def test_no_bar_is_drawn_before_the_first_step(file, capsys):
    MetricsLog(OneProcess(), file, every=1, total=2, start=0).close()
    assert capsys.readouterr().err == ""
