from __future__ import annotations

import pytest

from turnwise.judges.surfaces import replaced, spelled
from turnwise.judges.values import family, index, mentions, value_key
from turnwise.judges.wording import tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("next Monday", "monday"),
        ("half past 11 in the morning", "11:30"),
        ("2019-03-02", "the second"),
        ("2", "two people"),
        ("19:30", "7:30 pm"),
        ("The Old Town", "old town"),
    ],
)
def test_the_same_value_in_other_words(one: str, other: str) -> None:
    assert value_key(one) == value_key(other)


@pytest.mark.parametrize("nothing", ["", "True", "False", "dontcare", "?"])
def test_annotations_that_nobody_says(nothing: str) -> None:
    assert value_key(nothing) == ()


def test_families() -> None:
    assert [family(value_key(v)) for v in ("2019-03-02", "7:30", "italian", "old town")] == ["date", "number", "word", "word"]


def test_mentions_are_found_longest_first() -> None:
    vocabulary = index([("new", "york"), ("york",), ("san", "jose"), ("7",)])
    found = mentions(tokens("From New York to San Jose at seven, not York"), vocabulary)
    assert [m.key for m in found] == [("new", "york"), ("san", "jose"), ("7",), ("york",)]
    assert [tokens("From New York to San Jose at seven, not York")[m.start : m.end] for m in found] == [m.key for m in found]


@pytest.mark.parametrize(
    ("text", "value", "other", "expected"),
    [
        ("Four seats for Saturday.", "saturday", "monday", "monday"),
        ("It starts at six thirty.", "6:30", "8:15", "eight fifteen"),
        ("At 6:30 pm then.", "18:30", "20:00", "8 pm"),
        ("On March 2nd.", "2019-03-02", "2019-03-11", "March 11th"),
        ("A table for four.", "4", "6", "six"),
    ],
)
def test_a_value_is_replaced_in_its_own_form(text: str, value: str, other: str, expected: str) -> None:
    changed = replaced(text, value, other)
    assert changed is not None
    assert expected in changed
    assert value_key(other)[-1] in tokens(changed)


def test_nothing_is_replaced_where_nothing_is_named() -> None:
    assert replaced("Sounds good.", "boston", "denver") is None
    assert replaced("Bostonians", "boston", "denver") is None
    assert replaced("At 4:30.", "4", "5") is None


def test_forms_of_a_kind_come_in_one_order() -> None:
    assert len(spelled("6:30")) == len(spelled("7:00"))
    assert len(spelled("2019-03-02")) == len(spelled("2019-12-24"))
    assert spelled("boston") == ("boston",)
