"""How an agent's turn sounds in five ratings, 1 to 5 each: overall, and freedom from noise, coloration, breaks, wrong loudness.

Asks a listener (`turnwise list listeners`; docs/listening.md says how far each can be trusted): `embedded` without weights,
`nisqa` with the user's, `audio_model` behind a server. Turns longer than a window are heard in windows, and the ratings are
those of the windows with speech. With `describe = true` the reason of the overall rating is a description in words by the
template describer; otherwise it is what the ratings were computed from. Equal clips are heard once per run by a listener that
works here.

Sees what its listener sees, and nothing of the words. A turn without audio, and a rating that its listener withholds, is an
abstention with the reason. `sound_quality` gives a `mos` of its own: give one of them a label where a study has both.

Options: `listener` ("embedded"), `listener_options`, `describe` (false). Needs what the listener needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import fingerprint
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import place_of
from turnwise.judges.judge import Bench, Criterion, Exchange, Judge
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.listening.describer import DESCRIBERS, Describing
from turnwise.listening.listener import LISTENERS, Listening, RemoteListening
from turnwise.listening.ratings import DIMENSIONS, Heard
from turnwise.listening.windows import hear, hear_remote
from turnwise.speech.clip import Clip

DECIMALS = 3  # models agree between processors to about 0.00001
NO_AUDIO: Mapping[str, Verdict] = dict.fromkeys(DIMENSIONS, Abstention("no audio"))


class _Sitting:
    """Hears in this process; the listener is opened by the first clip that was not heard before."""

    def __init__(self, listener: Any, identity: str, describing: Describing | None, bench: Bench) -> None:
        self._listener = listener
        self._identity = identity
        self._describing = describing
        self._clips = bench.clips
        self._listening: Listening | None = None

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        clip = exchange.now.agent_clip
        if clip is None:
            return NO_AUDIO
        key = fingerprint("listened", clip.digest, self._identity)
        return _verdicts(self._clips.once(key, partial(self._hear, clip), Heard)[0], self._describing)

    def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _hear(self, clip: Clip) -> Heard:
        sound = self._clips.load(clip)
        if self._listening is None:
            self._listening = self._listener.open()
        return hear(self._listening, sound, self._listener.longest)


class _FarSitting:
    """Asks a listener behind a server."""

    def __init__(self, listener: Any, describing: Describing | None, bench: Bench) -> None:
        if bench.remote is None:
            raise InputError("the listener asks a server: open the judge with a bench that has a remote")
        self._listening: RemoteListening = listener.reach(bench.remote)
        self._longest: float = listener.longest
        self._describing = describing
        self._clips = bench.clips

    async def decide(self, exchange: Exchange, *, seed: int) -> Mapping[str, Verdict]:
        clip = exchange.now.agent_clip
        if clip is None:
            return NO_AUDIO
        sound = await asyncio.to_thread(self._clips.load, clip)
        return _verdicts(await hear_remote(self._listening, sound, self._longest, seed=seed), self._describing)

    async def close(self) -> None:
        await self._listening.close()


def _verdicts(heard: Heard, describing: Describing | None) -> Mapping[str, Verdict]:
    ratings = heard.ratings
    told = describing.describe(ratings, None, seed=0) if describing is not None else ""
    found: dict[str, Verdict] = {}
    for dimension in DIMENSIONS:
        value = ratings.value(dimension)
        if value is None:
            found[dimension] = Abstention(ratings.missing[dimension])
            continue
        reason = "; ".join([ratings.sources.get(dimension, ""), *ratings.notes]).strip("; ")
        found[dimension] = Score(round(value, DECIMALS), told if told and dimension == "mos" else reason)
    return found


def judge(listener: str = "embedded", listener_options: Mapping[str, Any] | None = None, describe: bool = False) -> Judge:
    options = dict(listener_options or {})
    built = LISTENERS.build(listener, options)
    identity = LISTENERS.identity(listener, options)
    template = DESCRIBERS.build("template")
    describing: Describing | None = template.open() if describe else None
    depends = [("shared", lineage(__file__)), ("listener", identity)]
    if describe:
        depends.append(("describer", DESCRIBERS.identity("template")))
    place = place_of(built)
    return Judge(
        version=1,
        criteria=tuple(Criterion(name, "rating 1-5", "higher", 1.0, 5.0) for name in DIMENSIONS),
        open=partial(_Sitting, built, identity, describing),
        reach=partial(_FarSitting, built, describing) if place == "driver" else None,
        hears=True,
        depends=tuple(depends),
        models=tuple(getattr(built, "models", ())),
        heavy=place == "device",
    )
