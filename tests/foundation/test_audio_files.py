from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import BLOCK, opened, read_file, read_sound, write_sound
from turnwise.foundation.errors import InputError, MissingDependency, StorageError

RATE = 16000


def tone(hertz: float = 440.0, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def loudest(samples: np.ndarray, rate: int) -> float:
    return float(np.fft.rfftfreq(len(samples), 1 / rate)[np.abs(np.fft.rfft(samples)).argmax()])


@pytest.mark.parametrize(
    ("ending", "form", "subtype", "off"),
    [
        ("wav", "WAV", "PCM_16", 1e-4),
        ("wav", "WAV", "FLOAT", 1e-7),
        ("flac", "FLAC", "PCM_16", 1e-4),
        ("aiff", "AIFF", "PCM_16", 1e-4),
    ],
)
def test_exact_forms(tmp_path: Path, ending: str, form: str, subtype: str, off: float) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(), RATE, format=form, subtype=subtype)
    found = read_file(path)
    assert (found.sound.rate, found.channels, found.note) == (RATE, 1, "")
    assert np.abs(found.sound.samples - tone()).max() <= off


@pytest.mark.parametrize(("ending", "form", "subtype"), [("mp3", "MP3", None), ("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS")])
def test_lossy_forms(tmp_path: Path, ending: str, form: str, subtype: str | None) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(), RATE, format=form, subtype=subtype)
    sound = read_sound(path)
    assert sound.seconds == pytest.approx(0.5, abs=0.1)
    assert loudest(sound.samples, sound.rate) == pytest.approx(440, abs=5)


def test_channels_become_their_mean_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    left, right = tone(300), tone(700)
    soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    found = read_file(path)
    assert (found.channels, found.note) == (2, "mean of 2 channels")
    assert np.allclose(found.sound.samples, (left + right) / 2, atol=1e-6)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _nan(path: Path) -> None:
    samples = tone()
    samples[7] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("a.wav", lambda path: path.write_bytes(b""), "cannot be read"),
        ("a.wav", lambda path: path.write_bytes(b"RIFF but no more"), "cannot be read"),
        ("a.flac", lambda path: path.write_text("a poem"), "cannot be read"),
        ("a.mp3", lambda path: path.write_bytes(b"\0" * 3000), "cannot be read"),
        ("a.wav", lambda path: soundfile.write(path, np.zeros(0), RATE), "holds no samples"),
        ("a.wav", _nan, "not finite"),
        ("a.wav", lambda path: path.mkdir(), "is a folder"),
        ("a.wav", lambda path: None, "does not exist"),
    ],
)
def test_what_is_wrong_is_said_with_the_name(tmp_path: Path, name: str, damage: object, words: str) -> None:
    path = tmp_path / name
    damage(path)  # type: ignore[operator]
    with pytest.raises(InputError, match=words) as caught:
        read_sound(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_file_cut_short_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32), RATE, subtype="PCM_16")
    _truncate(path)
    with pytest.raises(InputError, match=r"a\.") as caught:
        read_sound(path)
    assert str(path) in str(caught.value)


def test_a_length_left_open_by_a_pipe_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))
    assert read_sound(path).seconds == pytest.approx(0.5)


# ---------------------------------------------------------------- piece by piece


def hiss(frames: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(4).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


def write_in_pieces(path: Path, samples: np.ndarray, form: str, subtype: str | None) -> None:
    """libsndfile's Vorbis coder overflows its stack when it is given a minute at once."""
    with soundfile.SoundFile(path, "w", RATE, samples.shape[1], subtype, format=form) as file:
        for start in range(0, len(samples), RATE):
            file.write(samples[start : start + RATE])


@pytest.mark.parametrize(
    ("ending", "form", "subtype"),
    [
        ("wav", "WAV", "FLOAT"),
        ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "VORBIS"),
        ("opus", "OGG", "OPUS"),
        ("mp3", "MP3", None),
    ],
)
def test_blocks_are_the_file(tmp_path: Path, ending: str, form: str, subtype: str | None) -> None:
    path = tmp_path / f"a.{ending}"
    write_in_pieces(path, hiss(2 * BLOCK + 1000), form, subtype)
    whole, rate = soundfile.read(path, dtype="float32", always_2d=True)
    with opened(path) as file:
        blocks = list(file.blocks)
        assert (file.rate, file.channels) == (rate, 2)
    assert [len(block) for block in blocks] == [BLOCK, BLOCK, len(whole) - 2 * BLOCK]
    assert {block.dtype.name for block in blocks} == {"float32"}
    # mpg123 rounds otherwise where a block ends.
    assert np.abs(np.concatenate(blocks) - whole).max() <= (5e-7 if form == "MP3" else 0.0)
    assert np.array_equal(read_file(path).sound.samples, np.concatenate([block.mean(axis=1) for block in blocks]))


