"""A speech model behind OpenAI's Realtime WebSocket protocol, or a server that speaks it: speech in, speech out, as in a call.

The user's turn is sent at the pace it is spoken, in pieces of 40 ms, with the server's turn detection off; then an answer is
asked for. `first_audio` counts from the end of the user's turn (when its last sample was due, silence in the clip included) to
the arrival of the first sound: what a caller would wait. A turn holds one of the endpoint's connections as long as speaking and
answering it takes. Turns given as words are sent as words.

Each turn opens a socket of its own, and the earlier turns are sent as items of the conversation before the user begins to speak:
the agent keeps nothing of its own, and whether a server keeps a history makes no difference. That costs the whole past as input
of each turn and one handshake, before the clock starts. Servers take sound of the user's past turns; of the agent's own only
words, which the reply notes; a context that shows them as sound alone (`form = "audio"`) is refused. A past that the server does
not confirm item by item is a fault (`context`), as is a conversation too long for the model: the server is told not to forget any
(`truncation = "disabled"`). Dynamo's path for vLLM-Omni says that it hears each utterance by itself: use it with `past = 0`.
Versions of vLLM-Omni that know no conversation items answer with an error, which is the fault.

An answer that failed, was cut or cancelled is a fault with the server's reason, never a reply; so are words without sound
("empty-audio"). An answer of nothing is silence. The reply's text is the server's final transcript.

Options: `endpoint`, `model` (needed); `voice`; `input_rate` and `output_rate` in samples per second (24000, as OpenAI has it;
Dynamo and some versions of vLLM-Omni hear 16000); `pace` (1.0; 0 sends as fast as possible, and then the clock starts at the last
byte); `confirm` (true; false takes a server that confirms no items at its word, with a note); `extra`, merged into the session's
settings; `query`, added to the address. The protocol has no seed: answers differ each time. Needs a server, and for most a key in
the environment. The licence is that of the model.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from turnwise.agents.agent import Around, Past, Reply, Timings, View
from turnwise.agents.realtime_answer import RealtimeAnswer
from turnwise.endpoints.attempts import Answerer
from turnwise.endpoints.remote import Line, Socket, retried
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.foundation.resampling import resample
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore, to_pcm

PATH = "/realtime"
PIECE = 0.040  # seconds of sound in one message
LATE = 0.100  # seconds; a turn whose end is sent later than this after it was due is noted
OWN_AS_WORDS = "own past sound sent as words: the protocol takes no assistant audio"
_REASON = 1.0  # seconds for the server's reason to arrive after a line broke while something was being sent
_Message = dict[str, Any]


def agent(
    endpoint: str = "openai",
    *,
    model: str,
    voice: str = "",
    input_rate: int = 24000,
    output_rate: int = 24000,
    pace: float = 1.0,
    confirm: bool = True,
    extra: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> Realtime:
    if not model:
        raise InputError(
            "realtime: model is empty", "name a model of the server; there is no default, because models come and go"
        )
    for name, rate in (("input_rate", input_rate), ("output_rate", output_rate)):
        if not 8000 <= rate <= 48000:
            raise InputError(f"realtime: {name} is {rate}, expected 8000 to 48000 samples per second")
    if not 0 <= pace < math.inf:
        raise InputError(f"realtime: pace is {pace}, expected 1 for the pace of speech, or 0 for as fast as possible")
    return Realtime(endpoint, model, voice, input_rate, output_rate, pace, confirm, dict(extra or {}), dict(query or {}))


@dataclass(frozen=True)
class Realtime:
    """The model with its options."""

    endpoint: str
    model: str
    voice: str
    input_rate: int
    output_rate: int
    pace: float
    confirm: bool
    extra: Mapping[str, Any]
    query: Mapping[str, str]
    place: Place = "driver"
    speaks: bool = True

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        packages = {name: version(name) for name in ("soxr", "soundfile")}
        return {"shared": lineage(__file__), "endpoint": self.endpoint, "model": self.model, **packages}

    def reach(self, around: Around) -> RealtimeSession:
        return RealtimeSession(self, around.remote.line(self.endpoint), around.clips)


@dataclass(frozen=True)
class Script:
    """All that is sent in one turn."""

    opening: tuple[_Message, ...]  # the session's settings and the past
    past: tuple[str, ...]  # ids of the items
    pieces: tuple[str, ...]  # the user's sound in base64
    lengths: tuple[float, ...]  # seconds of each piece
    words: _Message | None  # the user's turn where it is given as words
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RealtimeSession:
    """The model at work; it holds nothing of its own."""

    realtime: Realtime
    line: Line
    clips: ClipStore

    async def answer(self, view: View, *, seed: int) -> Reply:
        script = await asyncio.to_thread(self._script, view)
        return await retried(self.line, lambda line: self._turn(line, script))

    async def close(self) -> None:
        """The line belongs to the run."""

    async def _turn(self, line: Line, script: Script) -> Reply:
        answer = RealtimeAnswer(script.past, self._refusal)
        turn = Turn(self.realtime, line, script, answer)
        query = {"model": self.realtime.model, **self.realtime.query}
        async with line.socket(PATH, model=self.realtime.model, query=query) as socket:
            await turn.take_place(socket)
        return await asyncio.to_thread(self._reply, script, turn)

    def _refusal(self, error: Any) -> EngineError:
        endpoint = self.line.endpoint
        answerer = Answerer(self.line.name, endpoint.url, endpoint.key)
        refused = answerer.error_inside({"error": error}, os.environ.get(endpoint.key, "").strip(), PATH)
        assert refused is not None  # there is an error inside
        return refused

    def _reply(self, script: Script, turn: Turn) -> Reply:
        answer = turn.answer
        received = answer.sound(self.realtime.output_rate)
        words = answer.words()
        notes = (*script.notes, *turn.notes, *answer.notes(), *received.notes)
        if received.sound is None:
            if words:
                raise EngineError("empty-audio", f"the server gave words and no sound: {words[:80]!r}")
            return Reply("", heard=answer.heard, notes=notes)
        assert answer.first_audio is not None
        waited = Timings(first_audio=max(0.0, answer.first_audio - turn.ended))
        return Reply(words, self.clips.keep(received.sound), answer.heard, waited, notes)

    # ------------------------------------------------------------------ what is sent

    def _script(self, view: View) -> Script:
        if view.clip is None and view.text is None:
            raise EngineError("no-input", "the turn was given neither as words nor as sound")
        notes = []
        if any(turn.speaker == "agent" and turn.clip is not None for turn in view.past):
            notes.append(OWN_AS_WORDS)
        if view.past and not self.realtime.confirm:
            notes.append("whether the server took the past turns is unknown: it was not asked to confirm them")
        ids = tuple(f"past_{number:03d}" for number in range(len(view.past)))
        items = [_item(self._message(turn), id) for turn, id in zip(view.past, ids, strict=True)]
        opening = (self._settings(view.instructions), *items)
        if view.clip is None:
            return Script(opening, ids, (), (), _item(self._message(Past("user", view.text)), ""), tuple(notes))
        pcm, size = self._pcm(view.clip), 2 * round(PIECE * self.realtime.input_rate)
        cut = [pcm[start : start + size] for start in range(0, len(pcm), size)]
        pieces = tuple(base64.b64encode(piece).decode("ascii") for piece in cut)
        lengths = tuple(len(piece) / (2 * self.realtime.input_rate) for piece in cut)
        return Script(opening, ids, pieces, lengths, None, tuple(notes))

    def _settings(self, instructions: str) -> _Message:
        own = self.realtime
        output: _Message = {"format": {"type": "audio/pcm", "rate": own.output_rate}}
        if own.voice:
            output["voice"] = own.voice
        session: _Message = {
            "type": "realtime",
            "model": own.model,
            "instructions": instructions,  # also where there are none: the server would put its own
            "output_modalities": ["audio"],
            "truncation": "disabled",
            "audio": {
                "input": {"format": {"type": "audio/pcm", "rate": own.input_rate}, "turn_detection": None},
                "output": output,
            },
        }
        update: _Message = {"type": "session.update", "session": _merged(session, own.extra)}
        if self.line.endpoint.dialect == "vllm-omni":
            update["model"] = own.model  # where some of its versions look for it
        return update

    def _message(self, turn: Past) -> _Message:
        if turn.speaker == "agent":
            if turn.text is None:
                message = (
                    "realtime: the protocol takes no sound of the assistant's own past turns, and the context shows only that"
                )
                raise InputError(message, 'set context.form to "both" or "text"')
            return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": turn.text}]}
        parts: list[_Message] = []
        if turn.clip is not None:
            parts.append({"type": "input_audio", "audio": base64.b64encode(self._pcm(turn.clip)).decode("ascii")})
        if turn.text is not None:
            parts.append({"type": "input_text", "text": turn.text})
        return {"type": "message", "role": "user", "content": parts}

    def _pcm(self, clip: Clip) -> bytes:
        """The clip as 16-bit little-endian samples at the server's rate."""
        return to_pcm(resample(self.clips.load(clip), self.realtime.input_rate)).astype("<i2").tobytes()


