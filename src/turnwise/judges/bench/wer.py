"""Word error rates: how well the study's transcriber hears the user, and how far the judged transcript is from the agent's words.

`wer_user` compares the written user turn with what the transcriber heard in its clip: what any agent behind the same
recogniser has to work with, after whatever was done to the sound. `wer_agent` compares the agent's own text with the
transcript that the other judges read: where it is high, their verdicts are about words the agent did not mean to say, or a
recogniser that failed. Errors per word of the reference, above 1 where much was inserted; texts are normalised first (case,
punctuation, contractions, spelling of numbers; see `speech/word_errors.py`). Cannot tell a bad voice from a bad ear, and
weighs every word alike. An agent that keeps its own text to itself, a turn without a clip or without a reference word, is
an abstention. Uses jiwer (Apache-2.0) and whisper-normalizer (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from turnwise.dialogues.dialogue import Turn
from turnwise.foundation.fingerprint import source_digest
from turnwise.judges.judge import Bench, Criterion, Exchange, Judge, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.speech import word_errors as counting
from turnwise.speech.clip import Clip

UNIT = "word error rate"


class _Sitting:
    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        now = exchange.now
        return {
            "wer_user": _verdict(now.user_clip, now.user.text, now.user_heard),
            "wer_agent": _verdict(now.agent_clip, now.agent_text, now.agent),
        }

    def close(self) -> None:
        """Nothing is held."""


def _verdict(clip: Clip | None, said: str, heard: str | None) -> Verdict:
    if clip is None:
        return Abstention("no audio")
    if heard is None:
        return Abstention("no transcript")
    counts = counting.word_errors(said, heard)
    if counts.rate is None:
        return Abstention("no words to compare with")
    wrong = f"{counts.substitutions} replaced, {counts.deletions} missed, {counts.insertions} added"
    return Score(counts.rate, f"of {counts.words} words: {wrong}")


def _open(bench: Bench) -> _Sitting:
    return _Sitting()


def _example(user: tuple[str, str | None], agent: tuple[str, str], clip: Clip | None) -> Exchange:
    now = Spoken(1, Turn("user", user[0]), clip, user[1], agent[1], agent[0], clip)
    return Exchange("example", "", (), (now,))


# The judge reads transcripts only, so this clip needs no samples.
_CLIP = Clip("b2:00000000000000000000000000000000", 16000, 1.0)
_NO_AUDIO = Abstention("no audio")


def judge() -> Judge:
    return Judge(
        version=1,
        criteria=tuple(Criterion(name, UNIT, "lower", 0.0) for name in ("wer_user", "wer_agent")),
        open=_open,
        depends=(
            ("jiwer", version("jiwer")),
            ("whisper-normalizer", version("whisper-normalizer")),
            ("code", source_digest(Path(counting.__file__ or ""))),
        ),
        examples=(
            (
                _example(("A table for two, please.", "a cable for two"), ("It's booked!", "it is booked"), _CLIP),
                {
                    "wer_user": Score(0.4, "of 5 words: 1 replaced, 1 missed, 0 added"),
                    "wer_agent": Score(0.0, "of 3 words: 0 replaced, 0 missed, 0 added"),
                },
            ),
            (
                _example(("Hello.", None), ("", "good morning"), _CLIP),
                {"wer_user": Abstention("no transcript"), "wer_agent": Abstention("no words to compare with")},
            ),
            (_example(("Hello.", "hello"), ("Hi.", "hi"), None), {"wer_user": _NO_AUDIO, "wer_agent": _NO_AUDIO}),
        ),
    )
