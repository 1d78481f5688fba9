"""What the user seems to want."""

import pytest

from turnwise.agents.domains import load_domains
from turnwise.agents.leaning import lean, named_in, wanted

DOMAINS = load_domains()


def after(*turns: str) -> tuple[str | None, int]:
    return wanted([lean(turn, DOMAINS) for turn in turns])


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Help me find a restaurant.", "FindRestaurants"),
        ("We'd like to see a movie.", "FindMovie"),
        ("Find me some music.", "LookupMusic"),
        ("I need a flight to Miami, only one way.", "SearchOnewayFlight"),
        ("I need a round trip flight to Miami.", "SearchRoundtripFlights"),
        ("I want to rent a car.", "GetCarsAvailable"),
        ("We need a cab to the station.", "GetRide"),
        ("Please find me a bus.", "FindBus"),
        ("We need a hotel tonight.", "SearchHotel"),
        ("Let's visit a castle.", "FindAttraction"),
        ("I want tickets for an event.", "FindEvents"),
    ],
)
def test_a_request_makes_it_plain(text: str, intent: str) -> None:
    assert after("Hello, what a morning.", text) == (intent, 1)


@pytest.mark.parametrize(
    "text", ["My flight was delayed again.", "I drive a cab all night.", "I visited my sister.", "The dining table has arrived."]
)
def test_talk_is_no_request(text: str) -> None:
    assert after(text) == (None, 0)


def test_a_plainer_wish_replaces_a_guess() -> None:
    intent, since = after("I'd like to see a movie.", "No, we need a hotel, a hotel room for one night, please book a hotel.")
    assert (intent, since) == ("SearchHotel", 0)


def test_small_evidence_is_enough_once_small_talk_is_over() -> None:
    quiet = ["I see."] * 4
    assert after("A film perhaps.")[0] is None
    assert after(*quiet, "A film perhaps.") == ("FindMovie", 4)


def test_own_words_count_where_the_user_says_nothing() -> None:
    own = [lean("Which movie would you like to see at the cinema, and what film do you want?", DOMAINS)] * 3
    assert wanted([lean("Friday, please, I want that.", DOMAINS)], own)[0] == "FindMovie"
    assert wanted([lean("Friday, please, I want that.", DOMAINS)])[0] is None


def test_instructions_that_name_one_intent() -> None:
    assert named_in("You help people find a rental car.", DOMAINS) == "GetCarsAvailable"
    assert named_in("You are friendly.", DOMAINS) is None
    assert named_in("Handle FindBus and FindMovie.", DOMAINS) is None
