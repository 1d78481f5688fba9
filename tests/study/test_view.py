"""What an agent is shown is exactly what the policy says."""

from __future__ import annotations

from typing import Any

import pytest

from turnwise.agents.agent import Context, Past, Reply, View
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.speech.clip import Clip
from turnwise.study.cell import view_digest
from turnwise.study.view import Happened, opening, show, shown_lines

DIALOGUE = Dialogue(
    "d",
    (
        Turn("agent", "hello"),
        Turn("user", "u1 written"),
        Turn("agent", "a1 written"),
        Turn("user", "u2 written"),
        Turn("user", "u3 written"),
        Turn("agent", "a3 written"),
    ),
)


def clip(name: str) -> Clip:
    return Clip(f"b2:{name}", 16000, 1.0)


def view(**policy: Any) -> View:
    r1, r2, r3 = DIALOGUE.rounds()
    before = [
        Happened(r1, clip("u1"), "u1 transcribed", Reply("a1 own", clip("a1"), heard="u1 heard")),
        Happened(r2, clip("u2"), "u2 transcribed", Reply("", None, heard="u2 heard")),  # the agent was silent
    ]
    return show(DIALOGUE, "be kind", Context(**policy), before, Happened(r3, clip("u3"), "u3 transcribed"))


def test_everything_as_the_agent_itself_heard_it() -> None:
    seen = view()
    assert [(p.speaker, p.text) for p in seen.past] == [
        ("agent", "hello"),
        ("user", "u1 heard"),
        ("agent", "a1 own"),
        ("user", "u2 heard"),
    ]
    assert (seen.text, seen.clip) == (None, clip("u3"))
    assert seen.instructions == "be kind"


@pytest.mark.parametrize(("past", "shown"), [(0, []), (1, ["user: u2 heard"]), (2, 4), (9, 4), ("all", 4)])
def test_the_window_counts_rounds(past: Any, shown: Any) -> None:
    lines = shown_lines(view(past=past))
    assert list(lines) == shown if isinstance(shown, list) else len(lines) == shown


def test_written_replies_and_written_words() -> None:
    seen = view(replies="written", user="written")
    assert [p.text for p in seen.past] == ["hello", "u1 written", "a1 written", "u2 written"]
    assert (seen.text, seen.clip) == ("u3 written", None)


def test_the_transcribers_words() -> None:
    seen = view(user="transcript")
    assert [p.text for p in seen.past if p.speaker == "user"] == ["u1 transcribed", "u2 transcribed"]
    assert (seen.text, seen.clip) == ("u3 transcribed", None)


def test_audio_only_hides_the_words_and_both_shows_both() -> None:
    audio = view(form="audio").past
    assert audio[1:3] == (Past("user", None, clip("u1")), Past("agent", None, clip("a1")))
    assert shown_lines(view(form="audio"))[1] == "user: [audio]"
    assert view(form="both").past[1] == Past("user", "u1 heard", clip("u1"))
    assert view(form="user-audio").past[1:3] == (Past("user", None, clip("u1")), Past("agent", "a1 own"))


def test_a_voice_is_given_its_own_latest_utterances_and_a_mind_never() -> None:
    r1, r2, r3 = DIALOGUE.rounds()
    before = [
        Happened(r1, None, None, Reply("one", clip("c1"))),
        Happened(r2, None, None, Reply("two", clip("c2"))),
    ]
    seen = show(DIALOGUE, "", Context(past=0, user="written"), before, Happened(r3, None, None), remembers=1)
    assert (seen.past, seen.voice) == ((), (Past("agent", "two", clip("c2")),))
    without = show(DIALOGUE, "", Context(past=0, user="written"), before, Happened(r3, None, None))
    assert without.voice == ()
    assert view_digest(seen) != view_digest(without)


def test_an_opening_exists_only_before_the_first_user_turn() -> None:
    assert [turn.text for turn in opening(DIALOGUE)] == ["hello"]
    assert opening(Dialogue("e", DIALOGUE.turns[1:])) == ()


def test_every_part_of_a_view_changes_its_name() -> None:
    variants = [view(), view(past=1), view(form="both"), view(form="audio"), view(user="written"), view(replies="written")]
    assert len({view_digest(v) for v in variants}) == len(variants)
