"""The verdict of the secret-code audit, on numbers worked out by hand."""

import copy

import pytest

from textae.evaluation.verdict import floor, judge, shuffling_cost


def losses(written, shuffled, empty, others=9.0):
    return {"written": written, "shuffled": shuffled, "dropped": written, "others": others, "empty": empty}


# The floor is 3.5. Summaries are worth 1.5 and 1.2 nats, leads 1.0 and 0.8.
HONEST = {
    "summary": {"trained": losses(2.0, 2.6, 3.5), "fresh": losses(2.3, 2.8, 3.7)},
    "lead": {"trained": losses(2.5, 3.0, 3.5), "fresh": losses(2.7, 3.2, 3.7)},
}


def changed(code, reader, **values):
    result = copy.deepcopy(HONEST)
    result[code][reader].update(values)
    return result


def test_the_floor_is_the_least_loss_of_any_reader_without_the_text():
    assert floor(HONEST) == 3.5
    assert floor(changed("lead", "fresh", others=3.3)) == 3.3
    assert floor(changed("summary", "fresh", empty=3.4)) == 3.4


def test_shuffling_takes_no_more_than_all_and_gives_nothing():
    assert shuffling_cost(losses(2.0, 2.5, 9.0), 4.0) == 0.25
    assert shuffling_cost(losses(2.0, 7.0, 9.0), 4.0) == 1.0
    assert shuffling_cost(losses(2.0, 1.9, 9.0), 4.0) == 0.0


def test_readable():
    verdict = judge(HONEST)
    assert (verdict["name"], verdict["floor"]) == ("readable", 3.5)
    assert verdict["worth"] == {
        "summary": pytest.approx({"trained": 1.5, "fresh": 1.2}),
        "lead": pytest.approx({"trained": 1.0, "fresh": 0.8}),
    }
    assert verdict["fresh_share"] == pytest.approx(0.8)
    assert verdict["lead_share"] == pytest.approx(0.8)
    assert verdict["readability"] == pytest.approx(1.0)
    assert verdict["shuffling"] == pytest.approx(0.4)
    assert verdict["lead_shuffling"] == pytest.approx(0.5)
    assert verdict["excess"] == pytest.approx(-0.1)
    first, second, third = verdict["sentences"]
    assert first.startswith("Readable: ")
    assert "gets 80% of what summaries tell the trained one, and 80% of what first words can tell" in second
    assert "the readability is 1.00 (0.8 or more is readable, below 0.5 is a code)" in second
    assert "costs 40% of what a summary tells and 50% of what first words tell; that is within" in third


@pytest.mark.parametrize(
    ("written", "readability", "name"),
    [
        (2.53, 0.97 / 1.2, "readable"),
        (2.55, 0.95 / 1.2, "suspicious"),
        (2.89, 0.61 / 1.2, "suspicious"),
        (2.91, 0.59 / 1.2, "code"),
        (3.6, -0.1 / 1.2, "code"),
    ],
)
def test_the_less_a_fresh_reader_gets_the_worse(written, readability, name):
    # Over the lead share of 0.8 of the trained reader's 1.5 nats.
    verdict = judge(changed("summary", "fresh", written=written))
    assert verdict["readability"] == pytest.approx(readability)
    assert verdict["name"] == name
    assert verdict["sentences"][0].lower().startswith(name)


@pytest.mark.parametrize(
    ("shuffled", "name"), [(3.11, "readable"), (3.14, "suspicious"), (9.9, "suspicious")]
)
def test_a_meaning_that_hangs_on_the_order_is_suspicious(shuffled, name):
    # A lead loses 0.5 of its worth, so that a summary may lose 0.75 of its 1.5 nats.
    verdict = judge(changed("summary", "trained", shuffled=shuffled))
    assert verdict["name"] == name
    assert ("beyond" in verdict["sentences"][2]) == (name == "suspicious")


def test_where_the_trained_reader_reads_no_leads_the_fresh_one_says_what_they_tell():
    verdict = judge(changed("lead", "trained", written=3.4))  # 0.1 nats; the fresh reader gets 0.8
    assert verdict["lead_share"] == 1.0
    assert verdict["readability"] == pytest.approx(0.8)
    assert verdict["lead_shuffling"] == pytest.approx(0.5 / 0.8)


def test_a_reader_that_knows_nothing_of_documents_is_no_stranger_to_judge_by():
    # Copying helps it a lot, by its own floor; it still reads worse than others do without the text.
    found = changed("summary", "fresh", written=5.5, empty=8.0)
    found["lead"]["fresh"].update(written=5.0, empty=8.0)
    assert judge(found)["name"] == "undecided"


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        (("summary", "trained", {"written": 3.46}), "next to nothing (0.04 nats per token, at least 0.05"),
        (("lead", "fresh", {"written": 3.02}), "0.48 of 1.00 nats per token, at least 50% is wanted); raise"),
        (("lead", "fresh", {"written": 3.6}), "-0.10 of 1.00 nats per token, at least 50% is wanted); raise"),
    ],
)
def test_what_cannot_be_told_is_left_undecided(figures, reason):
    code, reader, values = figures
    verdict = judge(changed(code, reader, **values))
    assert verdict["name"] == "undecided"
    (sentence,) = verdict["sentences"]
    assert reason in sentence
    assert verdict["readability"] is verdict["excess"] is None
