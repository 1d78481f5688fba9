"""An end-to-end audio model in this process: it hears the turn, thinks, and speaks with its own voice.

Made for Qwen2.5-Omni (3B, 7B) and Qwen3-Omni. With `aloud = false` it is text mode: the same model's own thinking part, words
or sound in and words out, as the mind of a `cascade` (recogniser, the model's own text mode, a synthesizer). In text mode any
model of transformers that takes sound in its chat messages will do, Qwen2-Audio for one. docs/audio_models.md has the commands
and says what was tried.

What it is shown: the study's instructions as the system message, then the past exactly as the context policy shows it, user
turns and its own, each with its sound, its words, or both, sound first. `identity_prompt = "model"` puts the sentence by which
Qwen2.5-Omni is told who it is before the instructions. Its authors warn that its speech may not work as expected under any
other system message; with the sentence it reads more than the other arms do, so every reply notes it. Without instructions
there is no system message, and the model's own template may put one in.

A turn that does not fit the model's limit is an error ("context-length"); with `cut = "oldest"` the oldest rounds are dropped
and the reply notes how many are left. Too little memory is an error ("out-of-memory"): never less history, never another
answer. A clip longer than the model's ears is one too ("audio-length"; 300 s for Qwen2.5-Omni, 30 s for Qwen2-Audio). Words
stay as generated; only special tokens are taken out. Nothing to say is silence; words without sound where sound was wanted are
an error ("empty-audio"). A reply that ran into `most_tokens`, or speech into `most_speech_tokens`, is kept and noted.

Timings: `think` runs from the turn's end to the last token of the text, the hearing of the past in it; `speak` is the talker
and the vocoder; `first_audio` is the sum of both, because nothing is streamed here: a server that streams speaks sooner. In a
batch `think` is the time of the whole batch.

Options: `model`, a folder or a hub id that was downloaded, and its `revision`; `voice`, one of the model's own ("" its
default); `aloud`; `temperature` of the text (0.7 as in the published study, 0 takes the most probable token), with `top_k` (0),
`top_p` (1) and `repetition_penalty` (1), which are none of them at work unless set, whatever the model's files say; the talker
samples by the model's own settings; `most_tokens` of text, `most_speech_tokens` of sound codes (50 a second for Qwen2.5-Omni,
12.5 for Qwen3-Omni); `identity_prompt`, `cut`; `batch`, how many dialogues are answered at once in text mode; `quantization`
("" none, "4bit": all of the model, its voice too), `device`, `dtype`. Draws come from the turn's seed alone, whatever else is
in the batch; numbers of 16 bits round differently in another batch, which may turn a near tie.

Needs the extra `local`; the licence is that of the weights.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from turnwise.agents.agent import Asked, Reply, Surroundings, Timings, View
from turnwise.agents.omni_messages import Prompts
from turnwise.agents.omni_processor import load_processor
from turnwise.agents.token_watch import TokenWatch
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.speech.clip_store import ClipStore, to_pcm
from turnwise.speech.row_draws import RowDraws
from turnwise.speech.weights import Placement, Weights, find_weights, halving, load, memory_guard, placement, seeded, versions

RATE = 24000  # of both vocoders, which do not say it in their configurations
# The sentence each type of model was taught to speak under, by its authors.
IDENTITIES = {
    "qwen2_5_omni": "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
}


@dataclass(frozen=True)
class Omni:
    """The model with its options."""

    model: str
    revision: str
    voice: str
    aloud: bool
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    most_tokens: int
    most_speech_tokens: int
    identity_prompt: str
    cut: str
    batch: int
    placement: Placement
    place: Place = field(default="device", init=False)

    @property
    def speaks(self) -> bool:
        return self.aloud

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        found = find_weights(self.model, self.revision)
        packages = versions("torch", "transformers", "tokenizers", "soxr")
        return {"shared": lineage(__file__), **packages, **found.identity(), **self.placement.identity()}

    def open(self, surroundings: Surroundings) -> OmniSession:
        versions("torch", "transformers")
        found = find_weights(self.model, self.revision)
        config = _config(found)
        preface = ""
        if self.identity_prompt == "model":
            if config.model_type not in IDENTITIES:
                raise InputError(
                    f"no sentence of its own is known for models of type {config.model_type}", "identity_prompt = 'none'"
                )
            preface = IDENTITIES[config.model_type]
        processor = load_processor(found, config.model_type)
        network = _network(found, config, self)
        return OmniSession(self, network, processor, surroundings.clips, preface)


class OmniSession:
    """The model at work."""

    def __init__(self, omni: Omni, network: Any, processor: Any, clips: ClipStore, preface: str) -> None:
        self.batch = 1 if omni.aloud else omni.batch
        self._omni, self._network, self._clips = omni, network, clips
        self._tokenizer = processor.tokenizer
        thinker = network.thinker if omni.aloud else network
        self._ends = _numbers(
            thinker.generation_config.eos_token_id, network.generation_config.eos_token_id, self._tokenizer.eos_token_id
        )
        self._settings: dict[str, Any] = {
            "max_new_tokens": omni.most_tokens,
            "do_sample": False,  # what is drawn is drawn by RowDraws
            "repetition_penalty": omni.repetition_penalty,  # said even where it is 1, as the model's files may say another
            "eos_token_id": self._ends,
            "pad_token_id": self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else self._ends[0],
        }
        self._spoken = _talker_settings(network, omni) if omni.aloud else {}
        limit = getattr(thinker.config.get_text_config(), "max_position_embeddings", None)
        room = None if limit is None else limit - omni.most_tokens
        self._notes = ("the model's own sentence on who it is stood before the instructions",) if preface else ()
        self._prompts = Prompts(processor, clips, preface=preface, room=room, cut=omni.cut)

    def answer(self, view: View, *, seed: int) -> Reply:
        return self.answer_many([Asked(view, seed)])[0]

    def answer_many(self, asked: Sequence[Asked]) -> Sequence[Reply]:
        if not self._omni.aloud:
            return halving(asked, self._write)
        with memory_guard():
            return [self._speak(one) for one in asked]

    def close(self) -> None:
        import torch

        self._network = None
        gc.collect()  # models refer to themselves
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _write(self, asked: Sequence[Asked]) -> list[Reply]:
        """Text mode: all at once."""
        began = time.perf_counter()
        inputs, notes = self._inputs([one.view for one in asked])
        draws = self._draws([one.seed for one in asked])
        with seeded(asked[0].seed):
            rows = self._network.generate(**inputs, **self._settings, logits_processor=[draws])
        new = rows[:, inputs["input_ids"].shape[1] :].tolist()
        timings = Timings(think=time.perf_counter() - began)
        return [self._reply(tokens, timings, said) for tokens, said in zip(new, notes, strict=True)]

    def _speak(self, one: Asked) -> Reply:
        """Text, then speech: one conversation at a time, as its talker is given one voice and one course of draws."""
        began = time.perf_counter()
        inputs, (notes,) = self._inputs([one.view])
        thinker, talker = TokenWatch(self._anything_to_say), TokenWatch(self._anything_spoken)
        settings = {f"thinker_{name}": value for name, value in self._settings.items()}
        try:
            with seeded(one.seed), warnings.catch_warnings():
                # What Qwen3-Omni passes to its own talker is not for the user to mend.
                warnings.filterwarnings("ignore", "Passing `repetition_penalty` with `inputs_embeds`")
                _, wave = self._network.generate(
                    **inputs,
                    **settings,
                    **self._spoken,
                    thinker_logits_processor=[self._draws([one.seed])],
                    thinker_streamer=thinker,
                    talker_streamer=talker,
                )
        except _Silence:
            return self._reply(thinker.tokens, Timings(think=_since(began, thinker.ended)), notes)
        sound = Sound(wave.reshape(-1).float().cpu().numpy().astype(np.float32), RATE)
        ended = time.perf_counter()
        if not to_pcm(sound).any():
            raise EngineError("empty-audio", f"{sound.seconds:.1f} s of silence came for {self._text(thinker.tokens)[:60]!r}")
        clip = self._clips.keep(sound)
        think = _since(began, thinker.ended)
        if len(talker.tokens) >= self._omni.most_speech_tokens and talker.tokens[-1] not in self._spoken["talker_eos_token_id"]:
            notes = (*notes, f"the speech was cut at {self._omni.most_speech_tokens} sound codes")
        reply = self._reply(thinker.tokens, Timings(think=think, speak=ended - began - think, first_audio=ended - began), notes)
        return Reply(reply.text, clip, timings=reply.timings, notes=reply.notes)

    def _inputs(self, views: Sequence[View]) -> tuple[Any, list[tuple[str, ...]]]:
        encoded, notes = self._prompts.inputs(views)
        return encoded.to(self._network.device, dtype=self._network.dtype), [(*self._notes, *more) for more in notes]

    def _draws(self, seeds: Sequence[int]) -> RowDraws:
        return RowDraws(seeds, self._omni.temperature, top_k=self._omni.top_k, top_p=self._omni.top_p)

    def _reply(self, tokens: Sequence[int], timings: Timings, notes: tuple[str, ...]) -> Reply:
        if len(tokens) >= self._omni.most_tokens and not set(tokens) & set(self._ends):
            notes = (*notes, f"the reply was cut at {self._omni.most_tokens} tokens")
        text = self._text(tokens)
        return Reply(text if text.strip() else "", timings=timings, notes=notes)

    def _text(self, tokens: Sequence[int]) -> str:
        """The words up to the end the model set, as they are."""
        end = next((place for place, token in enumerate(tokens) if token in self._ends), len(tokens))
        text: str = self._tokenizer.decode(tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _anything_to_say(self, tokens: list[int]) -> None:
        if not self._text(tokens).strip():
            raise _Silence

    def _anything_spoken(self, tokens: list[int]) -> None:
        if not tokens or tokens[0] in self._spoken["talker_eos_token_id"]:
            raise EngineError("empty-audio", "the model wrote words and spoke none of them")


class _Silence(Exception):
    """The thinker has ended without a word, and there is nothing for the talker to do."""


def _since(began: float, ended: float | None) -> float:
    assert ended is not None  # a watch that was run to its end
    return ended - began


def _config(found: Weights) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(found.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{found.model} has no configuration that transformers knows: {error}") from error


def _network(found: Weights, config: Any, omni: Omni) -> Any:
    """The whole model, or in text mode no more of it than thinks."""
    from transformers import MODEL_FOR_MULTIMODAL_LM_MAPPING, PreTrainedModel

    if omni.aloud and not (hasattr(config, "talker_config") and getattr(config, "enable_audio_output", True)):
        raise InputError(f"{omni.model} cannot speak", "aloud = false, as the mind of a cascade")
    part = config if omni.aloud else getattr(config, "thinker_config", config)
    if type(part) not in MODEL_FOR_MULTIMODAL_LM_MAPPING:
        raise InputError(f"{omni.model}, of type {part.model_type}, is not among the audio models of transformers")
    kind: Any = MODEL_FOR_MULTIMODAL_LM_MAPPING[type(part)]
    # Qwen2.5-Omni's own loader cannot tell which weights were missing; the plain one can, and leaves the voices to us.
    plain: Any = PreTrainedModel.from_pretrained
    loader = SimpleNamespace(__name__=kind.__name__, from_pretrained=partial(plain.__func__, kind))
    network = load(loader, found, omni.placement, config=part)
    if hasattr(network, "load_speakers"):
        voices = found.folder / "spk_dict.pt"
        if not voices.is_file():
            raise InputError(f"{omni.model} has no spk_dict.pt, the file of its voices", "download the model again")
        network.load_speakers(voices)
    return network


def _talker_settings(network: Any, omni: Omni) -> dict[str, Any]:
    """How the model is to speak: in which voice, how long at most, and which codes end it."""
    talker = network.config.talker_config
    known = list(getattr(network, "speaker_map", None) or talker.speaker_id)
    names = {name.casefold(): name for name in known}
    if omni.voice and omni.voice.casefold() not in names:
        raise InputError(f"omni: voice is {omni.voice!r}, and {omni.model} knows: {', '.join(sorted(known))}")
    ends = _numbers(
        *(getattr(talker, name, None) for name in ("tts_codec_pad_token_id", "tts_codec_end_token_id", "codec_eos_token_id"))
    )
    voice = {"speaker": names[omni.voice.casefold()]} if omni.voice else {}
    return {"talker_max_new_tokens": omni.most_speech_tokens, "talker_eos_token_id": ends, **voice}


def _numbers(*tokens: int | Sequence[int] | None) -> list[int]:
    """All of these, each once."""
    found = {number for token in tokens if token is not None for number in ([token] if isinstance(token, int) else token)}
    return sorted(found)


def agent(
    model: str,
    revision: str = "main",
    voice: str = "",
    aloud: bool = True,
    temperature: float = 0.7,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    most_tokens: int = 512,
    most_speech_tokens: int = 4096,
    identity_prompt: str = "none",
    cut: str = "",
    batch: int = 1,
    quantization: str = "",
    device: str = "auto",
    dtype: str = "auto",
) -> Omni:
    if not model:
        raise InputError("omni: model is empty, expected a folder or a hub id such as 'Qwen/Qwen2.5-Omni-7B'")
    for name, value, least in (
        ("most_tokens", most_tokens, 2),
        ("most_speech_tokens", most_speech_tokens, 1),
        ("batch", batch, 1),
    ):
        if value < least:
            raise InputError(f"omni: {name} is {value}, expected at least {least}")
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
        raise InputError(f"omni: temperature {temperature}, top_k {top_k}, top_p {top_p}: expected 0 or more, and top_p up to 1")
    if repetition_penalty <= 0:
        raise InputError(f"omni: repetition_penalty is {repetition_penalty}, expected above 0; 1 is none")
    if identity_prompt not in ("none", "model"):
        raise InputError(f"omni: identity_prompt is {identity_prompt!r}, expected 'none' or 'model'")
    if cut not in ("", "oldest"):
        raise InputError(f"omni: cut is {cut!r}, expected '' (a turn that is too long is an error) or 'oldest'")
    if not aloud and voice:
        raise InputError(f"omni: voice is {voice!r} and aloud is false: a text has no voice")
    if aloud and batch > 1:
        raise InputError(f"omni: batch is {batch} and aloud is true: speech is made one at a time")
    where = placement("omni", device, dtype, quantization)
    return Omni(
        model=model,
        revision=revision,
        voice=voice,
        aloud=aloud,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        most_tokens=most_tokens,
        most_speech_tokens=most_speech_tokens,
        identity_prompt=identity_prompt,
        cut=cut,
        batch=batch,
        placement=where,
    )