def test_blocks_of_a_container_are_as_even(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="stereo")
        for start in range(0, 2 * BLOCK + 9000, 48000):
            piece = np.ascontiguousarray(hiss(2 * BLOCK + 9000)[start : start + 48000].T)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with opened(path) as file:
        lengths = [block.shape for block in file.blocks]
    assert lengths[:-1] == [(BLOCK, 2)] * 2 and 0 < lengths[-1][0] < BLOCK


def test_what_is_wrong_late_in_a_file_is_told_there(tmp_path: Path) -> None:
    samples = hiss(2 * BLOCK)
    samples[-1, 1] = np.inf
    write_in_pieces(tmp_path / "a.wav", samples, "WAV", "FLOAT")
    write_in_pieces(tmp_path / "b.wav", hiss(2 * BLOCK), "WAV", "FLOAT")
    os.truncate(tmp_path / "b.wav", (tmp_path / "b.wav").stat().st_size - 4000)
    for name, blocks, said in (("a.wav", 1, "not finite"), ("b.wav", 2, "cut short: .* than its 523788 samples")):
        taken = 0
        with pytest.raises(InputError, match=said), opened(tmp_path / name) as file:
            for _ in file.blocks:
                taken += 1
        assert taken == blocks


def test_errors_of_the_reader_are_its_own(tmp_path: Path) -> None:
    write_sound(Sound(tone(), RATE), tmp_path / "a.wav")
    with pytest.raises(OSError, match="of the reader"), opened(tmp_path / "a.wav"):
        raise OSError("of the reader")


def test_names_of_any_bytes_are_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\xfe.wav"))
    soundfile.write(os.fsencode(path), tone(), RATE, format="WAV")
    assert read_sound(path).seconds == 0.5


def test_containers_need_an_optional_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependency, match=r"pip install"):
        read_sound(path)


@pytest.mark.parametrize(("ending", "codec"), [("m4a", "aac"), ("webm", "libopus")])
def test_containers(tmp_path: Path, ending: str, codec: str) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        samples = tone(440, 1.0, 48000).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="flt", layout="mono")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    sound = read_sound(path)
    assert sound.rate == 48000 and sound.seconds == pytest.approx(1.0, abs=0.1)
    assert loudest(sound.samples, sound.rate) == pytest.approx(440, abs=5)
    path.write_bytes(b"no container")
    with pytest.raises(InputError, match="cannot be read"):
        read_sound(path)


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_written_sounds_come_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    write_sound(Sound(tone(), RATE), path)
    back = read_sound(path)
    assert back.rate == RATE and np.abs(back.samples - tone()).max() < 1e-4
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_loud_samples_are_clipped_not_wrapped(tmp_path: Path) -> None:
    write_sound(Sound(np.array([3.0, -3.0], dtype=np.float32), RATE), tmp_path / "a.wav")
    assert read_sound(tmp_path / "a.wav").samples == pytest.approx([1.0, -1.0], abs=1e-3)


def test_other_endings_and_unusable_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.wav, \.flac"):
        write_sound(Sound(tone(), RATE), tmp_path / "a.mp3")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_sound(Sound(tone(), RATE), tmp_path / "file" / "a.wav")


def test_real_speech_is_read() -> None:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "speech"
    if not folder.is_dir():
        pytest.skip("no recordings beside the repository")
    lengths = {path.name: read_sound(path).seconds for path in sorted(folder.iterdir())}
    assert lengths["jfk.flac"] == pytest.approx(11.0)
