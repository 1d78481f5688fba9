"""The five ratings without torch, without weights to fetch, key or GPU: signal rules and small models, on the scale of NISQA.

    noi    how far the noise lies below the voice, band by band: what each band has left when the voice is quiet there
    col    how wide the voice's band is, and how much of it is clipped
    dis    gaps with edges no mouth makes, and packets heard twice; or PLCMOS, where it falls below what noise and band explain
    loud   loudness in LUFS (ITU-R BS.1770), best at -24
    mos    P.808 of DNSMOS and the four above, the geometric mean of what each says above 1

Each rating is 1 + a span x factors read off curves (listening/rating_curves.py), fitted to what NISQA v2.0 gives damaged
speech of one reader, one set of telephone turns and two synthetic voices. So a number means about what it means with `nisqa`,
and nothing gets 5: a sound without any of this damage gets 4.5, 3.6, 3.7, 4.0, and about 3.5 overall. What each rating was
computed from stands in its source, figures included.

Unlike NISQA it keeps the four apart: each falls with its own damage and, as a rule, by less than half as much with the others',
so it says what is wrong. Held against NISQA on voices, sentences and draws of noise that nothing was fitted to: correlation 0.84
in `mos` over all sounds; 0.90 in `noi`, 0.77 in `col`, 0.88 in `dis`, 0.90 in `loud` over own damage. On other kinds of damage
than the rules were made for, looked at once: 0.66; 0.84, 0.72, 0.63, 0.87. Over all damage `col` and `loud` hardly agree with
NISQA (0.3 to 0.5), as NISQA lets noise and lost packets lower them. All figures, and where the rules above do not hold:
docs/listening.md.

Limits. It measures these kinds of damage and knows no others: an unnatural voice, and what a codec does within the band it
leaves, are seen by `mos` alone, and little. Bursts of noise between quiet moments are not noise to it, of people talking in
the background the loud moments are missed, and what rings on in a room counts as noise. Packets left out without a gap are
heard late. Noise added after a band was cut, and codecs after clipping, hide it; clipping of a narrow voice widens its band.
NISQA finds formant synthesizers (eSpeak NG) broken and this listener seldom does, so on them the two do not agree at all
(-0.01 in `mos`). A sound shorter than 0.3 s, silent, or with broken samples gets no rating; one shorter than 0.4 s no `loud`,
and so no `mos`. Of digital silence before and after a second is heard.

No options. Needs the extra `embedded` (onnxruntime, and the models in the wheel `speechmos`, all MIT). Sounds of up to 60 s;
three hundredths of a sound's length on one core. NISQA's weights are CC BY-NC-SA 4.0; nothing of them is in here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.lineage import lineage
from turnwise.listening import rating_curves
from turnwise.listening.listener import Listening
from turnwise.listening.ratings import ASPECTS, Dimension, Ratings
from turnwise.listening.sound_check import objection, rated, remarks, unrated
from turnwise.quality.band import band, clipped
from turnwise.quality.dropouts import dropouts
from turnwise.quality.estimator import ESTIMATORS, Rater
from turnwise.quality.noise_floor import noise
from turnwise.speech.level import SHORTEST_LOUDNESS, loudness

# The models and their options. The three listeners of PLCMOS are those its curve was fitted to; they give 0.06 less than sixty.
MODELS: Mapping[str, Mapping[str, Any]] = {"dnsmos": {"ratings": "mos"}, "plcmos": {"listeners": 3}}

SILENT = 2.0**-15  # of full scale, one step of 16-bit PCM
SILENCE = 1.0  # seconds


def listener() -> EmbeddedListener:
    return EmbeddedListener()


class EmbeddedListener(msgspec.Struct, frozen=True):
    """The models are not yet loaded."""

    longest: ClassVar[float] = 60.0  # seconds, as PLCMOS takes them

    def identity(self) -> Mapping[str, str]:
        packages = {name: version(name) for name in ("numpy", "pyloudnorm", "soxr")}
        models = {name: ESTIMATORS.identity(name, options) for name, options in MODELS.items()}
        return {"shared": lineage(__file__), **models, **packages}

    def open(self) -> Listening:
        return EmbeddedListening({name: ESTIMATORS.build(name, options).open() for name, options in MODELS.items()})


class EmbeddedListening:
    """The models loaded; one sound at a time."""

    batch = 1

    def __init__(self, raters: Mapping[str, Rater]) -> None:
        self._raters = raters

    def rate_many(self, sounds: Sequence[Sound]) -> Sequence[Ratings]:
        return [self._rate(sound) for sound in sounds]

    def close(self) -> None:
        for rater in self._raters.values():
            rater.close()

    def _rate(self, sound: Sound) -> Ratings:
        reason = objection(sound)
        if reason:
            return unrated(reason)
        values: dict[Dimension, float] = {}
        sources: dict[Dimension, str] = {}
        missing: dict[Dimension, str] = {}
        notes = remarks(sound)
        sound = without_silent_ends(sound)
        under, between, gone, share = noise(sound), band(sound), dropouts(sound), clipped(sound)
        assert under is not None and between is not None  # only a silent sound has none
        values["noi"] = rating_curves.noi(under.heard, share)
        sources["noi"] = f"signal rule (noise {-under.heard:.0f} dB below the voice band by band, {under.ratio:.0f} dB overall)"
        values["col"] = rating_curves.col(between.low, between.high, share)
        sources["col"] = (
            f"signal rule (voice from {between.low:.0f} to {between.high:.0f} Hz, {100 * share:.1f} % of the samples clipped)"
        )
        concealment = self._raters["plcmos"].rate(sound).value("plcmos")
        # PLCMOS hears the noise as it is, not as it would be beside a voice that was not clipped.
        deficit = rating_curves.plcmos_deficit(concealment, rating_curves.noi(under.heard, 0.0), values["col"])
        values["dis"] = rating_curves.dis(gone.lost, gone.repeated, deficit)
        sources["dis"] = (
            f"signal rules and PLCMOS ({100 * gone.lost:.1f} % of the speech lost in {gone.gaps} gaps, "
            f"{100 * gone.repeated:.1f} % repeated, PLCMOS {concealment:.2f}, {-deficit:+.2f} of what was expected)"
        )
        measured = loudness(sound)
        if measured is None:
            missing["loud"] = f"too short or too soft: loudness needs {SHORTEST_LOUDNESS} s above -70 LUFS"
            missing["mos"] = "it is made of loud among others, which is missing"
        else:
            values["loud"] = rating_curves.loud(measured)
            sources["loud"] = f"ITU-R BS.1770 ({measured:.1f} LUFS)"
            overall = self._raters["dnsmos"].rate(sound).value("mos")
            values["mos"] = rating_curves.mos(overall, {name: values[name] for name in ASPECTS})
            sources["mos"] = f"DNSMOS P.808 and the four ratings beside it (P.808 {overall:.2f})"
        return rated(values, sources, missing, notes)


def without_silent_ends(sound: Sound) -> Sound:
    """The sound with at most a second of digital silence before and after: P.808 rates windows of 9 s, and empty ones low."""
    heard = np.flatnonzero(np.abs(sound.samples) > SILENT)
    kept = round(SILENCE * sound.rate)
    first, last = max(0, int(heard[0]) - kept), min(len(sound.samples), int(heard[-1]) + 1 + kept)
    return sound if last - first == len(sound.samples) else Sound(sound.samples[first:last], sound.rate)
