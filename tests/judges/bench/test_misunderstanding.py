from __future__ import annotations

import pytest

from judges.judging import Corpus, Open, Talk
from turnwise.dialogues.dialogue import Fact, Turn
from turnwise.judges.judge import Exchange, Sitting
from turnwise.judges.verdict import Abstention, Score

FOOD = Turn("user", "We all love thai food.", facts=(Fact("cuisine", "thai"),))
TABLE = Turn("user", "A table for 4 on monday.", facts=(Fact("people", "4"), Fact("day", "monday")))
BOOKING = "The Golden Spoon serves thai dishes near the harbor. Shall I book a table for {} people on {}?"


def _verdict(opened: Sitting, exchange: Exchange) -> Score:
    verdict = opened.decide(exchange)["misunderstanding"]
    assert isinstance(verdict, Score)
    return verdict


def test_the_right_answer_is_none(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("misunderstanding", corpus)
    hungry = ("I would like to eat out.", "Gladly. What kind of food do you feel like?")
    assert _verdict(opened, talk(*hungry, FOOD, "A fine thai kitchen it is. Which part of town would you prefer?")).value == 0


@pytest.mark.parametrize(
    "reply", ["Your table for 3 people is booked, enjoy the food.", "And how many people, and on which day?"]
)
def test_an_answer_to_something_else(reply: str, corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("misunderstanding", corpus)
    first = _verdict(opened, talk("Hello, I would like to eat out with my family.", reply))
    assert first.value > 33
    assert "is expected elsewhere" in first.reason


def test_a_wrong_value_just_stated(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("misunderstanding", corpus)
    asked = ("Near the harbor.", "And how many people will there be, and on which day?")
    wrong = _verdict(opened, talk(*asked, TABLE, BOOKING.format("six", "monday")))
    right = _verdict(opened, talk(*asked, TABLE, BOOKING.format("four", "monday")))
    assert (wrong.value >= 67, right.value) == (True, 0)
    assert wrong.reason == "says people 6, the user just said 4"


def test_a_wrong_value_from_earlier_is_a_matter_of_memory(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("misunderstanding", corpus)
    later = talk(TABLE, "Noted.", "Then book it, thank you.", "Your table for six people is booked, enjoy the thai food.")
    assert "just said" not in _verdict(opened, later).reason


def test_nothing_to_go_by(talk: Talk, sitting: Open) -> None:
    assert isinstance(sitting("misunderstanding").decide(talk("Hello.", "A table."))["misunderstanding"], Abstention)
