"""A text mind behind any chat server: it reads the conversation as words and writes its answer.

It is given the user's turns as words, written or recognised: a turn shown as sound only is an error, so as a spoken agent it is
the `mind` of a `cascade`. The study's instructions are the system's message; nothing is added to what it is shown. An answer of
nothing is silence. A refusal is an answer: its words are the reply, noted as "refused"; where the server gives a reason and no
words ("content_filter", "SAFETY"), the reply is silence and the note names the reason. An answer that ran into the limit of
tokens is kept and noted. `think` is the time from sending to the last word; what was spent waiting for limits and in failed
attempts is no part of it. The thoughts of a reasoning model are not read out where the server tells them apart; start vLLM and
SGLang with a reasoning parser so that it does. Models behind a server answer differently each time, seed or not.

Options: `endpoint`, the name of an endpoint of the study, "openai", "gemini", "local", or an address; `model` (needed: names
come and go, so none is set); `temperature` and `most_tokens`, by default the server's own; `stream` (true), whether the answer
is read word by word, which notices a stalled server sooner; `extra`, further fields of the request's body for that server.

Needs a server, and for most of them a key in the environment. The licence is that of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnwise.agents.agent import Around, Past, Reply, Timings, View
from turnwise.endpoints.asking import checked_settings
from turnwise.endpoints.chat import Asking, Message, ask
from turnwise.endpoints.remote import Line
from turnwise.foundation.errors import EngineError
from turnwise.foundation.lineage import lineage


@dataclass(frozen=True)
class Chat:
    """The mind with its options."""

    endpoint: str
    model: str
    temperature: float | None
    most_tokens: int | None
    extra: Mapping[str, Any]
    stream: bool
    speaks = False
    place = "driver"

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), "endpoint": self.endpoint, "model": self.model}

    def reach(self, around: Around) -> ChatSession:
        return ChatSession(self, around.remote.line(self.endpoint))


@dataclass(frozen=True)
class ChatSession:
    """The mind at work; it holds nothing of its own."""

    chat: Chat
    line: Line

    async def answer(self, view: View, *, seed: int) -> Reply:
        chat = self.chat
        if view.text is None:
            raise EngineError("no-input", "a text mind needs the user's turn as words, and it was given as sound or not at all")
        system = (Message("system", (view.instructions,)),) if view.instructions else ()
        messages = (*system, *map(_message, view.past), Message("user", (view.text,)))
        asking = Asking(
            chat.model, messages, temperature=chat.temperature, most_tokens=chat.most_tokens, seed=seed, extra=chat.extra
        )
        answer = await ask(self.line, asking, stream=chat.stream)
        return Reply(answer.text.strip(), timings=Timings(think=answer.seconds), notes=answer.notes + answer.departures)

    async def close(self) -> None:
        """The line belongs to the run."""


def _message(turn: Past) -> Message:
    if turn.text is None:
        raise EngineError("no-input", f"a text mind needs words, and a past turn of the {turn.speaker} is shown as sound only")
    return Message("user" if turn.speaker == "user" else "assistant", (turn.text,))


def agent(
    endpoint: str = "openai",
    *,
    model: str,
    temperature: float | None = None,
    most_tokens: int | None = None,
    extra: Mapping[str, Any] | None = None,
    stream: bool = True,
) -> Chat:
    checked = checked_settings("chat", model, temperature, most_tokens, extra)
    return Chat(endpoint, model, temperature, most_tokens, checked, stream)