class Turn:
    """One turn taking place: one task speaks, one listens."""

    def __init__(self, realtime: Realtime, line: Line, script: Script, answer: RealtimeAnswer) -> None:
        self.answer = answer
        self.ended = 0.0  # time.perf_counter() when the user's turn was over
        self.notes: list[str] = []
        self._realtime = realtime
        self._endpoint = line.endpoint
        self._script = script
        self._confirmed = asyncio.Event()

    async def take_place(self, socket: Socket) -> None:
        speaking = asyncio.create_task(self._speak(socket))
        listening = asyncio.create_task(self._listen(socket))
        try:
            await asyncio.wait((speaking, listening), return_when=asyncio.FIRST_EXCEPTION)
            if _cause(speaking) == "connection":
                await asyncio.wait((listening,), timeout=_REASON)
            for task in (listening, speaking):
                if task.done():
                    task.result()
        finally:
            for task in (listening, speaking):
                task.cancel()
            await asyncio.gather(listening, speaking, return_exceptions=True)
            if self.answer.usage is not None:
                socket.used(self.answer.usage)

    async def _speak(self, socket: Socket) -> None:
        script, pace = self._script, self._realtime.pace
        for message in script.opening:
            await socket.send(message)
        await self._past_taken()
        due = time.perf_counter()
        for piece, length in zip(script.pieces, script.lengths, strict=True):
            due += pace * length  # a piece can be sent when its last sample has been spoken
            if pace:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await socket.send({"type": "input_audio_buffer.append", "audio": piece})
        if script.words is not None:
            await socket.send(script.words)
        now = time.perf_counter()
        self.ended = due if pace and script.pieces else now
        if now - self.ended > LATE:
            self.notes.append(
                f"the end of the user's turn was sent {now - self.ended:.2f} s late, which is part of the waiting time"
            )
        if script.pieces:
            final = {"final": True} if self._endpoint.dialect == "vllm-omni" else {}  # ends the stream for some of its versions
            await socket.send({"type": "input_audio_buffer.commit", **final})
        self.answer.asked = True
        await socket.send({"type": "response.create"})

    async def _past_taken(self) -> None:
        """Wait until the server has all of the past, as it would have in a conversation that goes on."""
        if self.answer.unconfirmed and self._realtime.confirm:
            try:
                await asyncio.wait_for(self._confirmed.wait(), self._endpoint.idle)
            except TimeoutError:
                missing, all = len(self.answer.unconfirmed), len(self._script.past)
                message = f"the server did not confirm {missing} of {all} past turns within {self._endpoint.idle:g} s"
                raise EngineError("context", message) from None

    async def _listen(self, socket: Socket) -> None:
        answer, endpoint = self.answer, self._endpoint
        last = time.perf_counter()
        while not answer.over:
            try:
                event = await socket.receive()
            except EngineError as error:
                silent = time.perf_counter() - max(last, self.ended)
                # While the user speaks the server has nothing to say.
                if error.cause == "timeout" and (not answer.asked or silent < endpoint.idle):
                    continue
                raise
            last = event.at
            answer.take(event.data, event.at)
            if not answer.unconfirmed:
                self._confirmed.set()
            if answer.asked and not answer.over and event.at - self.ended > endpoint.timeout:
                raise EngineError(
                    "timeout", f"endpoint {self._realtime.endpoint}: no end of the answer within {endpoint.timeout:g} s"
                )


def _item(message: _Message, id: str) -> _Message:
    return {"type": "conversation.item.create", "item": {"id": id, **message} if id else message}


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> _Message:
    """Both, the second winning, tables inside tables too."""
    merged = dict(base)
    for key, value in more.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def _cause(task: asyncio.Task[None]) -> str:
    error = task.exception() if task.done() and not task.cancelled() else None
    return error.cause if isinstance(error, EngineError) else ""
