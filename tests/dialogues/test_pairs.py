from __future__ import annotations

from hypothesis import given

from dialogues.made_up import any_dialogue, dialogue
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.pairs import pairs


def test_unanswered_turns_stay_in_the_history_and_are_said() -> None:
    found = pairs(dialogue("d", "uauuaa"))
    assert [(each.number, each.position, each.user.text, each.agent.text) for each in found.answered] == [
        (1, 0, "u0", "a0"),
        (2, 3, "u2", "a1"),
    ]
    assert [(turn.speaker, turn.text) for turn in found.answered[1].history] == [("user", "u0"), ("agent", "a0"), ("user", "u1")]
    assert found.answered[0].history == ()
    assert found.unanswered == (2,)
    assert found.unprompted == (5,)


def test_agent_first_and_nothing_at_all() -> None:
    assert pairs(dialogue("d", "auau")).unprompted == (0,)
    assert pairs(dialogue("d", "auau")).unanswered == (3,)
    empty = pairs(dialogue("d", ""))
    assert (empty.answered, empty.unanswered, empty.unprompted) == ((), (), ())


@given(any_dialogue)
def test_every_position_is_accounted_for_once(made: Dialogue) -> None:
    found = pairs(made)
    places = [*found.unanswered, *found.unprompted]
    for each in found.answered:
        places += [each.position, each.position + 1]
        assert made.turns[each.position] == each.user
        assert each.history == made.turns[: each.position]
    assert sorted(places) == list(range(len(made.turns)))
    answered = [each.position for each in made.rounds() if each.written is not None]
    assert [each.position for each in found.answered] == answered
