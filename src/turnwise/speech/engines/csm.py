"""Sesame CSM: a voice that is given what it said before, so that it stays the same voice.

The model (`sesame/csm-1b`, through transformers) speaks 24 kHz. Each utterance is spoken after the voice profile and the last
`remembers` utterances of the same voice in the dialogue, sound and text, all under one speaker id. Frames of 80 ms are sampled
from the utterance's own seed, so the same text, seed and past give the same sound alone or in a batch; a batch is only faster.

Options: `model` is a folder or a hub id, with `revision`. `voice` is a list of
`{audio = "me.wav", text = "the very words in it"}` that sets the voice (paths start where the command runs); without it, and
without past utterances, every new dialogue draws a voice of its own. Transcripts are required: the model goes on from the words,
and wrong ones spoil the sound. `remembers` (3), `speaker` (the id, "0"), `temperature` (0.9; 0 takes the likeliest frame) and
`top_k` (50; 0 for all), `most_seconds` (60). An utterance that reaches `most_seconds` ends there; with `strict_end` it is an
error "no-end" instead. `trim` takes silence off both ends (off: what the model says is what is heard). `batch` (8), `device`,
`dtype` (see docs/local_models.md).

Limits: English. A past that leaves no room for `most_seconds` within the model's positions is an error "context-length"; it is
never shortened. An utterance without a frame is an error "empty-audio". The codec always computes in float32.

Needs `pip install "turnwise[local]"` and the weights: `hf download sesame/csm-1b` (its terms must be accepted on the hub first).
Licence of the weights: Apache-2.0, as their card says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import file_digest, fingerprint
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.foundation.resampling import resample
from turnwise.speech.engine import Said, SpeakingMany, Utterance
from turnwise.speech.row_draws import RowDraws
from turnwise.speech.silence import trim as trimmed
from turnwise.speech.special_marks import broken_up, marks_of
from turnwise.speech.weights import (
    Placement,
    at_work,
    find_weights,
    free_memory,
    halving,
    load,
    load_reader,
    placement,
    versions,
)


def synthesizer(
    model: str,
    revision: str = "main",
    voice: Sequence[Mapping[str, str]] = (),
    remembers: int = 3,
    speaker: str = "0",
    temperature: float = 0.9,
    top_k: int = 50,
    most_seconds: float = 60.0,
    strict_end: bool = False,
    trim: bool = False,
    batch: int = 8,
    device: str = "auto",
    dtype: str = "auto",
) -> Csm:
    if remembers < 0:
        raise InputError(f"csm: remembers is {remembers}, expected at least 0")
    if not (isinstance(speaker, str) and speaker.isascii() and speaker.isdigit()):
        raise InputError(f"csm: speaker is {speaker!r}, expected digits in quotes, such as '0'")
    if not 0.0 <= temperature <= 10.0:
        raise InputError(f"csm: temperature is {temperature}, expected 0 to 10")
    if top_k < 0:
        raise InputError(f"csm: top_k is {top_k}, expected at least 0 (0: all)")
    if not 0.08 <= most_seconds <= 600.0:
        raise InputError(f"csm: most_seconds is {most_seconds}, expected 0.08 to 600")
    if batch < 1:
        raise InputError(f"csm: batch is {batch}, expected at least 1")
    samples = tuple(_sample(number, dict(given)) for number, given in enumerate(voice))
    place = placement("csm", device, dtype)
    return Csm(model, revision, samples, remembers, speaker, temperature, top_k, most_seconds, strict_end, trim, batch, place)


class Csm(msgspec.Struct, frozen=True):
    """The voice with its options settled."""

    model: str
    revision: str
    voice: tuple[tuple[str, str], ...]  # path of a sound and its words
    remembers: int
    speaker: str
    temperature: float
    top_k: int
    most_seconds: float
    strict_end: bool
    trim: bool
    batch: int
    placement: Placement

    @property
    def place(self) -> Place:
        return "device"

    def identity(self) -> Mapping[str, str]:
        sounds = fingerprint(*(file_digest(_file(audio)) for audio, _ in self.voice))
        return {
            "shared": lineage(__file__),
            **find_weights(self.model, self.revision).identity(),
            **self.placement.identity(),
            **({"voice": sounds} if self.voice else {}),
            **versions("torch", "transformers", "tokenizers", "soxr"),
        }

    def open(self) -> SpeakingMany:
        return CsmSpeaking(self)


class CsmSpeaking:
    """The voice with its weights loaded."""

    def __init__(self, csm: Csm) -> None:
        versions("torch", "transformers")
        import torch
        import transformers
        from transformers import CsmForConditionalGeneration, CsmProcessor

        self.batch = csm.batch
        self._csm = csm
        found = find_weights(csm.model, csm.revision)
        self._network = load(CsmForConditionalGeneration, found, msgspec.structs.replace(csm.placement, dtype="float32"))
        for name, part in self._network.named_children():
            if name != "codec_model":  # coarser numbers would be heard
                part.to(getattr(torch, csm.placement.numbers()))
        self._processor: Any = load_reader(CsmProcessor, found)
        config = self._network.config
        # Everything is drawn by RowDraws; what the checkpoint recommends is an option here.
        plain = {"do_sample": False, "bos_token_id": config.bos_token_id, "pad_token_id": config.pad_token_id}
        settings: Any = transformers.GenerationConfig
        self._network.generation_config = settings(**plain)
        self._network.depth_decoder.generation_config = settings(do_sample=False)
        self._rate = int(self._processor.feature_extractor.sampling_rate)
        self._frames = math.ceil(csm.most_seconds * self._rate / config.codec_config.frame_size)
        self._profile = tuple(Said(text, resample(read_sound(_file(audio)), self._rate)) for audio, text in csm.voice)

    def speak(self, text: str, *, seed: int) -> Sound:
        return self.speak_many([Utterance(text, seed)])[0]

    def speak_many(self, utterances: Sequence[Utterance]) -> list[Sound]:
        for utterance in utterances:
            if not any(character.isalnum() for character in utterance.text):
                raise EngineError("empty-text", f"there is nothing to say in {utterance.text[:40]!r}")
        return halving(utterances, self._speak)

    def close(self) -> None:
        self._network = self._processor = None
        free_memory()

    def _speak(self, utterances: Sequence[Utterance]) -> list[Sound]:
        prompts = [self._prompt(utterance) for utterance in utterances]
        heard = [said.sound.samples for utterance in utterances for said in self._past(utterance)]
        given = self._processor(text=prompts, audio=heard or None).to(self._network.device)
        room = self._network.config.max_position_embeddings - given["input_ids"].shape[1]
        if room < self._frames:
            raise EngineError(
                "context-length",
                f"the voice profile, the past and the text leave {room} of the model's positions; {self._csm.most_seconds:g} s"
                f" need {self._frames}: fewer remembered utterances or a smaller most_seconds",
            )
        seeds = [utterance.seed for utterance in utterances]
        # The codec knows fewer sounds than the model has ids; the others have no meaning as sound.
        entries = self._network.config.codec_config.codebook_size
        draws = RowDraws(seeds, self._csm.temperature, top_k=self._csm.top_k, below=entries)
        with at_work(), _drawing(self._network.depth_decoder, draws):
            codes = self._network.generate(**given, logits_processor=[draws], max_new_tokens=self._frames)
            return [self._sound(row, utterance) for row, utterance in zip(codes, utterances, strict=True)]

    def _past(self, utterance: Utterance) -> tuple[Said, ...]:
        """What the model is to go on from; a sound of no length has no frame to give."""
        before = utterance.before[-self._csm.remembers :] if self._csm.remembers else ()
        at_rate = (Said(said.text, resample(said.sound, self._rate)) for said in before if len(said.sound.samples))
        return (*self._profile, *at_rate)

    def _prompt(self, utterance: Utterance) -> str:
        marks = marks_of(self._processor.tokenizer)
        turns: list[dict[str, Any]] = []
        for text in (*(said.text for said in self._past(utterance)), utterance.text):
            content: list[dict[str, str]] = [{"type": "text", "text": broken_up(text, marks)}, {"type": "audio"}]
            turns.append({"role": self._csm.speaker, "content": content})
        turns[-1]["content"] = turns[-1]["content"][:1]
        prompt: str = self._processor.apply_chat_template(turns, tokenize=False)
        return prompt

    def _sound(self, codes: Any, utterance: Utterance) -> Sound:
        """One row of codes (frame, codebook) as sound, up to the frame with which the model ended."""
        # The model stops by all codebooks but the last; the last may hold anything there.
        ends = (codes[:, :-1] == self._network.config.codebook_eos_token_id).all(dim=-1).nonzero()
        if not len(ends) and self._csm.strict_end:
            raise EngineError("no-end", f"{self._csm.most_seconds:g} s did not suffice for {utterance.text[:60]!r}")
        codes = codes[: int(ends[0])] if len(ends) else codes
        if not len(codes):
            raise EngineError("empty-audio", f"no sound came of {utterance.text[:60]!r}")
        wave = self._network.codec_model.decode(codes.T[None]).audio_values[0, 0].float().cpu().numpy()
        if not np.isfinite(wave).all():
            raise EngineError("broken-audio", f"the sound of {utterance.text[:60]!r} has samples that are not numbers")
        sound = Sound(np.ascontiguousarray(wave, dtype=np.float32), self._rate)
        sound = trimmed(sound) if self._csm.trim else sound
        if not len(sound.samples):
            raise EngineError("empty-audio", f"only silence came of {utterance.text[:60]!r}")
        return sound


@contextmanager
def _drawing(decoder: Any, draws: RowDraws) -> Iterator[None]:
    """Let the inner decoder, which the model asks for each frame by itself, draw like the outer one."""
    ask = decoder.generate
    decoder.generate = lambda **given: ask(**given, logits_processor=[draws])
    try:
        yield
    finally:
        del decoder.generate


def _sample(number: int, given: dict[str, str]) -> tuple[str, str]:
    if set(given) != {"audio", "text"}:
        raise InputError(f"csm: voice[{number}] has {', '.join(sorted(given)) or 'nothing'}, expected exactly audio and text")
    if not str(given["text"]).strip():
        raise InputError(f"csm: voice[{number}].text is empty, expected the words spoken in {given['audio']}")
    return str(given["audio"]), str(given["text"])


def _file(audio: str) -> Path:
    path = Path(audio).expanduser()
    if not path.is_file():
        raise InputError(f"csm: the voice's sound {audio} does not exist")
    return path
