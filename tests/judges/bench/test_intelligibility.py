"""The share of the agent's words that the transcriber understood."""

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


def decide(tmp_path: Path, own: str, heard: str, clip: Clip | None = CLIP) -> Verdict:
    now = Spoken(1, Turn("user", "Hello."), None, None, heard, own, clip)
    found = JUDGES.build("intelligibility").open(Bench(ClipStore(tmp_path))).decide(Exchange("d", "", (), (now,)))
    assert list(found) == ["intelligibility"]
    return found["intelligibility"]


def test_its_examples(tmp_path: Path) -> None:
    judge = JUDGES.build("intelligibility")
    sitting = judge.open(Bench(ClipStore(tmp_path)))
    assert len(judge.examples) == 6
    for exchange, expected in judge.examples:
        assert sitting.decide(exchange) == expected


@pytest.mark.parametrize(
    ("own", "heard"),
    [
        ("we have a table near the harbor", "we have a table near the harbor"),
        ("we have a table near the harbor", "we have the cable near harbor please"),
        ("we have a table", ""),
    ],
)
def test_it_is_one_less_the_rate_of_jiwer(tmp_path: Path, own: str, heard: str) -> None:
    verdict = decide(tmp_path, own, heard)
    assert isinstance(verdict, Score) and verdict.value == pytest.approx(1 - jiwer.wer(own, heard))


def test_more_errors_than_words_are_nought(tmp_path: Path) -> None:
    assert jiwer.wer("book it", "could you cook it for me then") > 1
    verdict = decide(tmp_path, "book it", "could you cook it for me then")
    assert isinstance(verdict, Score) and verdict.value == 0.0 and "5 added" in verdict.reason


def test_case_punctuation_and_numbers_do_not_count(tmp_path: Path) -> None:
    assert decide(tmp_path, "It's TWENTY five, dollars!", "it is 25 dollars").value == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("own", "clip", "reason"),
    [
        ("Hi there.", None, "no audio"),
        ("", CLIP, "no text of the agent's own"),
        (" \n", CLIP, "no text of the agent's own"),
        ("...", CLIP, "no words to compare with"),
    ],
)
def test_without_a_clip_or_own_words_there_is_no_score(tmp_path: Path, own: str, clip: Clip | None, reason: str) -> None:
    assert decide(tmp_path, own, "hi there", clip) == Abstention(reason)


def test_it_agrees_with_the_word_error_rate_of_the_agent(tmp_path: Path) -> None:
    now = Spoken(1, Turn("user", "Hello."), None, None, "it is cooked for too", "It is booked for two.", CLIP)
    exchange = Exchange("d", "", (), (now,))
    rate = JUDGES.build("wer").open(Bench(ClipStore(tmp_path))).decide(exchange)["wer_agent"]
    share = decide(tmp_path, now.agent_text, now.agent)
    assert isinstance(rate, Score) and isinstance(share, Score)
    assert share.value == pytest.approx(1 - rate.value) and share.reason == rate.reason


def test_its_unit_names_the_method() -> None:
    judge = JUDGES.build("intelligibility")
    assert [(c.name, c.unit, c.better, c.low, c.high) for c in judge.criteria] == [
        ("intelligibility", "share of words, 1 - word error rate", "higher", 0.0, 1.0)
    ]
    assert not judge.heavy and not judge.hears and judge.place == "worker"
