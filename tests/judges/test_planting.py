from __future__ import annotations

from collections import Counter

import pytest

from turnwise.dialogues.dialogue import Dialogue
from turnwise.judges.mishearing import Mishearing, heard_words
from turnwise.judges.planting import FORGOTTEN, LEVELS, VAGUE, Plant, Planter, rendered, reworded
from turnwise.judges.severity import FAILURES
from turnwise.judges.values import value_key
from turnwise.judges.wording import tokens

PERFECT = Mishearing((), 0.0).heard


@pytest.fixture(scope="module")
def plants(demo: tuple[Dialogue, ...]) -> list[tuple[Dialogue, Plant]]:
    planter = Planter(demo, 1)
    return [(d, plant) for d in demo[:24] for plant in planter.plants(d, PERFECT)]


def _written(dialogue: Dialogue, plant: Plant) -> str:
    turn = dialogue.rounds()[plant.exchange.now.number - 1].written
    assert turn is not None
    return turn.text


def test_every_failure_is_planted_at_every_level(plants: list[tuple[Dialogue, Plant]]) -> None:
    counts = Counter((plant.failure, plant.level) for _, plant in plants)
    assert {failure for failure, _ in counts} == set(FAILURES)
    assert {level for _, level in counts} == set(LEVELS)
    assert max(Counter((d.id, p.failure) for d, p in plants).values()) <= 3


def test_all_but_the_last_reply_is_as_written(plants: list[tuple[Dialogue, Plant]]) -> None:
    for dialogue, plant in plants:
        rounds = dialogue.rounds()
        for spoken, each in zip(plant.exchange.rounds[:-1], rounds, strict=False):
            assert each.written is not None
            assert (spoken.user, spoken.agent_text) == (each.user, each.written.text)
        assert plant.exchange.now.user == rounds[plant.exchange.now.number - 1].user
        assert plant.exchange.now.agent_text == plant.text != _written(dialogue, plant)


def test_a_repetition_holds_an_earlier_reply(plants: list[tuple[Dialogue, Plant]]) -> None:
    for dialogue, plant in plants:
        if plant.failure == "repetition" and plant.level != "clear":
            place = dialogue.rounds()[plant.exchange.now.number - 1].position
            earlier = [t.text for t in dialogue.turns[:place] if t.speaker == "agent"]
            whole = plant.text if plant.level == "gross" else plant.text.removesuffix(_written(dialogue, plant)).strip()
            assert any(whole in text for text in earlier)


def test_generic_replies_come_from_the_list(plants: list[tuple[Dialogue, Plant]]) -> None:
    for _, plant in plants:
        if plant.failure == "generic":
            assert plant.text in VAGUE[plant.level]


def test_a_drift_ends_with_a_reply_of_another_intent(plants: list[tuple[Dialogue, Plant]], demo: tuple[Dialogue, ...]) -> None:
    for dialogue, plant in plants:
        if plant.failure == "topic_drift":
            donors = {d.intent for d in demo for t in d.turns if t.speaker == "agent" and plant.text.endswith(t.text)}
            assert donors - {dialogue.intent}


def test_a_forgotten_slot_was_stated_before(plants: list[tuple[Dialogue, Plant]]) -> None:
    for dialogue, plant in plants:
        if plant.failure != "memory":
            continue
        place = dialogue.rounds()[plant.exchange.now.number - 1].position
        stated = {f.slot: f.value for t in dialogue.turns[:place] for f in t.facts}
        assert stated
        if plant.level == "gross":
            assert plant.text in FORGOTTEN
            assert set(dialogue.turns[place].asks) & set(stated)
        if plant.level == "mild":
            lost = set(tokens(_written(dialogue, plant))) - set(tokens(plant.text))
            assert any(set(value_key(value)) & lost for value in stated.values())


def test_a_wrong_value_differs_in_that_value_only(plants: list[tuple[Dialogue, Plant]]) -> None:
    seen = 0
    for dialogue, plant in plants:
        if plant.failure == "misunderstanding" and plant.level == "mild":
            was, now = tokens(_written(dialogue, plant)), tokens(plant.text)
            place = dialogue.rounds()[plant.exchange.now.number - 1].position
            keys = [value_key(f.value) for f in dialogue.turns[place].facts]
            assert any(set(key) & (set(was) - set(now)) for key in keys)
            seen += 1
    assert seen >= 5


def test_plants_depend_on_the_seed_and_not_on_the_order(demo: tuple[Dialogue, ...]) -> None:
    def texts(corpus: tuple[Dialogue, ...], seed: int) -> list[str]:
        return [plant.text for plant in Planter(corpus, seed).plants(demo[3], PERFECT)]

    assert texts(demo, 1) == texts(tuple(reversed(demo)), 1)
    assert texts(demo, 1) != texts(demo, 2)


def test_a_corpus_of_one_intent_has_no_drift(corpus: tuple[Dialogue, ...]) -> None:
    single = corpus[:12]
    assert {p.failure for p in Planter(single, 1).plants(single[0], PERFECT)} == set(FAILURES) - {"topic_drift"}


def test_reworded_says_the_same_in_other_words(demo: tuple[Dialogue, ...]) -> None:
    import random

    text = "Which day would you like? I'd suggest the harbor."
    made = reworded(text, random.Random(1))
    assert made != text
    assert {"day", "harbor"} <= set(tokens(made))
    assert "recommend" in made


def test_rendering_keeps_the_opening() -> None:
    from turnwise.dialogues.dialogue import Turn

    dialogue = Dialogue("x", (Turn("agent", "Welcome!"), Turn("user", "Hi"), Turn("agent", "Hello, there.")))
    exchange = rendered(dialogue, 1, "What?", PERFECT, 1)
    assert [t.text for t in exchange.opening] == ["Welcome!"]
    assert (exchange.now.agent, exchange.now.agent_text) == ("what", "What?")


def test_hearing_perfectly_is_lower_case_without_punctuation() -> None:
    assert PERFECT("It's 7:30, on March 2nd!", 5) == "it's 7:30 on march 2nd"


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.25])
def test_the_word_error_rate_is_the_one_asked_for(demo: tuple[Dialogue, ...], rate: float) -> None:
    jiwer = pytest.importorskip("jiwer")
    texts = [t.text for d in demo for t in d.turns if t.speaker == "agent"]
    hearing = Mishearing(texts, rate)
    said = [" ".join(heard_words(text)) for text in texts]
    heard = [hearing.heard(text, seed) or "-" for seed, text in enumerate(texts)]
    assert abs(jiwer.wer(said, heard) - rate) < 0.02
    assert heard == [hearing.heard(text, seed) or "-" for seed, text in enumerate(texts)]
    assert hearing.heard(texts[0] * 5, 1) != hearing.heard(texts[0] * 5, 2)


def test_a_rate_is_between_none_and_all() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Mishearing((), 1.5)
