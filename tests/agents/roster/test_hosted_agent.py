"""The model behind a server that hears and speaks itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from servers.chat_server import ChatServer, Given, Request, chatting, spoken, understood
from turnwise.agents.agent import AGENTS, Around, Past, Reply, View
from turnwise.agents.roster.hosted import OWN_AS_WORDS, Hosted, agent
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, StorageError
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

SPEAKING = ("openai", "vllm-omni", "vllm-omni-old", "dashscope")


def answers(server: ChatServer, clips: ClipStore, *views: View, **options: Any) -> list[Reply]:
    async def go() -> list[Reply]:
        remote = Remote({"it": server.endpoint()})
        try:
            made = agent("it", **{"model": "m", "voice": "v", **options})
            session = made.reach(Around(clips, remote, None))  # type: ignore[arg-type]
            replies = list(await asyncio.gather(*(session.answer(view, seed=11) for view in views)))
            await session.close()
            return replies
        finally:
            await remote.close()

    return asyncio.run(go())


@pytest.fixture
def clips(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


def view(*past: Past, text: str | None = None, clip: Clip | None = None) -> View:
    return View("d", 1, "Sell shoes.", past, text, clip)


def echoing(request: Request) -> str:
    return f"{len(request.turns)}: {request.said}"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", SPEAKING)
def test_speech_goes_in_and_comes_out(clips: ClipStore, dialect: str, stream: bool) -> None:
    clip = clips.keep(spoken("red shoes please"))
    with chatting(dialect, echoing) as server:
        (reply,) = answers(server, clips, view(clip=clip), stream=stream)
    assert server.refused == []
    assert server.requests[0].turns == [("system", "text: Sell shoes."), ("user", "sound: red shoes please")]
    assert server.requests[0].body["seed"] == 11
    assert server.requests[0].body["audio"]["voice"] == "v"
    assert reply.text == "2: red shoes please"
    assert reply.clip is not None
    assert understood(clips.load(reply.clip)) == "2: red shoes please"
    assert reply.heard is None
    assert reply.notes == ()


@pytest.mark.parametrize("dialect", SPEAKING)
def test_a_conversation_of_several_turns_in_sound(clips: ClipStore, dialect: str) -> None:
    """Shown with words and sound of each past turn; own sound only where the server takes it, and said where not."""
    past: list[Past] = [Past("agent", "Welcome.")]
    notes: list[tuple[str, ...]] = []
    with chatting(dialect, echoing) as server:
        for said in ("hello", "shoes", "red ones"):
            clip = clips.keep(spoken(said))
            (reply,) = answers(server, clips, view(*past, clip=clip))
            notes.append(reply.notes)
            past += [Past("user", said, clip), Past("agent", reply.text, reply.clip)]
    own = dialect.startswith("vllm-omni")
    assert server.refused == []
    assert server.requests[-1].turns == [
        ("system", "text: Sell shoes."),
        ("assistant", "text: Welcome."),
        ("user", "sound: hello", "text: hello"),
        ("assistant", *(["sound: 3: hello"] if own else []), "text: 3: hello"),
        ("user", "sound: shoes", "text: shoes"),
        ("assistant", *(["sound: 5: shoes"] if own else []), "text: 5: shoes"),
        ("user", "sound: red ones"),
    ]
    assert notes == [(), () if own else (OWN_AS_WORDS,), () if own else (OWN_AS_WORDS,)]
    assert OWN_AS_WORDS == "own past sound sent as words: the server takes no assistant audio"


def test_turns_are_sent_as_they_are_shown(clips: ClipStore) -> None:
    one, two = clips.keep(spoken("one")), clips.keep(spoken("two"))
    past = (Past("user", None, one), Past("agent", "ok"), Past("user", "words only"), Past("agent", "", None))
    with chatting("openai", echoing) as server:
        for now, sent in (
            ({"clip": two}, ["sound: two"]),
            ({"text": "two"}, ["text: two"]),
            ({"text": "too", "clip": two}, ["sound: two", "text: too"]),
        ):
            answers(server, clips, view(*past, **now))  # type: ignore[arg-type]
            assert server.requests[-1].turns == [
                ("system", "text: Sell shoes."),
                ("user", "sound: one"),
                ("assistant", "text: ok"),
                ("user", "text: words only"),
                ("assistant", "text: "),
                ("user", *sent),
            ]


def test_own_sound_alone_goes_only_to_a_server_that_takes_it(clips: ClipStore) -> None:
    own = Past("agent", None, clips.keep(spoken("welcome")))
    with chatting("vllm-omni", echoing) as server:
        (reply,) = answers(server, clips, view(own, text="hi"))
        assert server.requests[0].turns[1] == ("assistant", "sound: welcome")
        assert reply.notes == ()
    for dialect in ("openai", "dashscope"):
        with chatting(dialect, echoing) as server:
            with pytest.raises(InputError, match="takes no sound of the assistant's own past turns") as caught:
                answers(server, clips, view(own, text="hi"))
            assert 'context.form to "user-audio", "both" or "text"' in caught.value.hint
            assert server.requests == []


def test_times(clips: ClipStore) -> None:
    with chatting("vllm-omni", Given("Hello there.", pause=0.05)) as server:
        # An empty chunk, two of words, three of sound, the end, the usage; a pause after each.
        ((streamed,), (whole,), (words,)) = (
            answers(server, clips, view(text="hi")),
            answers(server, clips, view(text="hi"), stream=False),
            answers(server, clips, view(text="hi"), text_mode=True),
        )
    times = streamed.timings
    assert times.think is not None and times.speak is not None and times.first_audio is not None
    assert 0.04 < times.think < times.first_audio - 0.08  # the words come first
    assert times.think + times.speak > times.first_audio + 0.13
    assert times.hear is None
    assert (whole.timings.speak, whole.timings.hear) == (None, None)
    assert whole.timings.first_audio == whole.timings.think
    assert words.timings.think is not None and words.timings.think > 0.15
    assert (words.timings.speak, words.timings.first_audio) == (None, None)


def test_sound_before_any_word_begins_the_answer(clips: ClipStore) -> None:
    with chatting("dashscope", Given("", sound=spoken("oh", 24000), pause=0.02)) as server:
        (reply,) = answers(server, clips, view(text="hi"))
    assert (reply.text, reply.timings.think) == ("", reply.timings.first_audio)
    assert reply.clip is not None and understood(clips.load(reply.clip)) == "oh"


def test_words_only(clips: ClipStore) -> None:
    clip = clips.keep(spoken("hello"))
    for dialect in ("openai", "vllm", "vllm-omni", "sglang", "dashscope", "gemini"):
        with chatting(dialect, echoing) as server:
            (reply,) = answers(server, clips, view(clip=clip), aloud=False)
        assert (reply.text, reply.clip, reply.notes) == ("2: hello", None, ())
        assert "audio" not in server.requests[0].body
        assert not server.requests[0].aloud
        assert server.refused == []


def test_text_mode_sends_words_where_it_has_them_and_says_so(clips: ClipStore) -> None:
    clip = clips.keep(spoken("hello"))
    past = (Past("user", "shown both ways", clip), Past("agent", "ok", clip))
    with chatting("vllm-omni", echoing) as server:
        (both,) = answers(server, clips, view(*past, text="now", clip=clip), text_mode=True)
        (written,) = answers(server, clips, view(text="now"), text_mode=True)
        (heard,) = answers(server, clips, view(clip=clip), text_mode=True)
    assert server.requests[0].turns[1:] == [("user", "text: shown both ways"), ("assistant", "text: ok"), ("user", "text: now")]
    assert server.requests[0].body["modalities"] == ["text"]
    assert both.notes == ("text mode: words sent without their sound, turns: 3",)
    assert (written.text, written.clip, written.notes) == ("2: now", None, ())
    assert (heard.text, heard.notes) == ("2: hello", ())


def test_a_server_without_sound_is_refused_before_anything_is_asked(clips: ClipStore) -> None:
    for dialect in ("vllm", "sglang"):
        with chatting(dialect) as server:
            with pytest.raises(InputError, match=f"speaks the dialect {dialect}, which has no sound") as caught:
                answers(server, clips, view(text="hi"))
            assert "aloud = false" in caught.value.hint
            assert server.requests == []


def test_silence_refusals_and_limits(clips: ClipStore) -> None:
    with chatting("openai", "") as server:
        (reply,) = answers(server, clips, view(text="hi"))
    assert (reply.text, reply.clip, reply.notes) == ("", None, ())
    with chatting("openai", Given("Words.", sound=False)) as server, pytest.raises(EngineError, match="'Words") as caught:
        answers(server, clips, view(text="hi"))
    assert caught.value.cause == "empty-audio"
    with chatting("openai", Given(refusal="I can't.")) as server:
        (reply,) = answers(server, clips, view(text="hi"))
    assert (reply.text, reply.clip, reply.notes) == ("I can't.", None, ("refused", "without sound"))
    with chatting("vllm-omni", Given("And so", finish="length")) as server:
        (reply,) = answers(server, clips, view(text="hi"))
    assert reply.clip is not None
    assert (reply.text, reply.notes) == ("And so", ("cut at the limit of tokens",))


def test_what_was_done_to_the_sound_is_noted(clips: ClipStore) -> None:
    with chatting("vllm-omni", "Only once.", cumulative=True) as server:
        (reply,) = answers(server, clips, view(text="hi"))
    assert reply.clip is not None and understood(clips.load(reply.clip)) == "Only once."
    assert reply.notes == ("each piece of the sound held all earlier ones: the last was taken",)


def test_broken_sound_is_a_fault(clips: ClipStore) -> None:
    broken = {"choices": [{"message": {"content": "x", "audio": {"data": "UklGRg=="}}, "finish_reason": "stop"}]}
    for data in ("UklGRg==", "%"):  # four letters of a header; no base64
        broken["choices"][0]["message"]["audio"]["data"] = data  # type: ignore[index]
        with chatting("vllm-omni", Given(body=broken)) as server, pytest.raises(EngineError) as caught:
            answers(server, clips, view(text="hi"), stream=False)
        assert caught.value.cause == "broken-audio"


def test_nothing_to_answer_and_lost_clips(clips: ClipStore) -> None:
    with chatting("openai") as server:
        with pytest.raises(EngineError) as caught:
            answers(server, clips, view())
        assert caught.value.cause == "no-input"
        with pytest.raises(StorageError):
            answers(server, clips, view(clip=Clip("b2:" + "0" * 32, 8000, 1.0)))
    assert server.requests == []


def test_many_conversations_at_once(clips: ClipStore) -> None:
    views = [view(clip=clips.keep(spoken(f"number {n}"))) for n in range(20)]
    with chatting("vllm-omni", echoing) as server:
        replies = answers(server, clips, *views)
    assert [reply.text for reply in replies] == [f"2: number {n}" for n in range(20)]
    assert all(reply.clip is not None and understood(clips.load(reply.clip)) == reply.text for reply in replies)


def test_what_it_is() -> None:
    built: Hosted = AGENTS.build("hosted", {"model": "m"})
    assert (built.endpoint, built.models, built.speaks, built.place) == ("openai", ("m",), True, "driver")
    assert not agent(model="m", aloud=False).speaks
    assert not agent(model="m", text_mode=True).speaks
    assert built.identity().keys() == {"shared", "endpoint", "model", "soundfile"}
    with pytest.raises(InputError, match="needs the option 'model'"):
        AGENTS.build("hosted")
    with pytest.raises(InputError, match="extra may not hold"):
        agent(model="m", extra={"messages": []})
    plain = AGENTS.identity("hosted", {"model": "m"})
    for other in ({"voice": "v"}, {"aloud": False}, {"text_mode": True}, {"extra": {"top_k": 1}}, {"endpoint": "local"}):
        assert AGENTS.identity("hosted", {"model": "m", **other}) != plain
    assert "Options:" in AGENTS.cards()["hosted"].text


def test_the_sound_is_kept_as_it_came(clips: ClipStore) -> None:
    given = Sound((np.arange(-50, 50, dtype=np.float32) / 128).astype(np.float32), 22050)
    with chatting("vllm-omni", Given("x", sound=given)) as server:
        (reply,) = answers(server, clips, view(text="hi"), stream=False)
    assert reply.clip == clips.keep(given)
