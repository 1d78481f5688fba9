"""Word error rates of a turn, against jiwer itself and counts made by hand."""

from __future__ import annotations

from pathlib import Path

import jiwer
import pytest

from turnwise.dialogues.dialogue import Turn
from turnwise.judges.judge import JUDGES, Bench, Exchange, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

CLIP = Clip("b2:" + "0" * 32, 16000, 1.0)


Clips = tuple[Clip | None, Clip | None]


def decide(tmp_path: Path, user: str, heard: str | None, agent: str, transcript: str, clips: Clips) -> dict[str, Verdict]:
    now = Spoken(1, Turn("user", user), clips[0], heard, transcript, agent, clips[1])
    return dict(JUDGES.build("wer").open(Bench(ClipStore(tmp_path))).decide(Exchange("d", "", (), (now,))))


def test_its_examples(tmp_path: Path) -> None:
    judge = JUDGES.build("wer")
    sitting = judge.open(Bench(ClipStore(tmp_path)))
    for exchange, expected in judge.examples:
        assert sitting.decide(exchange) == expected


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("we would like a table near the harbor", "we would like a table near the harbor"),
        ("we would like a table near the harbor", "we like the table near harbor please"),
        ("book it", "could you cook it for me then"),
        ("book it", ""),
    ],
)
def test_rates_are_those_of_jiwer(tmp_path: Path, said: str, heard: str) -> None:
    found = decide(tmp_path, said, heard, said, heard, (CLIP, CLIP))
    expected = jiwer.wer(said, heard)
    for name in ("wer_user", "wer_agent"):
        verdict = found[name]
        assert isinstance(verdict, Score) and verdict.value == pytest.approx(expected)


def test_the_two_sides_are_not_mixed(tmp_path: Path) -> None:
    found = decide(tmp_path, "four more words here", "four more words", "one two", "one two", (CLIP, CLIP))
    assert [getattr(found[n], "value", None) for n in ("wer_user", "wer_agent")] == [0.25, 0.0]
    assert "1 missed" in getattr(found["wer_user"], "reason", "")


def test_case_punctuation_and_numbers_do_not_count(tmp_path: Path) -> None:
    found = decide(tmp_path, "It's TWENTY five, dollars!", "it is 25 dollars", "a", "a", (CLIP, CLIP))
    assert getattr(found["wer_user"], "value", None) == 0.0


def test_no_clip_no_transcript_and_no_words_are_abstentions(tmp_path: Path) -> None:
    found = decide(tmp_path, "Hello.", "hello", "Hi.", "hi", (CLIP, None))
    assert getattr(found["wer_user"], "value", None) == 0.0 and found["wer_agent"] == Abstention("no audio")
    assert decide(tmp_path, "Hello.", None, "Hi.", "hi", (CLIP, CLIP))["wer_user"] == Abstention("no transcript")
    assert decide(tmp_path, "...", "well", "", "hi", (CLIP, CLIP)) == dict.fromkeys(
        ("wer_user", "wer_agent"), Abstention("no words to compare with")
    )


def test_it_needs_no_listening() -> None:
    judge = JUDGES.build("wer")
    assert not judge.hears and all(c.better == "lower" and c.unit == "word error rate" for c in judge.criteria)
