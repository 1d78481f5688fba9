"""Slot values in one utterance."""

import pytest

from turnwise.agents.domains import load_domains
from turnwise.agents.mentions import mentions

DOMAINS = load_domains()


def told(intent: str, text: str, expected: str | None = None) -> dict[str, str]:
    return {m.slot: m.value for m in mentions(text, DOMAINS.intent(intent), expected)}


@pytest.mark.parametrize(
    ("intent", "text", "values"),
    [
        ("FindRestaurants", "A table for four on Friday at seven thirty.", {"people": "4", "day": "friday", "time": "7:30"}),
        ("FindRestaurants", "Some pasta, and not too expensive, please.", {"cuisine": "italian", "price": "cheap"}),
        ("FindRestaurants", "It's just me tonight.", {"people": "1", "day": "today"}),
        ("FindRestaurants", "a party of six", {"people": "6"}),
        ("FindRestaurants", "two adults and three children", {"people": "5"}),
        ("FindRestaurants", "None of us eats late.", {}),
        ("FindRestaurants", "not downtown, but by the river", {"area": "riverside"}),
        ("FindRestaurants", "Make it Saturday instead of Friday.", {"day": "saturday"}),
        (
            "SearchHotel",
            "a room in New York for two nights for the two of us",
            {"destination": "new york", "nights": "2", "people": "2"},
        ),
        ("SearchHotel", "we stay a week", {"nights": "7"}),
        ("SearchOnewayFlight", "I fly from Denver to Miami", {"origin": "denver", "destination": "miami"}),
        ("SearchOnewayFlight", "to Miami, and I am leaving from Denver", {"origin": "denver", "destination": "miami"}),
        ("SearchRoundtripFlights", "leave on Tuesday and come back on Friday", {"day": "tuesday", "return_day": "friday"}),
        ("GetRide", "from the hotel to the airport at four thirty", {"pickup": "hotel", "dropoff": "airport", "time": "4:30"}),
        ("GetRide", "pick us up at my place", {"pickup": "home"}),
        ("GetCarsAvailable", "a van for six days, affordable", {"car": "van", "days": "6", "price": "cheap"}),
        ("LookupMusic", "something mellow in the living room", {"mood": "calm", "device": "living room"}),
        ("FindEvents", "stand up, for 7 people", {"category": "comedy", "people": "7"}),
    ],
)
def test_what_people_say(intent: str, text: str, values: dict[str, str]) -> None:
    assert told(intent, text) == values


@pytest.mark.parametrize(
    ("intent", "text", "values"),
    [
        ("FindRestaurants", "on sat or day", {"day": "saturday"}),
        ("FindRestaurants", "there will be for of us", {"people": "4"}),
        ("SearchHotel", "a room in boss ton", {"destination": "boston"}),
    ],
)
def test_what_a_recogniser_makes_of_it(intent: str, text: str, values: dict[str, str]) -> None:
    found = mentions(text, DOMAINS.intent(intent))
    assert {m.slot: m.value for m in found} == values
    assert not any(m.sure for m in found)
    if "people" not in values:
        assert mentions(text, DOMAINS.intent(intent), alike=False) == ()


@pytest.mark.parametrize(
    "text", ["It cost me money.", "I have a free day.", "We are thirsty and many.", "a hundred dollars for me"]
)
def test_everyday_words_are_no_values(text: str) -> None:
    assert told("SearchHotel", text) == {}


def test_a_bare_number_counts_only_where_it_was_asked_for() -> None:
    assert told("SearchHotel", "just three") == {}
    assert told("SearchHotel", "just three", "nights") == {"nights": "3"}
    assert told("SearchHotel", "just three", "people") == {"people": "3"}
    assert told("SearchRoundtripFlights", "Sunday", "return_day") == {"return_day": "sunday"}
