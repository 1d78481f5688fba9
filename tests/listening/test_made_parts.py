"""Listeners and describers of others that are not what they should be: a sentence with their name, before the first file."""

from __future__ import annotations

from pathlib import Path

import pytest

from listening_double import LISTENER, record
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.listening.ears import Choice, Ears, Hearing
from turnwise.listening.session import Listening

OWN = '''"""Listeners and describers that lack something."""

import sys
from types import SimpleNamespace

from turnwise.foundation.errors import MissingDependency


def nothing():
    pass


def no_longest():
    return SimpleNamespace(open=lambda: None, identity=lambda: {})


def endless_words():
    return SimpleNamespace(open=lambda: None, longest="long")


def no_open():
    return SimpleNamespace(longest=9.0)


def no_reach():
    return SimpleNamespace(longest=9.0, listens=False, place="driver", open=lambda: None)


def raises():
    raise KeyError("weights")


def leaves():
    sys.exit(4)


def no_listens():
    return SimpleNamespace(open=lambda: None)


def opens_badly():
    def open():
        return None.weights

    return SimpleNamespace(longest=9.0, listens=False, open=open)


def lacks_a_package():
    raise MissingDependency("ears", "pip install ears")


not_to_be_called = 7
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "its factory returns nothing"),
        ("no_longest", "it has no 'longest'"),
        ("endless_words", "its longest is 'long', expected seconds"),
        ("no_open", "it has no 'open'"),
        ("no_reach", "it has no 'reach'"),
        ("raises", r"KeyError: 'weights' \(in odd_parts.py, line \d+\)"),
        ("leaves", "SystemExit: 4"),
        ("not_to_be_called", "TypeError: 7 is not a callable object"),
    ],
)
def test_a_listener_that_is_none_is_named(name: str, said: str) -> None:
    with pytest.raises(InputError, match=f"the listener 'odd_parts:{name}' cannot be used: {said}"):
        Listening(Hearing(Choice(f"odd_parts:{name}")))


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing", "its factory returns nothing"), ("no_listens", "it has no 'listens'"), ("no_reach", "it has no 'reach'")],
)
def test_a_describer_that_is_none_is_named(name: str, said: str) -> None:
    with pytest.raises(InputError, match=f"the describer 'odd_parts:{name}' cannot be used: {said}"):
        Listening(Hearing(Choice(LISTENER), Choice(f"odd_parts:{name}")))


def test_what_fails_when_it_is_opened_is_named_too() -> None:
    with pytest.raises(InputError, match=r"the listener 'odd_parts:opens_badly' cannot be used: AttributeError: .*weights"):
        Ears(Hearing(Choice("odd_parts:opens_badly")))
    with pytest.raises(InputError, match=r"the describer 'odd_parts:opens_badly' cannot be used: AttributeError: .*weights"):
        Ears(Hearing(Choice(LISTENER), Choice("odd_parts:opens_badly")))


def test_what_says_itself_what_is_wrong_is_left_as_it_is() -> None:
    with pytest.raises(MissingDependency, match="ears is not installed"):
        Listening(Hearing(Choice("odd_parts:lacks_a_package")))


def test_a_part_as_it_should_be_is_taken(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", (3, 3, 3, 3, 3))
    session = Listening(Hearing(Choice(LISTENER), Choice("template")))
    assert session.made_by.startswith("b2:")
