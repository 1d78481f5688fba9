"""The state of a conversation, from the view alone."""

from turnwise.agents.agent import Past, View
from turnwise.agents.catalogue import read_catalogue
from turnwise.agents.domains import load_domains
from turnwise.agents.frame_state import State, derive
from turnwise.agents.policy import BOOKED

DOMAINS = load_domains()
CATALOGUE = read_catalogue(DOMAINS)


def state(*turns: str, instructions: str = "") -> State:
    """Turns alternate, the user's first and last."""
    past = tuple(Past("user" if n % 2 == 0 else "agent", text) for n, text in enumerate(turns[:-1]))
    view = View("d", len(turns) // 2 + 1, instructions, past, turns[-1], None)
    return derive(view, DOMAINS, CATALOGUE, BOOKED)


WISH = "We need a restaurant for four people."


def test_values_gather_over_turns_and_new_ones_are_fresh() -> None:
    now = state(WISH, "Which day?", "Friday at seven, please.")
    assert now.intent is not None
    assert now.intent.name == "FindRestaurants"
    assert now.known == {"people": "4", "day": "friday", "time": "7:00"}
    assert now.fresh == {"day": "friday", "time": "7:00"}
    assert not now.opening
    assert now.missing == ("cuisine", "area", "price")


def test_values_told_in_small_talk_count_once_the_wish_is_plain() -> None:
    assert state("Four of us are in town until Friday.", "How nice!", "We need a restaurant.").known == {
        "people": "4",
        "day": "friday",
    }


def test_ambiguous_words_in_small_talk_do_not() -> None:
    now = state("I had a long day at work.", "Oh dear!", "We need a taxi to the station.")
    assert now.known == {"dropoff": "station"}
    assert now.opening


def test_a_change_of_mind_replaces() -> None:
    now = state(WISH, "Which day?", "Friday.", "Fine.", "Actually, make it Saturday instead of Friday.")
    assert now.known["day"] == "saturday"
    assert now.replaced == {"day": "friday"}


def test_asking_back_changes_nothing() -> None:
    now = state(WISH, "Which day?", "Friday.", "Fine.", "Was it Sunday, or which day did I say?")
    assert now.known["day"] == "friday"
    assert now.acts.probes == ("day",)


def test_what_only_sounds_like_a_value_fills_gaps_and_replaces_nothing() -> None:
    assert state(WISH, "Which day would suit you?", "on sat or day").known["day"] == "saturday"
    assert state("A restaurant for four on Friday, I need that.", "Fine.", "on sat or day").known["day"] == "friday"


def test_own_turns_tell_what_was_asked_offered_and_booked() -> None:
    now = state(WISH, "I like the Copper Lantern. What time would you like?", "At seven.", "It is all booked.", "Thank you.")
    assert now.asked == ("time",)
    assert [item.name for item in now.offered] == ["the Copper Lantern"]
    assert now.booked
    assert not state(WISH, "Shall I book it for you?", "Yes.").booked


def test_less_of_the_past_is_less_of_the_state() -> None:
    now = state("Friday at seven, please.")
    assert now.intent is None
    assert now.known == {"day": "friday"}


def test_instructions_may_settle_the_wish() -> None:
    assert state("I need tickets for tonight.", instructions="").intent is not None
    bus = state("I need tickets for Friday.", instructions="You help to find a bus journey.")
    assert bus.intent is not None


def test_turns_shown_as_sound_only_are_not_read() -> None:
    view = View("d", 2, "", (Past("user", None), Past("agent", None)), "Hello", None)
    assert derive(view, DOMAINS, CATALOGUE, BOOKED).said == ()
