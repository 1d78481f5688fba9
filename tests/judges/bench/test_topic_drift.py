from __future__ import annotations

from judges.judging import Corpus, Open, Talk
from turnwise.judges.judge import Exchange, Sitting
from turnwise.judges.verdict import Abstention, Score


def _severity(opened: Sitting, exchange: Exchange) -> float:
    verdict = opened.decide(exchange)["topic_drift"]
    assert isinstance(verdict, Score)
    return verdict.value


FLIGHT = "Meadow Air has an economy seat and your boarding pass."
MEAL = "The Golden Spoon serves italian dishes near the harbor."


def test_another_subject_is_a_drift(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("topic_drift", corpus)
    assert _severity(opened, talk("We all love italian food.", FLIGHT)) > 33
    assert _severity(opened, talk("I am flying to boston.", MEAL, intent="SearchOnewayFlight")) > 33


def test_the_own_subject_is_none(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("topic_drift", corpus)
    assert _severity(opened, talk("We all love italian food.", MEAL)) == 0
    assert _severity(opened, talk("I am flying to boston.", FLIGHT, intent="SearchOnewayFlight")) == 0


def test_what_the_user_brings_up_is_no_drift(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("topic_drift", corpus)
    chat = talk("I lost my economy seat and the boarding pass on Meadow Air.", FLIGHT)
    assert _severity(opened, chat) < _severity(opened, talk("We all love italian food.", FLIGHT))
    assert _severity(opened, chat) <= 33


def test_a_question_for_a_slot_of_the_intent_is_no_drift(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    assert _severity(sitting("topic_drift", corpus), talk("We love thai food.", "Which day would you like to travel?")) <= 33


def test_courtesies_belong_everywhere(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    assert _severity(sitting("topic_drift", corpus), talk("We all love italian food.", "Thank you, good morning!")) == 0


def test_the_reason_names_the_words_and_the_other_intent(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    verdict = sitting("topic_drift", corpus).decide(talk("We all love italian food.", FLIGHT))["topic_drift"]
    assert isinstance(verdict, Score)
    assert "economy" in verdict.reason
    assert "SearchOnewayFlight" in verdict.reason


def test_one_intent_gives_nothing_to_tell_from(corpus: Corpus, talk: Talk, sitting: Open) -> None:
    assert isinstance(sitting("topic_drift", corpus[:10]).decide(talk("Hello.", FLIGHT))["topic_drift"], Abstention)
