"""The text mind behind a chat server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from servers.chat_server import ChatServer, Given, Request, chatting
from turnwise.agents.agent import AGENTS, Around, Past, Reply, View
from turnwise.agents.roster.chat import Chat, agent
from turnwise.endpoints.remote import Remote
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

CLIP = Clip("b2:" + "0" * 32, 8000, 1.0)


def answers(server: ChatServer, views: list[View], where: Path, **options: Any) -> list[Reply]:
    async def go() -> list[Reply]:
        remote = Remote({"it": server.endpoint()})
        session = agent("it", model="m", **options).reach(Around(ClipStore(where), remote, None))  # type: ignore[arg-type]
        try:
            return list(await asyncio.gather(*(session.answer(view, seed=11) for view in views)))
        finally:
            await session.close()
            await remote.close()

    return asyncio.run(go())


def view(text: str | None, *past: Past, instructions: str = "Sell shoes.", clip: Clip | None = None) -> View:
    return View("d", 1 + len(past) // 2, instructions, past, text, clip)


def test_a_conversation_of_several_turns(tmp_path: Path) -> None:
    """Each reply is shown again with the next turn, and what is sent is what is shown."""

    def remembering(request: Request) -> str:
        return f"{len(request.turns)}: you said {request.said}"

    past: list[Past] = [Past("agent", "Welcome.")]
    with chatting("openai", remembering) as server:
        for said in ("hello", "shoes", "red ones"):
            (reply,) = answers(server, [view(said, *past)], tmp_path)
            past += [Past("user", said), Past("agent", reply.text)]
    assert [turn.text for turn in past[2::2]] == ["3: you said hello", "5: you said shoes", "7: you said red ones"]
    assert server.requests[-1].body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Sell shoes."},
            {"role": "assistant", "content": "Welcome."},
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "3: you said hello"},
            {"role": "user", "content": "shoes"},
            {"role": "assistant", "content": "5: you said shoes"},
            {"role": "user", "content": "red ones"},
        ],
        "seed": 11,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert server.refused == []


def test_options_reach_the_server(tmp_path: Path) -> None:
    with chatting("vllm") as server:
        answers(
            server, [view("hi", instructions="")], tmp_path, temperature=0.2, most_tokens=30, extra={"top_k": 5}, stream=False
        )
    assert server.requests[0].body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.2,
        "max_tokens": 30,
        "seed": 11,
        "top_k": 5,
    }


@pytest.mark.parametrize("dialect", ["openai", "vllm", "vllm-omni", "sglang", "dashscope", "gemini"])
def test_every_dialect_answers(tmp_path: Path, dialect: str) -> None:
    with chatting(dialect, lambda request: f" Yes, {request.said}.\n") as server:
        first, second = answers(server, [view("one"), view("two", Past("user", "a"), Past("agent", "b"))], tmp_path)
    assert (first.text, second.text) == ("Yes, one.", "Yes, two.")
    assert first.clip is None and first.notes == ()
    assert first.timings.think is not None and 0 < first.timings.think < 5
    assert (first.timings.speak, first.timings.first_audio) == (None, None)
    assert server.refused == []


def test_silence_refusals_and_limits(tmp_path: Path) -> None:
    cases: list[tuple[str, Given, str, tuple[str, ...]]] = [
        ("openai", Given(""), "", ()),
        ("openai", Given("  \n"), "", ()),
        ("openai", Given(refusal="I can't do that."), "I can't do that.", ("refused",)),
        ("vllm", Given("Well", finish="content_filter"), "Well", ("refused: content_filter",)),
        ("gemini", Given(refusal="SAFETY"), "", ("refused: SAFETY",)),
        ("vllm", Given("So", finish="length"), "So", ("cut at the limit of tokens",)),
    ]
    for dialect, given, text, notes in cases:
        with chatting(dialect, given) as server:
            (reply,) = answers(server, [view("hi")], tmp_path)
        assert (reply.text, reply.clip, reply.notes) == (text, None, notes)


def test_an_empty_recognition_is_passed_on_and_noted_where_it_cannot_be_sent_as_it_is(tmp_path: Path) -> None:
    for dialect, notes in (("vllm", 0), ("gemini", 1)):
        with chatting(dialect, "Pardon?") as server:
            (reply,) = answers(server, [view("")], tmp_path)
        assert (reply.text, len(reply.notes), server.refused) == ("Pardon?", notes, [])


def test_sound_alone_is_not_read(tmp_path: Path) -> None:
    with chatting() as server:
        for given in (view(None, clip=CLIP), view(None), view("hi", Past("user", None, CLIP))):
            with pytest.raises(EngineError) as caught:
                answers(server, [given], tmp_path)
            assert caught.value.cause == "no-input"
        (reply,) = answers(server, [view("hi", Past("user", "words", CLIP), clip=CLIP)], tmp_path)
    assert reply.text == "Hello."
    assert [request.turns for request in server.requests] == [
        [("system", "text: Sell shoes."), ("user", "text: words"), ("user", "text: hi")]
    ]


def test_failures_of_the_server_are_faults_of_the_turn(tmp_path: Path) -> None:
    with chatting("openai") as server:
        with pytest.raises(EngineError) as caught:
            answers(server, [view("hi")], tmp_path, extra={"top_k": 5})
        assert caught.value.cause == "refused"
    with chatting("openai", key="right") as server, pytest.raises(InputError):
        answers(server, [view("hi")], tmp_path)


def test_what_it_is() -> None:
    built: Chat = AGENTS.build("chat", {"model": "m"})
    assert (built.endpoint, built.models, built.speaks, built.place) == ("openai", ("m",), False, "driver")
    assert built.identity().keys() == {"shared", "endpoint", "model"}
    with pytest.raises(InputError, match="needs the option 'model'"):
        AGENTS.build("chat")
    with pytest.raises(InputError, match="chat: temperature is 3"):
        agent(model="m", temperature=3)
    plain = AGENTS.identity("chat", {"model": "m"})
    for other in ({"model": "n"}, {"model": "m", "endpoint": "local"}, {"model": "m", "temperature": 0.0}):
        assert AGENTS.identity("chat", other) != plain
    assert AGENTS.cards()["chat"].summary.startswith("A text mind behind any chat server")
