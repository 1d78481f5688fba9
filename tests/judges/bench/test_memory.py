from __future__ import annotations

import pytest

from judges.judging import Corpus, Open, Talk
from turnwise.dialogues.dialogue import Fact, Turn
from turnwise.judges.judge import Exchange, Sitting
from turnwise.judges.mishearing import Mishearing
from turnwise.judges.verdict import Abstention, Score

FOOD = Turn("user", "We all love thai food.", facts=(Fact("cuisine", "thai"),))
MORE = Turn("user", "Make it greek instead.", facts=(Fact("cuisine", "greek"),))
TABLE = Turn("user", "A table for 4 on monday.", facts=(Fact("people", "4"), Fact("day", "monday")))
PROBE = Turn("user", "Remind me, what food did I ask for?", asks=("cuisine",))


def _verdict(opened: Sitting, exchange: Exchange) -> Score:
    verdict = opened.decide(exchange)["memory"]
    assert isinstance(verdict, Score)
    return verdict


def test_asking_again_is_severe_and_named(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    verdict = _verdict(sitting("memory", corpus), talk(FOOD, "Noted.", "And then?", "What kind of food do you feel like?"))
    assert verdict.value >= 67
    assert verdict.reason == "asks for cuisine, which was thai in turn 1"


def test_asking_for_what_is_missing_is_none(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    assert (
        _verdict(sitting("memory", corpus), talk(FOOD, "Noted.", "And then?", "Which part of town would you prefer?")).value == 0
    )


def test_asking_for_what_was_said_in_this_turn_is_not_forgetting(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("memory", corpus)
    assert _verdict(opened, talk(TABLE, "Noted.", FOOD, "What kind of food do you feel like?")).value == 0


def test_a_contradiction_is_named(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    verdict = _verdict(sitting("memory", corpus), talk(TABLE, "Noted.", "Book it.", "Your table for six people is booked."))
    assert verdict.value >= 67
    assert verdict.reason == "says people 6, the user said 4"


def test_the_value_in_force_is_no_contradiction(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("memory", corpus)
    assert _verdict(opened, talk(TABLE, "Noted.", "Book it.", "Your table for four people is booked.")).value == 0


def test_later_facts_replace_earlier_ones(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("memory", corpus)
    said = (FOOD, "Noted.", MORE, "Gladly.", "Book it.")
    assert _verdict(opened, talk(*said, "Enjoy the greek food.")).value == 0
    assert _verdict(opened, talk(*said, "Your table for 2 people is booked, enjoy the thai food.")).value > 33


@pytest.mark.parametrize(("reply", "severe"), [("You asked for thai food.", False), ("I really could not say.", True)])
def test_telling_what_was_stated(reply: str, severe: bool, corpus: Corpus, talk: Talk, sitting: Open) -> None:
    verdict = _verdict(sitting("memory", corpus), talk(FOOD, "Noted.", PROBE, reply))
    assert (verdict.value >= 67) is severe
    assert ("does not tell cuisine: thai" in verdict.reason) is severe


def test_the_words_in_which_it_was_stated_will_do(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    curry = Turn("user", "Most of them never had a proper curry.", facts=(Fact("cuisine", "indian"),))
    assert _verdict(sitting("memory", corpus), talk(curry, "Noted.", PROBE, "A curry, you said.")).value == 0


def test_telling_a_part_is_milder_than_telling_nothing(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("memory", corpus)
    probe = Turn("user", "How many did I say, and which day?", asks=("people", "day"))
    told = [_verdict(opened, talk(TABLE, "Ok.", probe, reply)).value for reply in ("Four on Monday.", "On Monday.", "No idea.")]
    assert told == sorted(told)
    assert len(set(told)) == 3


def test_a_misheard_question_is_still_asking_again(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("memory", corpus)
    hear = Mishearing((t.text for d in corpus for t in d.turns), 0.12).heard
    question = "And how many people will there be, and on which day?"
    found = [_verdict(opened, talk(TABLE, "Noted.", "Go on.", hear(question, seed))).value > 33 for seed in range(20)]
    assert sum(found) >= 15


def test_nothing_stated_is_nothing_forgotten(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("memory", corpus)
    assert isinstance(opened.decide(talk(FOOD, "What kind of food do you feel like?"))["memory"], Abstention)
    assert isinstance(opened.decide(talk("Hello.", "Hello.", "So?", "Where to?"))["memory"], Abstention)
