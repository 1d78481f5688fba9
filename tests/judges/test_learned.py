from __future__ import annotations

import random

import msgspec
import pytest

from judges.judging import Talk
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.judges.learned import Learned, learned
from turnwise.judges.scene import Scene, scene_of, scenes
from turnwise.judges.wording import tokens


@pytest.fixture(scope="module")
def taught(corpus: tuple[Dialogue, ...]) -> Learned:
    return Learned(corpus)


def test_a_written_dialogue_and_the_same_played_are_the_same_scene(corpus: tuple[Dialogue, ...], talk: Talk) -> None:
    dialogue = corpus[7]
    for scene in scenes(dialogue):
        said = [turn for turn in dialogue.turns[: 2 * scene.number]]
        played = scene_of(talk(*said, intent=dialogue.intent, dialogue=dialogue.id))
        assert msgspec.structs.asdict(dialogue.turns[0])  # the dialogue itself is untouched
        for name in ("user", "reply", "past_user", "past_agent", "stated", "fresh", "asked", "before"):
            assert getattr(played, name) == getattr(scene, name), name


def test_later_statements_replace_earlier_ones(talk: Talk) -> None:
    from turnwise.dialogues.dialogue import Fact

    first = Turn("user", "Boston", facts=(Fact("origin", "boston"),))
    second = Turn("user", "No, Denver", facts=(Fact("origin", "denver"),))
    scene = scene_of(talk(first, "ok", second, "ok", "And?", "ok"))
    assert scene.stated == {"origin": (("denver",), 2)}
    assert scene_of(talk(first, "ok", second, "ok")).fresh == {"origin": ("denver",)}


@pytest.mark.parametrize(
    ("question", "slot"),
    [
        ("What kind of food do you feel like?", "cuisine"),
        ("Which part of town would you prefer?", "area"),
        ("how many people will there be", "people"),
        ("very well and where will you be leaving from then", "origin"),
        ("Which city will you be flying to?", "destination"),
    ],
)
def test_which_slot_a_question_asks_for(taught: Learned, question: str, slot: str) -> None:
    asked = taught.asking.asked(tokens(question), "")
    assert max(asked, key=lambda s: asked[s]) == slot
    assert asked[slot] > 0.5


def test_statements_ask_for_nothing(taught: Learned) -> None:
    for text in ("A fine thai kitchen it is.", "Your table for 4 people is booked.", "You leave from boston."):
        assert max(taught.asking.asked(tokens(text), "").values()) < 0.34


def test_two_questions_of_one_turn_are_told_apart(taught: Learned) -> None:
    asked = taught.asking.asked(tokens("how many people will there be"), "")
    assert asked["day"] < asked["people"]


def test_a_corpus_without_asked_slots_teaches_by_its_answers(corpus: tuple[Dialogue, ...]) -> None:
    bare = tuple(msgspec.structs.replace(d, turns=tuple(msgspec.structs.replace(t, asks=()) for t in d.turns)) for d in corpus)
    asked = Learned(bare).asking.asked(tokens("which part of town would you prefer"), "")
    assert max(asked, key=lambda s: asked[s]) == "area"


def test_a_corpus_without_annotation_asks_for_nothing() -> None:
    dialogue = Dialogue("x", (Turn("user", "Hello"), Turn("agent", "What can I do?")))
    assert Learned((dialogue,)).asking.asked(("what",), "") == {}


def test_a_differing_value_where_agents_repeat_the_users(taught: Learned, talk: Talk) -> None:
    from turnwise.dialogues.dialogue import Fact

    wants = Turn("user", "A table for four.", facts=(Fact("people", "4"),))
    wrong = scene_of(talk(wants, "Fine.", "Book it.", "Your table for six people is booked."))
    (found,) = taught.facts.contradictions(wrong, 0.6)
    assert (found.slot, found.said, found.stated) == ("people", ("6",), ("4",))
    assert found.trust > 0.9
    right = scene_of(talk(wants, "Fine.", "Book it.", "Your table for four people is booked."))
    assert taught.facts.contradictions(right, 0.6) == []


def test_values_with_another_source_are_no_contradiction(taught: Learned, talk: Talk) -> None:
    from turnwise.dialogues.dialogue import Fact

    wants = Turn("user", "Thai food.", facts=(Fact("cuisine", "thai"),))
    reply = "You asked for greek food, on monday."
    assert taught.facts.contradictions(scene_of(talk(wants, "Fine.", "Hm.", reply)), 0.6)
    assert not taught.facts.contradictions(scene_of(talk(wants, "Fine.", "Or rather greek?", reply)), 0.6)
    assert not taught.facts.contradictions(scene_of(talk(wants, "There is greek food too.", "Yes.", reply)), 0.6)
    assert not taught.facts.contradictions(scene_of(talk(wants, "Fine.", "Hm.", "Your thai food and greek food")), 0.6)


def test_a_reply_is_expected_at_its_own_place(taught: Learned, corpus: tuple[Dialogue, ...]) -> None:
    rounds = scenes(corpus[3])
    for scene in rounds[:4]:
        here = taught.expected.contrast(scene)
        assert here is not None and here > 0.5
    swapped = [c for a, b in ((1, 4), (4, 1), (2, 5), (0, 4)) if (c := taught.expected.contrast(_answered(rounds[a], rounds[b])))]
    assert max(swapped) < 0


def _answered(place: Scene, other: Scene) -> Scene:
    import dataclasses

    return dataclasses.replace(place, reply=other.reply)


def test_nothing_is_expected_where_the_corpus_is_too_small(corpus: tuple[Dialogue, ...]) -> None:
    assert Learned(corpus[:1]).expected.contrast(scenes(corpus[0])[0]) is None


def test_words_of_another_intent(taught: Learned) -> None:
    gain, other, telling = taught.subjects.foreign(("economy", "seat", "boarding"), "FindRestaurants", "")
    assert other == "SearchOnewayFlight"
    assert gain > 5
    assert set(telling) == {"economy", "seat", "boarding"}
    assert taught.subjects.foreign(("economy", "seat"), "SearchOnewayFlight", "")[0] == 0
    assert taught.subjects.foreign(("unheard",), "FindRestaurants", "") == (0.0, "", ())


def test_the_judged_dialogue_is_left_out(corpus: tuple[Dialogue, ...]) -> None:
    """A judge that has the dialogue in its background says what one that never saw it says."""
    for dialogue in (corpus[0], corpus[40]):
        whole, without = Learned(corpus), Learned(tuple(d for d in corpus if d.id != dialogue.id))
        for scene in scenes(dialogue):
            for word in scene.reply:
                assert whole.weight(word, dialogue.id) == without.weight(word, "")
                for intent in ("FindRestaurants", "SearchOnewayFlight"):
                    assert whole.subjects.share(word, intent, dialogue.id) == pytest.approx(
                        without.subjects.share(word, intent, "")
                    )
            assert whole.facts.contradictions(scene, 0.0) == without.facts.contradictions(scene, 0.0)


def test_order_does_not_matter(corpus: tuple[Dialogue, ...]) -> None:
    shuffled = list(corpus)
    random.Random(3).shuffle(shuffled)
    one, other = Learned(corpus), Learned(tuple(shuffled))
    assert one.dialogues == other.dialogues
    for scene in scenes(corpus[5]):
        assert one.expected.contrast(scene) == other.expected.contrast(scene)
        assert one.asking.asked(scene.reply, scene.dialogue) == other.asking.asked(scene.reply, scene.dialogue)


def test_learned_once_per_corpus(corpus: tuple[Dialogue, ...]) -> None:
    assert learned(corpus) is learned(tuple(corpus))
