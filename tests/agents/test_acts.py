"""What a user does with a turn."""

import pytest

from turnwise.agents.acts import acts, asks_for

TABLE = ("cuisine", "area", "price", "day", "time", "people")
TRIP = ("origin", "destination", "day", "return_day", "cabin", "people")


@pytest.mark.parametrize(
    ("text", "slots", "asked"),
    [
        ("Which day did I say?", TABLE, ("day",)),
        ("How many seats have you got, and for what time?", TABLE, ("people", "time")),
        ("Remind me where in town it was.", TABLE, ("area",)),
        ("Which day do we fly back?", TRIP, ("return_day",)),
        ("Which days do we leave and come back?", TRIP, ("day", "return_day")),
        ("From which city do I leave?", TRIP, ("origin",)),
        ("What budget did I give you?", TABLE, ("price",)),
        ("The old town reminds us of when we were young.", TABLE, ()),
        ("How many nights did I say?", ("nights", "people"), ("nights",)),
        ("Friday would suit us, at seven.", TABLE, ()),
    ],
)
def test_slots_asked_back(text: str, slots: tuple[str, ...], asked: tuple[str, ...]) -> None:
    assert acts(text, slots).probes == asked


@pytest.mark.parametrize(
    "text",
    [
        "Could you sum up what you have?",
        "Go over it all again.",
        "Read the whole booking back to me.",
        "Give me a summary, please.",
    ],
)
def test_everything_is_asked_for(text: str) -> None:
    assert acts(text, TABLE).everything


def test_other_acts() -> None:
    assert acts("Please book it, and thank you.").book
    assert acts("Please book it, and thank you.").thanks
    assert acts("Actually, make it Saturday.").changes
    assert acts("What would you recommend?").suggest
    assert acts("Hello there").greeting
    assert acts("How much does it cost, and is there parking?").questions == ("cost", "parking")
    nothing = acts("The sky is pink.")
    assert not (nothing.book or nothing.thanks or nothing.changes or nothing.suggest or nothing.questions or nothing.framed)


def test_only_questions_of_an_agent_ask() -> None:
    assert asks_for("Friday it is. What time would you like?", TABLE) == ("time",)
    assert asks_for("I have the day and the time.", TABLE) == ()
    assert asks_for("When would you like to return?", TRIP) == ("return_day",)
    assert asks_for("How many nights will you stay?", ("nights", "people")) == ("nights",)
