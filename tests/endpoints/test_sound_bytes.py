"""Sounds as bytes: WAV as servers write it, raw samples, base64 cut anywhere."""

from __future__ import annotations

import base64
import io
import struct
import wave
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from servers.speech_server import open_ended
from turnwise.endpoints.sound_bytes import from_base64, from_bytes, from_pieces, to_base64, to_wav
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError

RAMP = (np.arange(-300, 301, dtype=np.float32) * 100 / 32768).astype(np.float32)
SOUND = Sound(RAMP, 16000)


def wav(data: bytes, channels: int = 1, rate: int = 16000, bits: int = 16, code: int = 1, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form + extra + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def raw(samples: np.ndarray) -> bytes:
    return np.rint(samples * 32768).astype("<i2").tobytes()


def pcm(sound: Sound | None) -> list[int]:
    assert sound is not None
    return np.rint(sound.samples * 32768).astype(int).tolist()


def broken(pieces: list[bytes], raw_rate: int | None = None) -> str:
    with pytest.raises(EngineError) as caught:
        from_pieces(pieces, raw_rate)
    assert caught.value.cause == "broken-audio"
    return caught.value.message


def test_what_is_written_is_a_wav_that_others_read() -> None:
    with wave.open(io.BytesIO(to_wav(SOUND))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (1, 2, 16000, 601)
        assert file.readframes(601) == raw(RAMP)
    samples, rate = soundfile.read(io.BytesIO(to_wav(SOUND)), dtype="float32")
    assert rate == 16000
    np.testing.assert_array_equal(samples, RAMP)
    assert base64.b64decode(to_base64(SOUND)) == to_wav(SOUND)


def test_what_lies_outside_is_clipped_and_what_is_no_number_refused() -> None:
    loud = Sound(np.array([2.0, -2.0, 1.0], np.float32), 8000)
    assert to_wav(loud)[44:] == struct.pack("<3h", 32767, -32768, 32767)
    with pytest.raises(EngineError) as caught:
        to_wav(Sound(np.array([np.nan], np.float32), 8000))
    assert caught.value.cause == "broken-audio"


def test_a_wav_comes_back_as_it_was() -> None:
    received = from_bytes(to_wav(SOUND))
    assert received.sound is not None
    assert (received.sound.rate, received.notes) == (16000, ())
    np.testing.assert_array_equal(received.sound.samples, RAMP)


@pytest.mark.parametrize("length", [0, 0x7FFF0000, 0xFFFFFFFF])
def test_a_streamed_wav_has_no_length_and_is_read_to_its_end(length: int) -> None:
    received = from_bytes(open_ended(to_wav(SOUND), length))
    assert pcm(received.sound) == pcm(SOUND)


def test_other_chunks_are_stepped_over() -> None:
    listed = b"LIST" + struct.pack("<I", 5) + b"abcde" + b"\0"  # an odd length is padded
    assert pcm(from_bytes(wav(raw(RAMP), extra=listed)).sound) == pcm(SOUND)
    assert pcm(from_bytes(to_wav(SOUND) + b"LIST" + struct.pack("<I", 4) + b"late").sound) == pcm(SOUND)


@pytest.mark.parametrize(
    ("subtype", "exact"), [("PCM_U8", False), ("PCM_24", True), ("PCM_32", True), ("FLOAT", True), ("ULAW", False)]
)
def test_every_encoding_is_read_as_soundfile_reads_it(subtype: str, exact: bool) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, RAMP, 16000, format="WAV", subtype=subtype)
    received = from_bytes(buffer.getvalue())
    expected, _ = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32")
    assert received.sound is not None
    np.testing.assert_array_equal(received.sound.samples, expected)
    if exact:
        np.testing.assert_array_equal(received.sound.samples, RAMP)


def test_an_extensible_header_is_read() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, RAMP, 16000, format="WAVEX", subtype="PCM_16")
    assert pcm(from_bytes(buffer.getvalue()).sound) == pcm(SOUND)


def test_two_channels_become_their_mean() -> None:
    received = from_bytes(wav(raw(np.column_stack([RAMP, -RAMP]).ravel()), channels=2))
    assert pcm(received.sound) == [0] * 601
    assert received.notes == ("mean of 2 channels",)


def test_raw_samples_need_a_rate() -> None:
    received = from_bytes(raw(RAMP), 24000)
    assert received.sound is not None
    assert received.sound.rate == 24000
    assert pcm(received.sound) == pcm(SOUND)
    assert broken([raw(RAMP)]) == "the sound cannot be read: Format not recognised"


def test_half_a_sample_at_the_end_is_dropped_and_said() -> None:
    for data, rate in ((raw(RAMP) + b"\x01", 24000), (open_ended(to_wav(SOUND)) + b"\x01", None)):
        received = from_bytes(data, rate)
        assert pcm(received.sound) == pcm(SOUND)
        assert received.notes == ("part of a sample at the end of the sound was dropped",)


@pytest.mark.parametrize("form", ["FLAC", "OGG"])
def test_compressed_sounds_are_read_also_in_pieces(form: str) -> None:
    buffer = io.BytesIO()
    tone = np.sin(np.arange(8000) / 20).astype(np.float32) / 2
    soundfile.write(buffer, tone, 16000, format=form)
    data = buffer.getvalue()
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    received = from_pieces([data[:100], data[100:]])
    assert received.sound is not None
    np.testing.assert_array_equal(received.sound.samples, expected)


