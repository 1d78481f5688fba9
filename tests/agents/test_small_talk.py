"""Small talk picks up what was said."""

import pytest

from turnwise.agents.phrasebook import Chooser
from turnwise.agents.small_talk import small_talk, talk, topic


@pytest.mark.parametrize(
    ("text", "name", "thing"),
    [
        ("My little brother says I work too much.", "family", "your little brother"),
        ("It has been raining since dawn.", "weather", ""),
        ("I'm sitting in my mother's attic.", "home", "your mother's attic"),
        ("The dog ate our puzzle.", "puzzle", "your puzzle"),
        ("Nothing of note.", None, ""),
    ],
)
def test_topic_and_thing(text: str, name: str | None, thing: str) -> None:
    assert topic(text) == (name, thing)


def test_the_answer_takes_up_the_topic() -> None:
    for seed in range(20):
        said = " ".join(small_talk("My little brother fell off a chair.", ("Hi",), Chooser(seed, ()), ""))
        assert "your little brother" in said


def test_mood_and_values_are_heard() -> None:
    sad = talk()["moods"]["sad"]["openers"]
    assert small_talk("My flight was canceled.", ("x",), Chooser(1, ()), "")[0] in sad
    said = " ".join(small_talk("We meet on Friday.", ("x",), Chooser(1, ()), "Friday"))
    assert "Friday" in said


def test_greetings_only_open() -> None:
    greetings = talk()["plain"]["greetings"]
    assert small_talk("Hello, my sister called.", (), Chooser(3, ()), "")[0] in greetings
    assert small_talk("Hello, my sister called.", ("x",), Chooser(3, ()), "")[0] not in greetings


def test_later_the_agent_offers_its_services() -> None:
    leads = talk()["plain"]["leads"]
    assert small_talk("My sister called.", ("a", "b"), Chooser(3, ()), "")[-1] in leads
    assert small_talk("My sister called.", (), Chooser(3, ()), "")[-1] not in leads
