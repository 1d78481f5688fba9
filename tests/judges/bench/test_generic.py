from __future__ import annotations

import pytest

from judges.judging import Corpus, Open, Talk
from turnwise.dialogues.dialogue import Fact, Turn
from turnwise.judges.judge import Exchange, Sitting
from turnwise.judges.verdict import Score

SPECIFIC = Turn(
    "user", "They arrive on Saturday, and we adore Italian food.", facts=(Fact("day", "saturday"), Fact("cuisine", "italian"))
)


def _severity(opened: Sitting, exchange: Exchange) -> float:
    verdict = opened.decide(exchange)["generic"]
    assert isinstance(verdict, Score)
    return verdict.value


@pytest.mark.parametrize(
    "reply", ["Okay.", "That is great to hear.", "Sure, how can I help?", "Good point, tell me more about it."]
)
def test_stock_phrases_after_a_specific_turn(reply: str, demo: Corpus, talk: Talk, sitting: Open) -> None:
    assert _severity(sitting("generic", demo), talk(SPECIFIC, reply)) > 33


@pytest.mark.parametrize(
    "reply",
    [
        "Saturday and Italian, noted.",
        "The Olive Cradle bakes a fine focaccia.",
        "Which part of town would be easiest for everyone?",
        "How many people will there be?",
    ],
)
def test_specific_replies(reply: str, demo: Corpus, talk: Talk, sitting: Open) -> None:
    assert _severity(sitting("generic", demo), talk(SPECIFIC, reply)) <= 33


@pytest.mark.parametrize("thanks", ["Thank you, goodbye.", "No, that is all.", "Great, thanks."])
def test_a_stock_phrase_answers_a_stock_phrase(thanks: str, demo: Corpus, talk: Talk, sitting: Open) -> None:
    assert _severity(sitting("generic", demo), talk(thanks, "You're welcome, have a nice day!")) == 0


def test_taking_up_the_users_words_makes_it_less_generic(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("generic", demo)
    values = [_severity(opened, talk(SPECIFIC, r)) for r in ("Good.", "Good, Saturday.", "Good, Italian on Saturday.")]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_the_reason_says_what_was_ignored_or_said(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("generic", demo)
    ignored = opened.decide(talk(SPECIFIC, "Okay."))["generic"]
    said = opened.decide(talk(SPECIFIC, "Fresh focaccia at the Olive Cradle."))["generic"]
    assert isinstance(ignored, Score)
    assert isinstance(said, Score)
    assert "they arrive on saturday" in ignored.reason
    assert "focaccia" in said.reason
