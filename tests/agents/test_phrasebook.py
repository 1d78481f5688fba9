"""How things are put."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.agents.domains import KNOWLEDGE, load_domains, read_toml
from turnwise.agents.phrasebook import Chooser, read_phrasebook
from turnwise.speech.spoken_words import spoken_words

BOOK = read_phrasebook()
DOMAINS = load_domains()


def test_values_in_words() -> None:
    table = DOMAINS.intent("FindRestaurants")
    assert BOOK.value(table, "time", "7:30") == "seven thirty"
    assert BOOK.value(table, "people", "1") == "one person"
    assert BOOK.within(table, "day", "friday") == "on Friday"
    assert BOOK.within(table, "day", "today") == "today"
    assert BOOK.within(table, "area", "old town") == "in the old town"
    assert BOOK.listed(table, {"day": "friday", "time": "7:00", "people": "4"}) == "Friday, seven o'clock and four people"


def test_a_summary_holds_everything() -> None:
    known = {"people": "4", "day": "friday", "time": "7:30", "cuisine": "italian", "area": "harbor", "price": "moderate"}
    text = BOOK.summary(DOMAINS.intent("FindRestaurants"), known)
    assert text == "a table for four people on Friday at seven thirty, with Italian food, at the harbor, at a moderate price"
    music = {"mood": "calm", "genre": "jazz", "decade": "sixties", "device": "kitchen"}
    assert BOOK.summary(DOMAINS.intent("LookupMusic"), music) == "calm jazz music from the sixties in the kitchen"


def test_values_that_could_be_confused_keep_their_prepositions() -> None:
    trip = DOMAINS.intent("SearchRoundtripFlights")
    assert BOOK.listed(trip, {"return_day": "sunday", "day": "friday"}) == "on Friday, back on Sunday"
    hotel = DOMAINS.intent("SearchHotel")
    assert BOOK.listed(hotel, {"destination": "boston"}) == "Boston"


def test_every_value_of_every_slot_can_be_said_and_keeps_its_word() -> None:
    for intent in DOMAINS.intents:
        for slot in intent.slots:
            for value, forms in slot.values.items():
                said = BOOK.within(intent, slot.name, value).lower()
                assert any(form in said for form in forms), (intent.name, slot.name, value, said)


PHRASES = tuple(f"phrase number {n} of {{x}}." for n in "abcdef")


@given(st.integers(0, 2**60))
def test_nothing_is_said_twice_while_something_is_left(seed: int) -> None:
    choose = Chooser(seed, ("Phrase number a of bread.",))
    said = [choose.pick("act", PHRASES, x=thing) for thing in ("tea", "milk", "tea", "tea", "salt")]
    assert sorted(re.sub(r"of .*", "", s) for s in said) == [f"phrase number {n} " for n in "bcdef"]


def test_choices_follow_the_seed() -> None:
    picked = [Chooser(seed, ()).pick("act", PHRASES, x="tea") for seed in range(30)]
    assert len(set(picked)) == len(PHRASES)
    assert picked == [Chooser(seed, ()).pick("act", PHRASES, x="tea") for seed in range(30)]


def test_gaps_are_filled_and_phrases_without_a_filling_left_out() -> None:
    assert Chooser(1, ()).pick("act", ("{X} and {x}.",), x="bread") == "Bread and bread."
    assert {Chooser(seed, ()).pick("act", ("about {it}.", "plain."), it="") for seed in range(9)} == {"plain."}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def spoken_by_the_agent() -> Iterator[str]:
    yield from strings(read_toml(KNOWLEDGE / "phrases.toml"))
    yield from strings(read_toml(KNOWLEDGE / "catalogue.toml"))
    talk = read_toml(KNOWLEDGE / "small_talk.toml")
    for entry in talk["topics"].values():
        yield from (*entry["lines"], *entry["asks"])
    yield from (opener for entry in talk["moods"].values() for opener in entry["openers"])
    yield from strings(talk["plain"])
    yield from (question for intent in DOMAINS.intents for slot in intent.slots for question in slot.ask)


def test_no_digits_are_spoken() -> None:
    assert not [text for text in spoken_by_the_agent() if re.search(r"\d", text)]


@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="needs the dictionary of pocketsphinx")
def test_every_word_is_in_the_dictionary_of_the_recogniser() -> None:
    spec = find_spec("pocketsphinx")
    assert spec is not None
    assert spec.origin is not None
    listing = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    known = {line.split()[0].partition("(")[0] for line in listing.read_text().splitlines()}
    spoken = {word for text in spoken_by_the_agent() for word in spoken_words(re.sub(r"\{\w+\}", " ", text))}
    assert spoken - known == set()
