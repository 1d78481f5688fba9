from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.speech.perturbations.packet_loss import PacketLoss, perturbation

RATE = 16000
SIZE = 320


def buzz(seconds: float = 2.0) -> Sound:
    count = round(seconds * RATE)
    return Sound((0.2 + 0.1 * np.sin(np.arange(count) / 9)).astype(np.float32), RATE)


def gaps(lost: np.ndarray) -> list[int]:
    return [len(run) for run in "".join("x" if frame else " " for frame in lost).split()]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([0.02, 0.1, 0.3]), st.sampled_from([1.5, 3.0, 8.0]), st.integers(0, 2**62))
def test_share_and_burst_are_those_asked_for(loss: float, burst: float, seed: int) -> None:
    frames = 60_000
    lost = PacketLoss(loss, burst, "zero").lost(frames, seed)
    # Standard errors: the share of a two-state chain, and the mean of geometric gaps; five of them are allowed.
    worsen, recover = loss / (1 - loss) / burst, 1 / burst
    memory = 1 - worsen - recover
    share = math.sqrt(loss * (1 - loss) / frames * (1 + memory) / (1 - memory))
    assert abs(lost.mean() - loss) < 5 * share
    found = gaps(lost)
    spread = math.sqrt(burst * (burst - 1) / len(found))
    assert abs(np.mean(found) - burst) < 5 * spread


def test_independent_losses_have_no_memory() -> None:
    lost = perturbation(loss=0.2, burst=1 / 0.8).lost(100_000, 3)
    after = lost[1:][lost[:-1]]
    assert abs(after.mean() - 0.2) < 5 * math.sqrt(0.16 / len(after))


@given(st.floats(0, 0.5), st.integers(0, 2**62))
def test_frames_are_lost_whole_or_not_at_all(loss: float, seed: int) -> None:
    plan = PacketLoss(loss, 4.0, "zero")
    sound = buzz()
    found = plan.apply(sound, seed).samples.reshape(-1, SIZE)
    for frame, before, lost in zip(found, sound.samples.reshape(-1, SIZE), plan.lost(100, seed), strict=True):
        assert np.array_equal(frame, np.zeros(SIZE) if lost else before)


def test_repeated_frames_fade_by_half() -> None:
    sound = buzz()
    plan = PacketLoss(0.4, 4.0, "repeat")
    found = plan.apply(sound, 11).samples.reshape(-1, SIZE)
    frames, lost = sound.samples.reshape(-1, SIZE), plan.lost(100, 11)
    assert max(gaps(lost)) >= 3
    last, age = -1, 0
    for number in range(100):
        if not lost[number]:
            last, age = number, 0
            assert np.array_equal(found[number], frames[number])
            continue
        age += 1
        wanted = frames[last] * 0.5**age if last >= 0 else np.zeros(SIZE)
        assert np.allclose(found[number], wanted, atol=1e-7)


def test_the_same_seed_loses_the_same_frames() -> None:
    plan = perturbation(loss=0.2)
    assert np.array_equal(plan.apply(buzz(), 5).samples, plan.apply(buzz(), 5).samples)
    assert not np.array_equal(plan.apply(buzz(), 5).samples, plan.apply(buzz(), 6).samples)
    sound = buzz()
    plan.apply(sound, 5)
    assert np.array_equal(sound.samples, buzz().samples)  # the original is left alone


@pytest.mark.parametrize("length", [0, 1, 319, 321, 999])
@pytest.mark.parametrize("fill", ["zero", "repeat"])
def test_any_length(length: int, fill: str) -> None:
    sound = Sound(np.full(length, 0.5, dtype=np.float32), RATE)
    for seed in range(20):
        found = perturbation(loss=0.5, burst=2.0, fill=fill).apply(sound, seed)
        assert len(found.samples) == length and found.rate == RATE
        assert float(np.abs(found.samples).max(initial=0.0)) <= 0.5


def test_no_loss_changes_nothing() -> None:
    assert np.array_equal(perturbation(loss=0.0).apply(buzz(), 1).samples, buzz().samples)


@pytest.mark.parametrize("options", [{"loss": 1.0}, {"loss": -0.1}, {"burst": 0.5}, {"loss": 0.8, "burst": 2.0}, {"fill": "hum"}])
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="packet_loss"):
        PERTURBATIONS.build("packet_loss", options)


def test_it_says_what_it_does() -> None:
    assert perturbation(0.1, 3, "repeat").describe() == "packet_loss loss=0.1 burst=3 fill=repeat"
    assert set(PERTURBATIONS.cards()) >= {"noise", "telephone", "packet_loss"}
