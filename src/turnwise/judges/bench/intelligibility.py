"""Share of the agent's words that a listener gets, 0 to 1: by how well the study's transcriber understood them.

1 - word error rate between the agent's own text and what the transcriber heard in its clip, not below 0: 1 where every word came
through, 0 where as many are wrong as were said. The same errors as the criterion `wer_agent` of the judge `wer`, turned so that
more is better; texts are normalised first (case, punctuation, contractions, spelling of numbers; `speech/word_errors.py`).

The listener is a recogniser: a strong one forgives what people would not, a weak one fails on words that people get, so compare
arms under one transcriber and not with listening tests. An agent whose voice says other words than its text counts as
unintelligible. A turn without a clip, and an agent that gives no text of its own (most models that speak directly give one, some
do not), are abstentions.

Not the published "intelligibility" of MOSA-Net+, which is a model's guess at what Mandarin listeners would have understood:
that is `predicted_intelligibility` of the judge `sound_quality` with the estimator `mosanet`. Both may stand in one study. Uses
jiwer (Apache-2.0) and whisper-normalizer (MIT); needs nothing heavy.
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

NAME = "intelligibility"
UNIT = "share of words, 1 - word error rate"


class _Sitting:
    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        return {NAME: _verdict(exchange.now)}

    def close(self) -> None:
        """Nothing is held."""


def _verdict(now: Spoken) -> Verdict:
    if now.agent_clip is None:
        return Abstention("no audio")
    if not now.agent_text.strip():
        return Abstention("no text of the agent's own")
    counts = counting.word_errors(now.agent_text, now.agent)
    if counts.rate is None:
        return Abstention("no words to compare with")
    wrong = f"{counts.substitutions} replaced, {counts.deletions} missed, {counts.insertions} added"
    return Score(max(0.0, 1 - counts.rate), f"of {counts.words} words: {wrong}")


def _open(bench: Bench) -> _Sitting:
    return _Sitting()


def _example(said: str, heard: str, clip: Clip | None) -> Exchange:
    return Exchange("example", "", (), (Spoken(1, Turn("user", "Hello."), None, None, heard, said, clip),))


# The judge reads transcripts only, so this clip needs no samples.
_CLIP = Clip("b2:00000000000000000000000000000000", 16000, 1.0)


def judge() -> Judge:
    return Judge(
        version=1,
        criteria=(Criterion(NAME, UNIT, "higher", 0.0, 1.0),),
        open=_open,
        depends=(
            ("jiwer", version("jiwer")),
            ("whisper-normalizer", version("whisper-normalizer")),
            ("code", source_digest(Path(counting.__file__ or ""))),
        ),
        examples=(
            (_example("It's booked!", "it is booked", _CLIP), {NAME: Score(1.0, "of 3 words: 0 replaced, 0 missed, 0 added")}),
            (
                _example("A table for two.", "the cable for two", _CLIP),
                {NAME: Score(0.5, "of 4 words: 2 replaced, 0 missed, 0 added")},
            ),
            (_example("Fine.", "well I am fine", _CLIP), {NAME: Score(0.0, "of 1 words: 0 replaced, 0 missed, 3 added")}),
            (_example("", "good morning", _CLIP), {NAME: Abstention("no text of the agent's own")}),
            (_example("...", "hm", _CLIP), {NAME: Abstention("no words to compare with")}),
            (_example("Hi.", "Hi.", None), {NAME: Abstention("no audio")}),
        ),
    )