def test_mp3_is_read() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(16000) / 20).astype(np.float32) / 2, 16000, format="MP3")
    received = from_bytes(buffer.getvalue())
    assert received.sound is not None
    assert received.sound.rate == 16000
    assert abs(received.sound.seconds - 1.0) < 0.2


def test_nothing_is_no_sound() -> None:
    assert from_pieces([]).sound is None
    assert from_pieces([b"", b""], 24000).sound is None
    assert from_bytes(wav(b"")).sound is None
    assert from_bytes(b"\x01", 24000).sound is None


def test_pieces_are_put_together() -> None:
    thirds = [Sound(RAMP[a : a + 200], 16000) for a in (0, 200, 400)]
    wavs = [to_wav(one) for one in thirds] + [to_wav(Sound(RAMP[600:], 16000))]
    assert pcm(from_pieces(wavs).sound) == pcm(SOUND)  # each a whole WAV
    tails = [one[44:] for one in wavs[1:]]
    assert pcm(from_pieces([wavs[0], *tails]).sound) == pcm(SOUND)  # only the first has a header, of its own length
    assert pcm(from_pieces([open_ended(wavs[0]), *tails]).sound) == pcm(SOUND)  # ... of no length
    whole = to_wav(SOUND)
    assert pcm(from_pieces([whole[:301], whole[301:]]).sound) == pcm(SOUND)  # ... of the whole's length
    assert pcm(from_pieces([whole[:5], whole[5:20], whole[20:]]).sound) == pcm(SOUND)  # ... and is cut itself
    assert pcm(from_pieces([wavs[0], b"", to_wav(SOUND)[44 + 400 :]]).sound) == pcm(SOUND)


@given(st.lists(st.integers(0, 1202), max_size=6))
def test_raw_samples_may_be_cut_anywhere(cuts: list[int]) -> None:
    data = raw(RAMP)
    at = [0, *sorted(cuts), len(data)]
    received = from_pieces([data[a:b] for a, b in pairwise(at)], 24000)
    assert pcm(received.sound) == pcm(SOUND)
    assert received.notes == ()


@given(st.binary(max_size=200), st.lists(st.integers(0, 268), max_size=6))
def test_base64_may_be_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    text = base64.b64encode(data).decode()
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert b"".join(from_base64([text[a:b] for a, b in pairwise(at)])) == data


@given(st.lists(st.binary(max_size=40)))
def test_pieces_encoded_each_for_itself_stay_pieces(pieces: list[bytes]) -> None:
    assert from_base64([base64.b64encode(piece).decode() for piece in pieces]) == [piece for piece in pieces if piece]


def test_base64_without_padding_and_with_a_data_address() -> None:
    assert b"".join(from_base64(["data:audio/wav;base64,YWJj", "ZGU"])) == b"abcde"
    with pytest.raises(EngineError, match="is not base64"):
        from_base64(["YW!j"])
    with pytest.raises(EngineError, match="is not base64"):
        from_base64(["YWJjZ"])


def test_a_server_that_repeats_all_it_has_is_found_out() -> None:
    grown = [to_wav(Sound(RAMP[:end], 16000)) for end in (200, 400, 601)]
    received = from_pieces(grown)
    assert pcm(received.sound) == pcm(SOUND)
    assert received.notes == ("each piece of the sound held all earlier ones: the last was taken",)
    silence = Sound(np.zeros(10, np.float32), 16000)
    assert pcm(from_pieces([to_wav(silence), to_wav(Sound(np.zeros(20, np.float32), 16000))]).sound) == [0] * 30


def test_what_is_broken_is_told() -> None:
    assert broken([to_wav(SOUND)[:-2]]) == "the sound is cut short: its header promises 1202 bytes, 1200 came"
    assert broken([to_wav(SOUND), to_wav(Sound(RAMP, 24000))]) == "the pieces of one sound have different rates: 16000, 24000"
    assert broken([wav(raw(RAMP), rate=0)]) == "the sound says it has 0 samples per second"
    assert broken([wav(raw(RAMP), rate=1_000_000)]) == "the sound says it has 1000000 samples per second"
    assert broken([b"RIFF"], 24000) == "the WAV has no samples chunk"
    assert broken([b"RIFF\0\0\0\0WAVEfmt "]) == "the WAV has no samples chunk"
    assert broken([b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd"]) == "the WAV header does not say how its samples are written"
    assert "cannot be read" in broken([wav(raw(RAMP), code=0x1234)])
    assert "cannot be read" in broken([b"fLaC" + bytes(100)])
    nan = np.array([0.5, np.nan], "<f4").tobytes()
    assert broken([wav(nan, bits=32, code=3)]) == "the sound has samples that are not finite numbers"


def test_a_compressed_sound_cut_short_is_not_passed_off_as_whole() -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 40000).astype(np.float32)
    soundfile.write(buffer, noise, 16000, format="FLAC", subtype="PCM_16")
    broken([buffer.getvalue()[: len(buffer.getvalue()) // 2]])
