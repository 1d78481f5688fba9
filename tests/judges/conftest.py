"""Small conversations to judge, and a written corpus that is made by rule and therefore known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from judges.judging import Open, Talk
from turnwise.dialogues.corpus import CORPORA, Corpus
from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
from turnwise.judges.judge import JUDGES, Bench, Exchange, Judge, Sitting, Spoken
from turnwise.speech.clip_store import ClipStore

FOODS = ("italian", "mexican", "indian", "thai", "greek", "french")
AREAS = ("harbor", "downtown", "riverside", "university", "station", "airport")
CITIES = ("boston", "denver", "seattle", "chicago", "dallas", "miami")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def user(text: str, facts: dict[str, str] | None = None, asks: Sequence[str] = ()) -> Turn:
    return Turn("user", text, None, tuple(Fact(s, v) for s, v in (facts or {}).items()), tuple(asks))


def agent(text: str, *asks: str) -> Turn:
    return Turn("agent", text, None, (), asks)


def restaurant(number: int, food: str, area: str) -> Dialogue:
    day, people = DAYS[number % 6], str(2 + number % 5)
    return Dialogue(
        f"eat-{number:02d}",
        (
            user("Hello, I would like to eat out with my family."),
            agent("Gladly. What kind of food do you feel like?", "cuisine"),
            user(f"We all love {food} food.", {"cuisine": food}),
            agent(f"A fine {food} kitchen it is. Which part of town would you prefer?", "area"),
            user(f"Somewhere near the {area}, please.", {"area": area}),
            agent("And how many people will there be, and on which day?", "people", "day"),
            user(f"A table for {people} on {day}.", {"people": people, "day": day}),
            agent(f"The Golden Spoon serves {food} dishes near the {area}. Shall I book a table for {people} people on {day}?"),
            user("Remind me, what food did I ask for, and which day?", asks=("cuisine", "day")),
            agent(f"You asked for {food} food, on {day}."),
            user("Then book it, thank you."),
            agent(f"Your table for {people} people is booked, enjoy the {food} food."),
        ),
        "FindRestaurants",
    )


def flight(number: int, origin: str, destination: str) -> Dialogue:
    day = DAYS[number % 6]
    return Dialogue(
        f"fly-{number:02d}",
        (
            user("Good morning, I need a plane ticket."),
            agent("With pleasure. Which city will you be flying to?", "destination"),
            user(f"I am flying to {destination}.", {"destination": destination}),
            agent(f"A flight to {destination}, noted. Where will you be leaving from?", "origin"),
            user(f"I will leave from {origin}.", {"origin": origin}),
            agent("Which day would you like to travel?", "day"),
            user(f"On {day}, before lunch.", {"day": day}),
            agent(f"Meadow Air has an economy seat from {origin} to {destination} on {day}. Shall I hold the seat?"),
            user("Please do. Which city did I say I leave from?", asks=("origin",)),
            agent(f"You leave from {origin}, and the seat is held."),
            user("Wonderful, that is all."),
            agent("Your boarding pass is on its way, have a pleasant flight."),
        ),
        "SearchOnewayFlight",
    )


def made_corpus() -> tuple[Dialogue, ...]:
    """Thirty-six restaurants and thirty flights."""
    eat = [restaurant(i, food, area) for i, (food, area) in enumerate(product(FOODS, AREAS))]
    pairs = [(a, b) for a, b in product(CITIES, CITIES) if a != b]
    return (*eat, *(flight(i, a, b) for i, (a, b) in enumerate(pairs)))


@pytest.fixture(scope="session")
def corpus() -> tuple[Dialogue, ...]:
    return made_corpus()


@pytest.fixture(scope="session")
def demo() -> tuple[Dialogue, ...]:
    reader: Corpus = CORPORA.build("demo")
    return reader.read(None).dialogues


@pytest.fixture(scope="session")
def demo_part() -> Callable[[str], Path]:
    import turnwise.dialogues.dialogue as module

    return lambda part: Path(module.__file__).parent / "demo" / f"{part}.jsonl"


@pytest.fixture(scope="session")
def sgd_folder() -> Path:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "sgd"
    if not folder.is_dir():
        pytest.skip("the Schema-Guided Dialogue data is not here")
    return folder


@pytest.fixture(scope="session")
def talk() -> Talk:
    """An exchange from user turns and replies in turn; the last reply is the one under judgement."""

    def make(*said: Turn | str, intent: str = "FindRestaurants", dialogue: str = "new") -> Exchange:
        rounds = []
        for i in range(0, len(said), 2):
            turn, reply = said[i], said[i + 1]
            spoken = turn if isinstance(turn, Turn) else Turn("user", turn)
            text = reply.text if isinstance(reply, Turn) else reply
            rounds.append(Spoken(i // 2 + 1, spoken, None, None, text, text, None))
        return Exchange(dialogue, intent, (), tuple(rounds))

    return make


@pytest.fixture
def sitting(tmp_path: Path) -> Open:
    """Open a judge by name."""

    def make(name: str, background: Sequence[Dialogue] = ()) -> Sitting:
        judge: Judge = JUDGES.build(name)
        return judge.open(Bench(ClipStore(tmp_path), tuple(background)))

    return make
