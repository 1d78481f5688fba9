"""A model behind a server that hears the user itself and, where it can, speaks its answer itself: speech in, speech out.

For OpenAI's audio models, Qwen-Omni, MiMo-Audio and others behind vLLM-Omni or DashScope; with `aloud = false` also for models
that hear and write, behind vLLM, SGLang or Gemini. Each turn is sent as the study's context shows it: as words, as sound, or as
sound followed by its words. The study's instructions are the system's message; nothing is added. Sound of the agent's own past
turns is sent where the server takes it (vLLM-Omni), elsewhere their words, and the reply notes it; a context that shows it as
sound alone (`form = "audio"`) to a server that takes none is refused.

Times count from the sending of the finished user turn, waiting for limits and failed attempts left out: `first_audio` to the
first byte of sound, `think` to the first word or sound, whichever comes first, `speak` from there to the last byte, so that
`think` and `speak` together are the whole answer. Where words are asked for, or nothing streams, all of it is `think`, and
without a stream the first sound is there when everything is. The reply's text is what the model says it said; what was heard is
the transcriber's business.

An answer of nothing is silence. Words without sound where sound was wanted are an error ("empty-audio"), save a refusal, which
is a reply noted as such. An answer cut at the limit of tokens is kept and noted.

Options: `endpoint` and `model` (needed) as for `chat`; `voice`, as the server calls it; `temperature` and `most_tokens`, by
default the server's own; `aloud` (true), whether sound is asked for; `text_mode` (false), for use as the mind of a `cascade`,
as the modular counterpart of the same model: words only are asked for, and of a turn given both ways only the words are sent,
which the reply notes; `stream` (true): without it there is no time to the first sound, but some servers stream no sound;
`extra`, further fields of the request's body for that server.

Models behind a server answer differently each time, seed or not. Needs a server, and for most of them a key in the environment.
The licence is that of the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from turnwise.agents.agent import Around, Past, Reply, Timings, View
from turnwise.endpoints.asking import checked_settings
from turnwise.endpoints.chat import Answer, Asking, Message, ask, hears_itself, speaks
from turnwise.endpoints.remote import Line
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

OWN_AS_WORDS = "own past sound sent as words: the server takes no assistant audio"


@dataclass(frozen=True)
class Hosted:
    """The model with its options."""

    endpoint: str
    model: str
    voice: str
    temperature: float | None
    most_tokens: int | None
    aloud: bool
    text_mode: bool
    stream: bool
    extra: Mapping[str, Any]
    place = "driver"

    @property
    def speaks(self) -> bool:
        return self.aloud and not self.text_mode

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        reads_sound = {"soundfile": version("soundfile")} if self.speaks else {}
        return {"shared": lineage(__file__), "endpoint": self.endpoint, "model": self.model, **reads_sound}

    def reach(self, around: Around) -> HostedSession:
        line = around.remote.line(self.endpoint)
        dialect = line.endpoint.dialect
        if self.speaks and not speaks(dialect):
            hint = "set aloud = false, or the endpoint's dialect to that of a server that speaks, such as vllm-omni"
            raise InputError(f"hosted: the endpoint {self.endpoint!r} speaks the dialect {dialect}, which has no sound", hint)
        return HostedSession(self, line, around.clips)


@dataclass(frozen=True)
class HostedSession:
    """The model at work; it holds nothing of its own."""

    hosted: Hosted
    line: Line
    clips: ClipStore

    async def answer(self, view: View, *, seed: int) -> Reply:
        hosted = self.hosted
        turns, notes = self._as_sent((*view.past, Past("user", view.text, view.clip)))
        messages = await self._messages(view.instructions, turns)
        asking = Asking(
            hosted.model,
            messages,
            temperature=hosted.temperature,
            most_tokens=hosted.most_tokens,
            seed=seed,
            aloud=hosted.speaks,
            voice=hosted.voice if hosted.speaks else "",
            extra=hosted.extra,
        )
        answer = await ask(self.line, asking, stream=hosted.stream)
        return await self._reply(answer, notes)

    async def close(self) -> None:
        """The line belongs to the run."""

    def _as_sent(self, turns: Sequence[Past]) -> tuple[list[Past], tuple[str, ...]]:
        """The turns in the form in which this server gets them, and what that departs from."""
        kept: list[Past] = []
        as_words = left_out = 0
        for turn in turns:
            if turn.clip is not None and turn.speaker == "agent" and not hears_itself(self.line.endpoint.dialect):
                if turn.text is None:
                    raise InputError(
                        f"hosted: the endpoint {self.hosted.endpoint!r} takes no sound of the assistant's own past "
                        "turns, and the context shows nothing else of them",
                        'set context.form to "user-audio", "both" or "text"',
                    )
                turn, as_words = Past("agent", turn.text), as_words + 1
            elif turn.clip is not None and turn.text is not None and self.hosted.text_mode:
                turn, left_out = Past(turn.speaker, turn.text), left_out + 1
            kept.append(turn)
        told = (OWN_AS_WORDS,) if as_words else ()
        return kept, (*told, f"text mode: words sent without their sound, turns: {left_out}") if left_out else told

    async def _messages(self, instructions: str, turns: Sequence[Past]) -> tuple[Message, ...]:
        clips = [turn.clip for turn in turns if turn.clip is not None]
        sounds = iter(await asyncio.to_thread(self._load, clips) if clips else ())
        messages = [Message("system", (instructions,))] if instructions else []
        for turn in turns:
            if turn.text is None and turn.clip is None:
                raise EngineError("no-input", f"a turn of the {turn.speaker} was given neither as words nor as sound")
            sound: tuple[str | Sound, ...] = () if turn.clip is None else (next(sounds),)
            words = () if turn.text is None else (turn.text,)
            messages.append(Message("user" if turn.speaker == "user" else "assistant", (*sound, *words)))
        return tuple(messages)

    def _load(self, clips: Sequence[Clip]) -> list[Sound]:
        return [self.clips.load(clip) for clip in clips]

    async def _reply(self, answer: Answer, notes: tuple[str, ...]) -> Reply:
        text = answer.text.strip()
        notes = (*notes, *answer.notes, *answer.departures)
        if not self.hosted.speaks:
            return Reply(text, timings=Timings(think=answer.seconds), notes=notes)
        if answer.sound is None:
            if text and not answer.refusal:
                raise EngineError("empty-audio", f"the server gave words and no sound: {text[:80]!r}")
            return Reply(text, timings=Timings(think=answer.seconds), notes=(*notes, "without sound") if text else notes)
        clip = await asyncio.to_thread(self.clips.keep, answer.sound)
        if answer.first_audio is None:
            return Reply(text, clip, timings=Timings(think=answer.seconds, first_audio=answer.seconds), notes=notes)
        think = answer.first_audio if answer.first_text is None else min(answer.first_text, answer.first_audio)
        times = Timings(think=think, speak=answer.seconds - think, first_audio=answer.first_audio)
        return Reply(text, clip, timings=times, notes=notes)


def agent(
    endpoint: str = "openai",
    *,
    model: str,
    voice: str = "",
    temperature: float | None = None,
    most_tokens: int | None = None,
    aloud: bool = True,
    text_mode: bool = False,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> Hosted:
    checked = checked_settings("hosted", model, temperature, most_tokens, extra)
    return Hosted(endpoint, model, voice, temperature, most_tokens, aloud, text_mode, stream, checked)
