"""Asking servers of every dialect: the words and sounds that come back, and when."""

from __future__ import annotations

from typing import Any

import pytest

from servers.chat_server import RAW_RATE, Given, chatting, spoken, understood
from servers.questions import SCHEMA, USER, answer, failure, message, wav_base64
from turnwise.endpoints.chat import Message, hears_itself, speaks
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.engines.stub import RATE

WRITING = ("openai", "vllm", "vllm-omni", "vllm-omni-old", "sglang", "dashscope", "gemini", "vertex")
SPEAKING = ("openai", "vllm-omni", "vllm-omni-old", "dashscope", "gemini", "vertex")


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", WRITING)
def test_words_come_back_in_every_dialect(dialect: str, stream: bool) -> None:
    with chatting(dialect, lambda request: f"You said {request.said}.") as server:
        told = answer(server, stream=stream, temperature=0.5, most_tokens=9, seed=3, schema=SCHEMA)
    assert server.refused == []
    assert (told.text, told.sound, told.finish, told.refusal, told.notes) == ("You said hi.", None, "stop", "", ())
    assert told.departures == ()
    streamed = stream or dialect == "dashscope"
    assert (told.first_text is not None) == streamed
    assert told.first_audio is None
    assert 0 < told.seconds < 5
    if told.first_text is not None:
        assert 0 < told.first_text <= told.seconds


@pytest.mark.parametrize("dialect", WRITING)
def test_sounds_are_heard_with_the_conversation_around_them(dialect: str) -> None:
    turns = (
        Message("system", ("Be brief.",)),
        Message("user", (spoken("my name is Ann"),)),
        Message("assistant", ("Hello Ann.",)),
        Message("user", (spoken("what is my name"), "what is my name")),
    )
    with chatting(dialect, lambda request: str(len(request.turns))) as server:
        assert answer(server, *turns).text == "4"
    assert server.refused == []
    model = "model" if dialect in ("gemini", "vertex") else "assistant"
    assert server.requests[0].turns == [
        ("system", "text: Be brief."),
        ("user", "sound: my name is Ann"),
        (model, "text: Hello Ann."),
        ("user", "sound: what is my name", "text: what is my name"),
    ]


def test_paths_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "s3cret-value")
    for dialect, path, stream in (
        ("openai", "/v1/chat/completions", True),
        ("gemini", "/v1beta/models/m:generateContent", False),
        ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse", True),
        ("vertex", "/v1/projects/p/locations/l/publishers/google/models/m:generateContent", False),
    ):
        with chatting(dialect, key="s3cret-value") as server:
            assert answer(server, stream=stream, endpoint={"key": "SOME_KEY"}).text == "Hello."
            assert server.requests[0].path == path
            with pytest.raises(InputError) as caught:
                answer(server, stream=stream)
            assert "s3cret" not in str(caught.value)


