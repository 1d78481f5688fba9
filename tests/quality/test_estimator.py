"""What no estimator may rate, and what every estimator of ours keeps to."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, MissingDependency
from turnwise.quality.estimator import ESTIMATORS, FAINTEST, SHORTEST, Estimate, Rating, Scale, objection, remarks


def tone(seconds: float = 1.0, peak: float = 0.5, rate: int = 16000) -> Sound:
    return Sound((peak * np.sin(2 * np.pi * 200 * np.arange(int(seconds * rate)) / rate)).astype(np.float32), rate)


def test_sound_that_can_be_rated_meets_no_objection() -> None:
    assert objection(tone()) == ""
    assert objection(tone(SHORTEST)) == ""
    assert objection(tone(peak=FAINTEST * 1.1)) == ""


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (tone(SHORTEST - 0.05), "too short: 0.25 s of sound"),
        (Sound(np.zeros(0, np.float32), 16000), "too short: 0.00 s"),
        (Sound(np.zeros(16000, np.float32), 16000), "silent: every sample is zero"),
        (tone(peak=0.0005), "silent: the peak is -66 dBFS"),
    ],
)
def test_what_cannot_be_rated_is_said(sound: Sound, said: str) -> None:
    assert objection(sound).startswith(said)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_an_error_not_a_rating(bad: float) -> None:
    samples = tone().samples.copy()
    samples[7] = bad
    with pytest.raises(EngineError, match="not finite") as caught:
        objection(Sound(samples, 16000))
    assert caught.value.cause == "broken-audio"


def test_clipping_is_remarked_and_its_share_is_right() -> None:
    assert remarks(tone()) == ()
    samples = tone().samples.copy()
    samples[:1600] = 1.0
    assert remarks(Sound(samples, 16000)) == ("clipped: 10.0 % of the samples are at full scale",)


def test_an_estimate_survives_storage() -> None:
    estimate = Estimate((Rating(Scale("mos", "MOS 1-5", "higher", 1.0, 5.0), 3.25),), ("clipped: 1.0 %",))
    assert msgspec.json.decode(msgspec.json.encode(estimate), type=Estimate) == estimate
    assert estimate.value("mos") == 3.25
    with pytest.raises(KeyError):
        estimate.value("noise")


@pytest.mark.parametrize("name", sorted(ESTIMATORS.cards()))
def test_every_estimator_of_the_folder_keeps_the_contract(name: str) -> None:
    built = ESTIMATORS.build(name)
    try:
        identity = built.identity()
        rater = built.open()
    except MissingDependency as error:
        pytest.skip(str(error))
    assert identity and all(isinstance(value, str) and value for value in identity.values())
    assert ESTIMATORS.identity(name) == ESTIMATORS.identity(name)
    sound = tone()
    estimate = rater.rate(sound)
    assert [rating.scale for rating in estimate.ratings] == list(built.scales)
    for rating in estimate.ratings:
        assert np.isfinite(rating.value)
        assert rating.scale.low is None or rating.scale.low <= rating.value <= rating.scale.high
    for refused in (Sound(np.zeros(16000, np.float32), 16000), tone(0.1)):
        withheld = rater.rate(refused)
        assert withheld.ratings == () and withheld.withheld
    assert rater.rate(sound) == estimate, "the same sound has the same estimate"
    rater.close()
    rater.close()
