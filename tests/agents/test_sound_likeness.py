"""How alike phrases sound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.agents.likeness import likeness, sounds

WORDS = st.text("abcdefghiklmnoprstuvwyz", min_size=1, max_size=12)


@given(WORDS, WORDS)
def test_likeness_is_a_symmetric_share(one: str, other: str) -> None:
    assert 0.0 <= likeness(one, other) <= 1.0
    assert likeness(one, other) == pytest.approx(likeness(other, one))


@given(WORDS)
def test_a_phrase_sounds_like_itself(word: str) -> None:
    assert likeness(word, word) == (1.0 if sounds(word) else 0.0)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("sat or day", "saturday"),
        ("fried day", "friday"),
        ("boss ton", "boston"),
        ("i tell yen", "italian"),
        ("see at all", "seattle"),
    ],
)
def test_confusions_of_recognisers_are_near(heard: str, meant: str) -> None:
    assert likeness(heard, meant) > 0.85


@pytest.mark.parametrize(("one", "other"), [("sushi", "pasta"), ("friday", "monday"), ("jazz", "folk"), ("tuesday", "thursday")])
def test_different_values_are_apart(one: str, other: str) -> None:
    assert likeness(one, other) < 0.84


def test_spelling_is_heard_through() -> None:
    assert sounds("knight") == sounds("nite")
    assert sounds("phone") == sounds("fone")
    assert likeness("", "anything") == 0.0
