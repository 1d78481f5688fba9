from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.speech import acoustic_adaptation as adaptation
from turnwise.speech.acoustic_adaptation import (
    DENSITIES,
    SIZE,
    STREAMS,
    AcousticModel,
    Statistics,
    Stretch,
    features,
    gather,
    gaussians_bytes,
    moved,
    read_gaussians,
    read_model,
    word_salad,
)
from turnwise.speech.sphinx import model_folder

PHONES = ("A", "B")
STATES = 3


def small_model(seed: int = 0) -> AcousticModel:
    draw = np.random.default_rng(seed)
    shape = (len(PHONES), STREAMS, DENSITIES, SIZE)
    weights = np.log(draw.dirichlet(np.ones(DENSITIES), size=(STREAMS, STATES))).transpose(0, 2, 1)
    return AcousticModel(PHONES, draw.standard_normal(shape), draw.uniform(0.5, 2.0, shape), weights)


def utterance(seed: int = 1, frames: int = 40) -> tuple[np.ndarray, list[Stretch]]:
    cepstra = np.random.default_rng(seed).standard_normal((frames, SIZE)) + 5.0
    return cepstra, [Stretch("A", 0, 0, 15), Stretch("A", 2, 15, 10), Stretch("B", 1, 25, 15)]


def test_every_frame_is_shared_out_once_in_each_stream() -> None:
    found = gather(small_model(), [utterance()])
    assert found.frames[0].sum(axis=-1) == pytest.approx([25.0] * STREAMS)
    assert found.frames[1].sum(axis=-1) == pytest.approx([15.0] * STREAMS)


def test_shares_are_those_of_a_gaussian_mixture() -> None:
    from scipy.stats import multivariate_normal

    model, (cepstra, _) = small_model(), utterance()
    found = gather(model, [(cepstra, [Stretch("B", 1, 7, 1)])])
    x = features(cepstra)[1][7]
    fits = np.array(
        [multivariate_normal(model.means[1, 1, k], np.diag(model.variances[1, 1, k])).pdf(x) for k in range(DENSITIES)]
    ) * np.exp(model.weights[1, :, 1])
    assert found.frames[1, 1] == pytest.approx(fits / fits.sum(), abs=1e-9)
    assert np.allclose(found.sums[1, 1], np.outer(fits / fits.sum(), x), atol=1e-9)


def test_utterances_add_up() -> None:
    model = small_model()
    both, one, two = (gather(model, part) for part in ([utterance(1), utterance(2)], [utterance(1)], [utterance(2)]))
    assert np.allclose(both.sums, one.sums + two.sums) and np.allclose(both.frames, one.frames + two.frames)


def test_means_move_as_far_as_their_frames_carry_them() -> None:
    means = np.zeros((1, 1, 3, 2))
    found = Statistics(np.array([[[0.0, 5.0, 1e6]]]), np.array([[[[0.0, 0.0], [10.0, 5.0], [2e6, 1e6]]]]))
    assert np.allclose(moved(means, found, tau=5.0), [[[[0, 0], [1, 0.5], [2, 1]]]], atol=1e-4)


def test_adapting_to_a_shifted_voice_finds_the_shift() -> None:
    model = AcousticModel(
        ("A",),
        np.zeros((1, STREAMS, DENSITIES, SIZE)),
        np.ones((1, STREAMS, DENSITIES, SIZE)),
        np.full((STREAMS, DENSITIES, 1), -np.log(DENSITIES)),
    )
    # A slow wave of the first coefficient: its mean over the stretch differs from that of the utterance.
    cepstra = np.ones((4000, SIZE))
    cepstra[:2000, 0] = 3.0
    found = gather(model, [(cepstra, [Stretch("A", 0, 0, 2000)])])
    assert np.allclose(moved(model.means, found, tau=1.0)[0, 0, :, 0], 1.0, atol=0.07)


def test_features_of_a_ramp() -> None:
    ramp = np.outer(np.arange(20.0), np.ones(SIZE))
    centred, first, second = features(ramp)
    assert centred.mean(axis=0) == pytest.approx(0.0)
    assert np.allclose(first[3:-3], 4.0) and np.allclose(second[3:-3], 0.0)


def test_frames_below_the_energy_floor_do_not_shift_the_mean() -> None:
    cepstra = np.ones((10, SIZE))
    cepstra[0, 0] = -46.0
    assert features(cepstra)[0][5, 0] == pytest.approx(0.0)


def test_a_file_of_means_comes_back(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((2, STREAMS, DENSITIES, SIZE)).astype(np.float32)
    (tmp_path / "means").write_bytes(gaussians_bytes(values))
    assert np.array_equal(read_gaussians(tmp_path / "means"), values)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "means").write_bytes(b"s3\nversion 1.0\nendhdr\n" + bytes(100))
    with pytest.raises(InputError, match="means"):
        read_gaussians(tmp_path / "means")


def test_random_words_use_each_word_before_any_again() -> None:
    words = [f"w{number}" for number in range(24)]
    groups = list(word_salad(words, 6, 8, seed=1))
    assert sorted(" ".join(groups[:3]).split()) == sorted(words)
    assert sorted(" ".join(groups[3:]).split()) == sorted(words)
    assert groups == list(word_salad(words, 6, 8, seed=1)) != list(word_salad(words, 6, 8, seed=2))


def test_the_real_model_is_read() -> None:
    pytest.importorskip("pocketsphinx")
    model = read_model(model_folder() / "en-us")
    assert len(model.phones) == len(model.means) == 42 and {"AA", "SIL", "ZH", "+NSN+"} <= set(model.phones)
    assert model.phones == tuple(sorted(model.phones))
    # Mixture weights of a state sum to one, up to their 8-bit coding.
    assert np.exp(model.weights).sum(axis=1) == pytest.approx(1.0, abs=0.12)
    assert (model.variances > 0).all()


def test_adaptation_brings_the_model_nearer_to_a_voice() -> None:
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("espeakng_loader")
    from turnwise.speech.engines import espeak

    speaking = espeak.synthesizer("en-us+f5").open()
    spoken: list[tuple[str, Sound]] = [
        (words, speaking.speak(words, seed=0)) for words in ("red paper seven", "green water open")
    ]
    before = read_model(model_folder() / "en-us")
    means = adaptation.adapt(spoken, rounds=1)
    assert means.shape == before.means.shape and np.isfinite(means).all()
    changed = np.abs(means - before.means).max(axis=(1, 2, 3)) > 1e-6
    assert changed[before.phones.index("EH")] and not changed[before.phones.index("ZH")]
