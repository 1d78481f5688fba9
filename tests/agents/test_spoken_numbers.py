"""Numbers and times as people say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.agents.cues import plain_words
from turnwise.agents.spoken_numbers import number_at, say_number, say_time, time_at


@given(st.integers(1, 99))
def test_a_number_said_is_the_number_read(number: int) -> None:
    words = say_number(number).split()
    assert number_at(words, 0) == (number, len(words))


@given(st.integers(1, 12), st.sampled_from([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]))
def test_a_time_said_is_the_time_read(hour: int, minute: int) -> None:
    time = f"{hour}:{minute:02d}"
    assert time_at(plain_words(say_time(time)), 0)[0] == time


@pytest.mark.parametrize(
    ("said", "place", "time"),
    [
        ("half past seven", 0, "7:30"),
        ("half passed seven", 0, "7:30"),  # as recognisers hear it
        ("quarter past six", 0, "6:15"),
        ("quarter to one", 0, "12:45"),
        ("quarter to eight", 0, "7:45"),
        ("noon", 0, "12:00"),
        ("eight in the evening", 0, "8:00"),
        ("nine tonight", 0, "9:00"),
        ("at seven", 1, "7:00"),
        ("seven o'clock", 0, "7:00"),
        ("7:05", 0, "7:05"),
        ("ten p m", 0, "10:00"),
    ],
)
def test_ways_to_say_a_time(said: str, place: int, time: str) -> None:
    assert time_at(plain_words(said), place)[0] == time


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("for four people", 1),
        ("at five dollars", 1),
        ("seven", 0),
        ("thirteen thirty", 0),
        ("two twenty dollars", 0),
        ("half to six", 0),
    ],
)
def test_numbers_that_are_no_time(said: str, place: int) -> None:
    assert time_at(plain_words(said), place) == ("", 0)


def test_nothing_is_no_number() -> None:
    assert number_at((), 0) == (0, 0)
    assert number_at(("people",), 0) == (0, 0)
    assert number_at(("both", "of", "us"), 0) == (2, 1)
