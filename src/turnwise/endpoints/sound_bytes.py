"""Sounds as bytes: how they are sent to servers, and how what servers send is read.

Sent is 16-bit mono WAV. Read are WAV in any common encoding, raw 16-bit little-endian samples, and what soundfile opens (FLAC,
MP3, Ogg). Servers that stream are lax with WAV: a length of 0 or of nearly 4 GiB means "until the end", each piece may be a whole
WAV or only the first may have a header, base64 may be cut anywhere. All that is read. A WAV that ends before its stated length,
pieces of different rates, rates that no speech has and samples that are not finite numbers are EngineErrors of the cause
"broken-audio".
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Samples, Sound
from turnwise.foundation.errors import EngineError

SLOWEST, FASTEST = 4000, 192000  # samples per second; a rate outside is a mistake, not speech
_UNKNOWN_LENGTH = 0x7FFF0000  # bytes; programs that write WAV to a pipe put a length from here up, or 0
_UNKNOWN_FRAMES = 1 << 40  # soundfile gives more when a stream does not say how long it is
_COMPRESSED = (b"fLaC", b"OggS", b"ID3")  # where raw samples may come instead


class Received(msgspec.Struct, frozen=True):
    """What came of received bytes."""

    sound: Sound | None  # None where there were no samples
    notes: tuple[str, ...] = ()  # what had to be done to them


class _Wav(msgspec.Struct, frozen=True):
    form: bytes  # the fmt chunk
    start: int  # of the samples
    length: int  # of the samples in bytes, as the header has it


def to_wav(sound: Sound) -> bytes:
    """16-bit WAV; what lies outside -1 to 1 is clipped."""
    if not np.isfinite(sound.samples).all():
        raise EngineError("broken-audio", "the sound to be sent has samples that are not finite numbers")
    data = np.clip(np.rint(sound.samples * np.float32(32768)), -32768, 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, sound.rate, 2 * sound.rate, 2, 16)
    return _riff(form, data)


def to_base64(sound: Sound) -> str:
    """The WAV as text for JSON."""
    return base64.b64encode(to_wav(sound)).decode("ascii")


def from_base64(texts: Sequence[str]) -> list[bytes]:
    """The bytes of base64 that came in pieces, one piece of bytes for each where they were cut at whole bytes.

    Pieces that were encoded each for itself and one encoding that was cut anywhere give the same bytes.
    """
    pieces: list[bytes] = []
    rest = ""
    for text in texts:
        text = rest + text.partition("base64,")[2] if text.startswith("data:") else rest + text
        whole = len(text) - len(text) % 4
        rest = text[whole:]
        pieces.append(_decoded(text[:whole]))
    if rest:
        pieces.append(_decoded(rest + "=" * (-len(rest) % 4)))
    return [piece for piece in pieces if piece]


def from_bytes(data: bytes, raw_rate: int | None = None) -> Received:
    """The sound in the bytes; without a header they are 16-bit mono samples at `raw_rate`, where that is given."""
    return from_pieces([data], raw_rate)


def from_pieces(pieces: Sequence[bytes], raw_rate: int | None = None) -> Received:
    """The sound that came in these pieces, one after the other."""
    pieces = [piece for piece in pieces if piece]
    if not pieces:
        return Received(None)
    if pieces[0].startswith(_COMPRESSED) or (raw_rate is None and not _is_wav(pieces[0])):
        return _joined([_opened(b"".join(pieces))])
    groups: list[list[bytes]] = []
    for piece in pieces:
        if not groups or _is_wav(piece):
            groups.append([])
        groups[-1].append(piece)
    return _joined([_read(group, raw_rate) for group in groups])


_Part = tuple[Samples, int, tuple[str, ...]]


def _joined(parts: list[_Part]) -> Received:
    rates = sorted({rate for _, rate, _ in parts})
    if len(rates) > 1:
        raise EngineError("broken-audio", f"the pieces of one sound have different rates: {', '.join(map(str, rates))}")
    notes = tuple(dict.fromkeys(note for _, _, told in parts for note in told))
    sounds = [samples for samples, _, _ in parts if len(samples)]
    if not sounds:
        return Received(None, notes)
    if _grows(sounds):
        sounds, notes = sounds[-1:], (*notes, "each piece of the sound held all earlier ones: the last was taken")
    samples = np.concatenate(sounds) if len(sounds) > 1 else sounds[0]
    if not np.isfinite(samples).all():
        raise EngineError("broken-audio", "the sound has samples that are not finite numbers")
    return Received(Sound(np.ascontiguousarray(samples), rates[0]), notes)


def _grows(sounds: list[Samples]) -> bool:
    """Whether a server sent each time all it had so far, as some versions of vLLM-Omni do."""
    return len(sounds) > 1 and all(
        len(before) < len(after) and before.any() and np.array_equal(before, after[: len(before)])
        for before, after in pairwise(sounds)
    )


def _read(group: list[bytes], raw_rate: int | None) -> _Part:
    """One WAV, or what follows its header in further pieces, or raw samples."""
    whole = b"".join(group)
    if not _is_wav(whole):
        assert raw_rate is not None  # else the pieces went to soundfile
        data, notes = _without_odd_end(whole, 2)
        return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768), raw_rate, notes
    wav = _header(whole)
    first, end = len(group[0]), wav.start + wav.length
    if wav.length == 0 or wav.length >= _UNKNOWN_LENGTH:
        data = whole[wav.start :]
    elif end <= first:  # a whole WAV; pieces without a header go on where it ends
        data = whole[wav.start : end] + whole[first:]
    elif end <= len(whole):
        data = whole[wav.start : end]
    else:
        have = len(whole) - wav.start
        raise EngineError("broken-audio", f"the sound is cut short: its header promises {wav.length} bytes, {have} came")
    if len(wav.form) < 16:
        raise EngineError("broken-audio", "the WAV header does not say how its samples are written")
    data, notes = _without_odd_end(data, max(1, struct.unpack_from("<H", wav.form, 12)[0]))
    rate = _checked(struct.unpack_from("<I", wav.form, 4)[0])
    if not data:
        return np.zeros(0, np.float32), rate, notes
    samples, rate, more = _opened(_riff(wav.form, data))
    return samples, rate, (*notes, *more)


def _is_wav(data: bytes) -> bool:
    return data[:4] == b"RIFF" and (len(data) < 12 or data[8:12] == b"WAVE")


def _header(data: bytes) -> _Wav:
    at, form = 12, b""
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"data":
            return _Wav(form, at + 8, length)
        if name == b"fmt ":
            form = data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise EngineError("broken-audio", "the WAV has no samples chunk")


def _without_odd_end(data: bytes, block: int) -> tuple[bytes, tuple[str, ...]]:
    over = len(data) % block
    return (data[:-over], ("part of a sample at the end of the sound was dropped",)) if over else (data, ())


def _opened(data: bytes) -> _Part:
    """A sound file with a proper header, as one channel."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples: NDArray[np.float32] = file.read(dtype="float32", always_2d=True)
            promised, rate = file.frames, file.samplerate
    except (soundfile.LibsndfileError, ValueError) as error:
        why = getattr(error, "error_string", None) or str(error)  # the whole text names an object in memory
        raise EngineError("broken-audio", f"the sound cannot be read: {why.strip().rstrip('.')}") from error
    if len(samples) < promised < _UNKNOWN_FRAMES:
        raise EngineError("broken-audio", f"the sound is cut short: {promised} samples promised, {len(samples)} came")
    channels = samples.shape[1]
    if channels == 1:
        return samples[:, 0], _checked(rate), ()
    return samples.mean(axis=1, dtype=np.float32), _checked(rate), (f"mean of {channels} channels",)


def _checked(rate: int) -> int:
    if not SLOWEST <= rate <= FASTEST:
        raise EngineError("broken-audio", f"the sound says it has {rate} samples per second")
    return rate


def _riff(form: bytes, data: bytes) -> bytes:
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EngineError("broken-audio", f"the sound is not base64: {error}") from error
