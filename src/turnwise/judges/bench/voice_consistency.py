"""Whether a turn is spoken in the same voice as the agent's earlier turns of the dialogue, 0 to 100.

Compares the voice print of the turn (cepstra of the telephone band, median pitch; `quality/voice_print.py`) with that of
all earlier turns together. 100 is certainly the same voice, 50 a distance that is as likely between two voices as within
one, 0 certainly another; the curve was fitted to pairs of synthetic voices. On nine voices it was not fitted to the error
rate is 3 to 5 % clean and on a telephone line, 8 % where noise of 20 dB sets in between the turns (docs/sound.md). Sees a
change of speaker, and strong changes of pitch or manner, which it cannot tell from one. Does not see a change of bandwidth
or level, and a change between voices as alike as eSpeak's f2 and f5 lowers the score without bringing it below 50; never
tried on human speech. The first turn has nothing to be compared with; a turn without audio or with less than 0.3 s of loud
speech is an abstention too. Needs the extra `embedded` (kaldi-native-fbank, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from turnwise.dialogues.dialogue import Turn
from turnwise.foundation.audio import Sound
from turnwise.foundation.fingerprint import canonical, fingerprint
from turnwise.judges.judge import Bench, Criterion, Exchange, Judge, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.quality.voice_print import VoicePrint, distance, identity, likeness, merged, voice_print
from turnwise.speech.clip import Clip

NAME = "voice_consistency"


class _Sitting:
    def __init__(self, instrument: str, bench: Bench) -> None:
        self._instrument = instrument
        self._clips = bench.clips

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        return {NAME: self._verdict(exchange)}

    def close(self) -> None:
        """Nothing is held."""

    def _verdict(self, exchange: Exchange) -> Verdict:
        if exchange.now.agent_clip is None:
            return Abstention("no audio")
        clips = [spoken.agent_clip for spoken in exchange.rounds[:-1] if spoken.agent_clip is not None]
        if not clips:
            return Abstention("no earlier turn")
        now = self._print(exchange.now.agent_clip)
        if now.withheld:
            return Abstention(now.withheld)
        earlier = [known for known in map(self._print, clips) if not known.withheld]
        if not earlier:
            return Abstention("no earlier turn with enough speech")
        before = merged(earlier)
        apart = distance(now, before)
        return Score(round(likeness(apart), 2), f"distance {apart:.2f}, pitch {_hertz(now)} after {_hertz(before)}")

    def _print(self, clip: Clip) -> VoicePrint:
        key = fingerprint("voice print", clip.digest, self._instrument)
        made, _ = self._clips.once(key, lambda: voice_print(self._clips.load(clip)), VoicePrint)
        return made


def _hertz(known: VoicePrint) -> str:
    return "unknown" if known.pitch is None else f"{known.pitch:.0f} Hz"


def judge() -> Judge:
    depends = identity()
    return Judge(
        version=1,
        criteria=(Criterion(NAME, "points of 100", "higher", 0.0, 100.0),),
        open=partial(_Sitting, fingerprint("voice print", canonical(dict(depends)))),
        hears=True,
        depends=tuple(sorted(depends.items())),
        examples=(
            (_example(None), {NAME: Abstention("no audio")}),
            (_example(_LOW), {NAME: Abstention("no earlier turn")}),
            (_example(_ZEROS, _LOW), {NAME: Abstention("no earlier turn with enough speech")}),
            (_example(_LOW, _ZEROS), {NAME: Abstention("silent")}),
            (_example(_LOW, _LOW), {NAME: Score(100.0, "distance 0.00, pitch 100 Hz after 100 Hz")}),
            (_example(_LOW, _HIGH), {NAME: Score(0.06, "distance 8.89, pitch 200 Hz after 100 Hz")}),
        ),
        sounds=_sounds,
    )


_LOW = Clip("b2:4a85bfc82d6f09621f1c58de2110eeb9", 16000, 1.0)
_HIGH = Clip("b2:25b849de0f97a8789be1c2e5308c2773", 16000, 1.0)
_ZEROS = Clip("b2:80c4eb23b2ee31f16334c9269e3c6a22", 16000, 1.0)


def _sounds() -> tuple[Sound, ...]:
    """Buzzes of 100 and 200 Hz and nothing, in whole numbers so that every machine makes the same samples."""
    count = np.arange(16000)
    shapes = ((160, 50), (80, 100), (1, 0))  # period in samples, rise per sample in steps of 16 bits
    return tuple(Sound(((count % period) * step / 32768).astype(np.float32), 16000) for period, step in shapes)


def _example(*clips: Clip | None) -> Exchange:
    user = Turn("user", "Hello there.")
    rounds = tuple(Spoken(n, user, None, None, "Good morning.", "Good morning.", clip) for n, clip in enumerate(clips, start=1))
    return Exchange("example", "", (), rounds)