def test_all_choices_are_read_and_the_first_counts() -> None:
    choices = [
        {"index": 0, "message": {"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}},
        {"index": 1, "message": {"content": "another"}, "finish_reason": "stop"},
    ]
    with chatting("openai", Given(body={"choices": choices})) as server:
        assert answer(server).text == "ab"
    events = [
        {"choices": [{"index": i, "delta": {"content": t}, "finish_reason": "stop"}]} for i, t in ((1, "x"), (0, "a"), (0, "b"))
    ]
    with chatting("openai", Given(events=events)) as server:
        assert answer(server, stream=True).text == "ab"


def test_thoughts_are_no_part_of_the_answer() -> None:
    message = {"content": "Yes.", "reasoning_content": "Hm.", "reasoning": "Hm."}
    with chatting("vllm", Given(body={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})) as server:
        assert answer(server).text == "Yes."
    with chatting("gemini", "Yes.") as server:  # which sends a part that is marked as a thought
        assert answer(server).text == "Yes."


def test_an_empty_answer_is_an_answer() -> None:
    for dialect in WRITING:
        for stream in (False, True):
            with chatting(dialect, "") as server:
                told = answer(server, stream=stream)
            assert (told.text, told.sound, told.finish) == ("", None, "stop")


# ---------------------------------------------------------------- sound


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", SPEAKING)
def test_sound_comes_back_in_every_dialect_that_has_it(dialect: str, stream: bool) -> None:
    with chatting(dialect, lambda request: f"You said {request.said}.") as server:
        told = answer(server, Message("user", (spoken("good morning"),)), stream=stream, aloud=True, voice="v")
    assert server.refused == []
    assert understood(told.sound) == "You said good morning."
    assert told.sound is not None
    raw = dialect in ("dashscope", "gemini", "vertex") or (dialect == "openai" and stream)
    assert told.sound.rate == (RAW_RATE if raw else RATE)
    assert told.text == ("" if dialect in ("gemini", "vertex") else "You said good morning.")
    assert told.notes == ()
    assert (told.first_audio is not None) == (stream or dialect == "dashscope")


def test_times_are_those_of_the_stream() -> None:
    with chatting("vllm-omni", Given("Hello there.", pause=0.05)) as server:
        told = answer(server, stream=True, aloud=True)
    # An empty chunk, two of words, three of sound, the end, the usage; a pause after each.
    assert told.first_text is not None and told.first_audio is not None
    assert 0.04 < told.first_text < told.first_audio - 0.08
    assert told.first_audio < told.seconds - 0.13
    assert told.seconds < 2.0


def test_words_may_come_before_within_or_without_the_sound() -> None:
    def chunk(modality: str, **delta: Any) -> dict[str, Any]:
        return {"modality": modality, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}

    end = {"modality": "text", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    sound = {"audio": {"data": ""}}
    wav = wav_base64("late words")
    events = [
        chunk("audio", content=wav),
        chunk("text", content="late "),
        chunk("text", **sound),
        chunk("text", content="words"),
        end,
    ]
    with chatting("vllm-omni", Given(events=events)) as server:
        told = answer(server, stream=True, aloud=True)
    assert (told.text, understood(told.sound)) == ("late words", "late words")
    with chatting("vllm-omni", Given(events=[events[0], end])) as server:
        told = answer(server, stream=True, aloud=True)
    assert (told.text, understood(told.sound)) == ("", "late words")


def test_a_server_that_repeats_its_sound_is_found_out() -> None:
    with chatting("vllm-omni", "Only once.", cumulative=True) as server:
        told = answer(server, stream=True, aloud=True)
    assert understood(told.sound) == "Only once."
    assert told.notes == ("each piece of the sound held all earlier ones: the last was taken",)


def test_two_channels_and_broken_sounds() -> None:
    stereo = message(audio={"data": wav_base64("hi", channels=2), "transcript": "hi"})
    with chatting("openai", Given(body=stereo)) as server:
        told = answer(server, aloud=True, voice="v")
    assert (told.text, understood(told.sound), told.notes) == ("hi", "hi", ("mean of 2 channels",))
    for data in ("not base64!", wav_base64("hello", cut=10)):
        with chatting("openai", Given(body=message(audio={"data": data}))) as server:
            assert failure(server, aloud=True, voice="v") == "broken-audio"
    rates = [
        {"modality": "audio", "choices": [{"delta": {"content": wav_base64("a", rate=rate)}, "finish_reason": "stop"}]}
        for rate in (8000, 16000)
    ]
    with chatting("vllm-omni", Given(events=rates)) as server:
        assert failure(server, stream=True, aloud=True) == "broken-audio"


def test_what_a_dialect_cannot_carry_is_not_sent() -> None:
    for dialect in ("vllm", "sglang"):
        with chatting(dialect) as server:
            assert failure(server, aloud=True) == "unsupported"
        assert server.requests == []
    own = (Message("assistant", (spoken("hello"),)), USER)
    for dialect in WRITING:
        with chatting(dialect) as server:
            if hears_itself(dialect.removesuffix("-old")):
                assert answer(server, *own).text == "Hello."
                assert server.requests[0].turns[0] == ("assistant", "sound: hello")
            else:
                with pytest.raises(EngineError) as caught:
                    answer(server, *own)
                assert caught.value.cause == "unsupported"
                assert server.requests == []


def test_which_dialects_speak() -> None:
    assert {dialect for dialect in WRITING if speaks(dialect)} == {"openai", "vllm-omni", "dashscope", "gemini", "vertex"}
