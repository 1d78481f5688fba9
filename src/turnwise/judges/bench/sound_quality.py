"""How good the agent's audio sounds, by an objective estimator: by default overall, the speech itself, the background.

Rates the clip of the reply through the estimator named by the option `estimator`, with its options in `estimator_options`; the
criteria are the estimator's scales, by their names, those without a better end left out:

- `dnsmos` (default): `mos` overall, `ovrl`, `sig` and `bak` the parts, each 1 to 5;
- `nisqa`: `mos`, `noi`, `col`, `dis`, `loud`, each 1 to 5; or `voice_naturalness`, by its file of weights;
- `mosanet`: `quality` 0 to 5, `predicted_intelligibility` 0 to 1.

One study may have several: give all but one of them a label, which goes before the names (`dnsmos` and `nisqa` both give a
`mos`, and these are not the same number; `nisqa/mos` then stands beside `mos`). `detail = false` keeps the first criterion
alone; with `dnsmos` that takes about a tenth of the time. Equal clips are rated once per run, and never again by a later run of
the same estimator. An estimator that loads weights works in the process that holds the device.

Sees what its estimator sees: for `dnsmos` noise, heavy packet loss and, by `mos` alone, bandwidth; hardly level
(docs/sound.md). Synthetic voices rate lower than human ones and differ among each other: compare arms that speak in one voice.
Knows nothing of the words. Text-only turns, and clips that the estimator withholds its ratings from (silent, shorter than
0.3 s), are abstentions. `dnsmos` needs the extra `embedded` (onnxruntime and the models of speechmos, both MIT); the others say
in their cards what they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from turnwise.dialogues.dialogue import Turn
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import fingerprint
from turnwise.foundation.place import place_of
from turnwise.judges.judge import Bench, Criterion, Exchange, Judge, Spoken
from turnwise.judges.verdict import Abstention, Score, Verdict
from turnwise.quality.estimator import ESTIMATORS, Estimate, Estimator, Rater
from turnwise.speech.clip import Clip


class _Sitting:
    """The estimator is opened by the first clip that has no estimate yet."""

    def __init__(self, estimator: Estimator, identity: str, names: tuple[str, ...], bench: Bench) -> None:
        self._estimator = estimator
        self._identity = identity
        self._names = names
        self._clips = bench.clips
        self._rater: Rater | None = None

    def decide(self, exchange: Exchange) -> Mapping[str, Verdict]:
        clip = exchange.now.agent_clip
        if clip is None:
            return dict.fromkeys(self._names, Abstention("no audio"))
        key = fingerprint("estimate", clip.digest, self._identity)
        estimate, _ = self._clips.once(key, partial(self._rate, clip), Estimate)
        if estimate.withheld:
            return dict.fromkeys(self._names, Abstention(estimate.withheld))
        reason = "; ".join(estimate.notes)
        return {name: Score(round(estimate.value(name), _DECIMALS), reason) for name in self._names}

    def close(self) -> None:
        if self._rater is not None:
            self._rater.close()
            self._rater = None

    def _rate(self, clip: Clip) -> Estimate:
        sound = self._clips.load(clip)
        if self._rater is None:
            self._rater = self._estimator.open()
        estimate = self._rater.rate(sound)
        given = {rating.scale.name for rating in estimate.ratings}
        if not estimate.withheld and not given.issuperset(self._names):
            raise EngineError("estimate", f"the estimator gave {sorted(given)} where {list(self._names)} are needed")
        return estimate


def judge(estimator: str = "dnsmos", estimator_options: Mapping[str, Any] | None = None, detail: bool = True) -> Judge:
    options = dict(estimator_options or {})
    if estimator == "dnsmos" and not detail:
        options.setdefault("ratings", "mos")
    made: Estimator = ESTIMATORS.build(estimator, options)
    criteria = tuple(
        Criterion(scale.name, scale.unit, scale.better, scale.low, scale.high)
        for scale in made.scales
        if scale.better != "neither"
    )
    if not criteria:
        given = ", ".join(scale.name for scale in made.scales)
        raise InputError(f"the estimator {estimator!r} gives nothing that is better higher or lower", f"it gives {given}")
    criteria = criteria if detail else criteria[:1]
    names = tuple(criterion.name for criterion in criteria)
    identity = ESTIMATORS.identity(estimator, options)
    examples: list[tuple[Exchange, Mapping[str, Verdict]]] = [
        (_example(None), dict.fromkeys(names, Abstention("no audio"))),
    ]
    if estimator == "dnsmos":
        examples.append((_example(_ZEROS), dict.fromkeys(names, Abstention("silent: every sample is zero"))))
        if options.get("windows", "one") == "one":
            examples.append((_example(_BUZZ), {name: Score(_RATED[name]) for name in names}))
    return Judge(
        version=1,
        criteria=criteria,
        open=partial(_Sitting, made, identity, names),
        hears=True,
        depends=(("estimator", identity),),
        examples=tuple(examples),
        sounds=_sounds,
        heavy=place_of(made) == "device",
    )


_ZEROS = Clip("b2:eb836eecdb0a180d1cb1828447130ba2", 16000, 0.5)
_BUZZ = Clip("b2:4a85bfc82d6f09621f1c58de2110eeb9", 16000, 1.0)
# Of the buzz by dnsmos, one window.
_RATED = {"mos": 2.482, "ovrl": 1.485, "sig": 1.801, "bak": 2.213}
_DECIMALS = 3  # what the same models give on another processor agrees to about 0.00001


def _sounds() -> tuple[Sound, ...]:
    """Half a second of nothing, and a buzz of 100 Hz in whole numbers so that every machine makes the same samples."""
    buzz = (np.arange(16000) % 160) * 50 / 32768
    return Sound(np.zeros(8000, np.float32), 16000), Sound(buzz.astype(np.float32), 16000)


def _example(clip: Clip | None) -> Exchange:
    now = Spoken(1, Turn("user", "Hello there."), None, None, "Good morning.", "Good morning.", clip)
    return Exchange("example", "", (), (now,))
