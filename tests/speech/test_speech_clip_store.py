from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, StorageError
from turnwise.foundation.fingerprint import fingerprint
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore


def tone(hertz: float = 440.0, seconds: float = 0.25, rate: int = 16000) -> Sound:
    return Sound((0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32), rate)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


def test_a_kept_sound_comes_back(store: ClipStore) -> None:
    sound = tone()
    clip = store.keep(sound, "noise snr=10")
    back = store.load(clip)
    assert (clip.rate, clip.seconds, clip.perturbation) == (16000, 0.25, "noise snr=10")
    assert back.rate == sound.rate
    assert np.abs(back.samples - sound.samples).max() <= 0.5 / 32768 + 1e-9
    assert store.check(clip) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1.5, 1.5, width=32), min_size=1, max_size=300), st.sampled_from([8000, 22050, 48000]))
def test_what_was_loaded_is_kept_under_the_same_name(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], rate: int
) -> None:
    store = ClipStore(tmp_path_factory.mktemp("clips"))
    clip = store.keep(Sound(np.array(values, dtype=np.float32), rate))
    assert store.keep(store.load(clip)) == clip


def test_name_depends_on_samples_and_rate_only(store: ClipStore) -> None:
    first, again, other = store.keep(tone()), store.keep(tone(), "telephone"), store.keep(tone(441))
    slower = store.keep(Sound(tone().samples, 8000))
    assert first.digest == again.digest
    assert len({first.digest, other.digest, slower.digest}) == 3
    assert len(list(store.root.rglob("*.flac"))) == 3


def test_files_are_16_bit_flac_named_by_the_digest_without_its_tag(store: ClipStore) -> None:
    clip = store.keep(tone())
    path = store.path(clip)
    assert path.relative_to(store.root).as_posix() == f"{clip.digest[3:5]}/{clip.digest[5:]}.flac"
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)


def test_an_existing_file_is_reused_and_an_empty_one_made_good(store: ClipStore) -> None:
    clip = store.keep(tone())
    path = store.path(clip)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    store.keep(tone())
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    path.write_bytes(b"")
    store.keep(tone())
    assert store.check(clip) is None


def test_loud_samples_are_clipped(store: ClipStore) -> None:
    clip = store.keep(Sound(np.array([2.0, -2.0, 0.0], dtype=np.float32), 8000))
    assert store.load(clip).samples.tolist() == [32767 / 32768, -1.0, 0.0]


@pytest.mark.parametrize(("samples", "cause"), [([], "empty-audio"), ([0.0, np.nan], "broken-audio"), ([np.inf], "broken-audio")])
def test_what_is_no_sound_is_refused(store: ClipStore, samples: list[float], cause: str) -> None:
    with pytest.raises(EngineError) as caught:
        store.keep(Sound(np.array(samples, dtype=np.float32), 8000))
    assert caught.value.cause == cause


def test_check_and_load_say_what_is_wrong(store: ClipStore) -> None:
    clip = store.keep(tone(seconds=1.0))
    path = store.path(clip)
    whole = path.read_bytes()
    cases = {
        "missing": path.unlink,
        "not a readable": lambda: path.write_bytes(b"no sound at all"),
        "readable FLAC": lambda: path.write_bytes(whole[:30]),
        "other samples": lambda: soundfile.write(path, np.zeros(100, dtype=np.int16), 16000, format="FLAC"),
    }
    for words, damage in cases.items():
        damage()
        wrong = store.check(clip)
        assert wrong is not None and words in wrong and str(path) in wrong
        with pytest.raises(StorageError, match=words):
            store.load(clip)
    path.write_bytes(whole)
    assert store.check(clip) is None
    assert "other samples" in str(store.check(Clip(clip.digest, 8000, clip.seconds)))


@pytest.mark.parametrize("cut", [1000, 3000, -1])
def test_a_truncated_file_is_noticed(store: ClipStore, cut: int) -> None:
    draw = np.random.default_rng(1)
    clip = store.keep(Sound((0.1 * draw.standard_normal(8000)).astype(np.float32), 16000))
    path = store.path(clip)
    path.write_bytes(path.read_bytes()[:cut])
    assert store.check(clip) is not None


@pytest.mark.parametrize("digest", ["../../x", "b2:../../../../etc/passwd", "", "b2:" + "g" * 32, "b2:" + "0" * 31 + "/"])
def test_no_path_is_made_of_anything_but_a_fingerprint(store: ClipStore, digest: str) -> None:
    clip = Clip(digest, 16000, 1.0)
    with pytest.raises(InputError, match="fingerprint"):
        store.path(clip)
    with pytest.raises(InputError, match="fingerprint"):
        store.once(digest, lambda: 1, int)
    assert "fingerprint" in str(store.check(clip))


def _keep_all(store: ClipStore) -> list[str]:
    return [store.keep(tone(hertz)).digest for hertz in range(200, 230)]


def test_many_processes_keep_the_same_sounds(store: ClipStore) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        names = pool.map(_keep_all, [pickle.loads(pickle.dumps(store))] * 3)
    assert names[0] == names[1] == names[2] == _keep_all(store)
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) == 30 and all(path.suffix == ".flac" for path in files)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ClipStore(tmp_path / "file")
    with pytest.raises(StorageError, match="file"):
        store.keep(tone())
    with pytest.raises(StorageError, match="file"):
        store.once(fingerprint("key"), lambda: 1, int)


@pytest.mark.skipif(not os.path.exists("/dev/full") or os.geteuid() != 0, reason="needs a full device")
def test_a_full_disk_is_named_and_leaves_nothing(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fdopen

    def full(handle: int, mode: str) -> object:
        os.close(handle)
        return real(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(StorageError, match="No space left"):
        store.keep(tone())
    monkeypatch.undo()
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_a_step_runs_once_and_its_time_is_that_of_the_real_run(store: ClipStore) -> None:
    calls: list[int] = []

    def step() -> list[str]:
        calls.append(1)
        return ["a", "ü"]

    first = store.once(fingerprint("step"), step, list[str])
    again = store.once(fingerprint("step"), step, list[str])
    assert first == again and first[0] == ["a", "ü"] and first[1] > 0 and len(calls) == 1
    store.once(fingerprint("other step"), step, list[str])
    assert len(calls) == 2


def test_records_are_memo_values(store: ClipStore) -> None:
    clip = store.keep(tone())
    key = fingerprint("clip")
    store.once(key, lambda: clip, Clip)
    assert store.once(key, lambda: pytest.fail("ran twice"), Clip)[0] == clip


@pytest.mark.parametrize("damage", [b"", b'{"value": [1', b'{"value": "text", "seconds": 1}', b"\xff\xfe", b"[]"])
def test_a_damaged_memo_is_absent(store: ClipStore, damage: bytes) -> None:
    key = fingerprint("memo")
    store.once(key, lambda: 1, int)
    (path,) = (store.root / "memo").rglob("*.json")
    path.write_bytes(damage)
    assert store.once(key, lambda: 2, int)[0] == 2
    assert json.loads(path.read_bytes())["value"] == 2


def test_a_step_that_fails_leaves_no_memo(store: ClipStore) -> None:
    def fails() -> int:
        raise EngineError("timeout", "too slow")

    with pytest.raises(EngineError):
        store.once(fingerprint("x"), fails, int)
    assert store.once(fingerprint("x"), lambda: 3, int)[0] == 3
