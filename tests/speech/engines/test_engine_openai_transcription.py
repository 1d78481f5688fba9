"""The ear behind OpenAI's transcription route."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from servers.chat_server import chatting, spoken
from servers.speech_server import SpeechServer, speech_server
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.engine import RECOGNIZERS, Heard, Listening
from turnwise.speech.engines.openai_transcription import HostedEar, recognizer


def heard(server: SpeechServer, *sounds: Sound, **options: Any) -> list[Heard]:
    return told(server, *sounds, **options)[0]


def told(server: SpeechServer, *sounds: Sound, prices: Any = None, **options: Any) -> tuple[list[Heard], list[Call]]:
    async def go() -> tuple[list[Heard], list[Call]]:
        remote = Remote({"it": server.endpoint(prices=prices or {})})
        try:
            hearing = recognizer("it", **{"model": "m", **options}).reach(remote)
            with recording() as calls:
                words = await asyncio.gather(*(hearing.hear(Listening(sound, "d", 1)) for sound in sounds))
            await hearing.close()
            return list(words), calls
        finally:
            await remote.close()

    return asyncio.run(go())


def test_sound_becomes_words() -> None:
    sound = spoken("good morning")
    with speech_server() as server:
        assert heard(server, sound) == [Heard("good morning")]
    (asked,) = server.heard
    assert asked.fields == {"model": "m", "response_format": "json"}
    assert asked.file == ("speech.wav", "audio/wav")
    assert asked.sound.rate == sound.rate
    np.testing.assert_array_equal(asked.sound.samples, sound.samples)


def test_settings_reach_the_server() -> None:
    with speech_server() as server:
        extra = {"chunking_strategy": "auto", "include[]": ["logprobs"], "top_k": 3}
        heard(server, spoken("hi"), language="en", prompt="MSenC, SGD", temperature=0.2, extra=extra)
    assert server.heard[0].fields == {
        "model": "m",
        "response_format": "json",
        "language": "en",
        "prompt": "MSenC, SGD",
        "temperature": "0.2",
        "chunking_strategy": "auto",
        "include[]": '["logprobs"]',
        "top_k": "3",
    }


def test_nothing_understood_is_a_result() -> None:
    for words in ("", " \n"):
        with speech_server(hears=lambda said, words=words: words) as server:  # type: ignore[misc]
            assert heard(server, spoken("mumble")) == [Heard("")]


def test_many_at_once_and_what_they_cost() -> None:
    sounds = [spoken(f"sentence {n}") for n in range(12)]
    with speech_server() as server:
        words, calls = told(server, *sounds, prices={"m": Price(minute=0.006)})
    assert [one.text for one in words] == [f"sentence {n}" for n in range(12)]
    assert sum(call.cost or 0.0 for call in calls) == pytest.approx(sum(sound.seconds for sound in sounds) / 60 * 0.006)


def test_an_answer_of_another_form_is_broken() -> None:
    for answer in ({"segments": []}, {"text": None}, [], 5):
        with speech_server(hears=lambda said, answer=answer: answer) as server, pytest.raises(EngineError) as caught:  # type: ignore[misc]
            heard(server, spoken("hi"))
        assert caught.value.cause == "broken-answer"


def test_a_sound_without_samples_is_not_sent() -> None:
    with speech_server() as server:
        with pytest.raises(EngineError) as caught:
            heard(server, Sound(np.zeros(0, np.float32), 8000))
        assert caught.value.cause == "empty-audio"
        assert server.heard == []


def test_google_has_no_such_route() -> None:
    with chatting("vertex") as server, pytest.raises(InputError, match="dialect vertex, which has no such route"):
        recognizer("it", model="m").reach(Remote({"it": server.endpoint()}))


def test_what_it_is() -> None:
    built: HostedEar = RECOGNIZERS.build("openai_transcription", {"model": "m"})
    assert (built.endpoint, built.models, built.adapts, built.place) == ("openai", ("m",), False, "driver")
    assert built.identity().keys() == {"shared", "endpoint", "model"}
    plain = RECOGNIZERS.identity("openai_transcription", {"model": "m"})
    assert RECOGNIZERS.identity("openai_transcription", {"model": "m", "language": "en"}) != plain
    with pytest.raises(InputError, match="needs the option 'model'"):
        RECOGNIZERS.build("openai_transcription")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"model": ""}, "model is empty"),
        ({"temperature": 1.5}, "temperature is 1.5, expected 0 to 1"),
        ({"extra": {"response_format": "text"}}, "extra may not hold 'response_format'"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=message):
            recognizer(**{"model": "m", **options})


def test_each_catalogue_lists_its_own_kind() -> None:
    from turnwise.speech.engine import SYNTHESIZERS

    assert "openai_transcription" in RECOGNIZERS.cards() and "openai_transcription" not in SYNTHESIZERS.cards()
    assert "openai_speech" in SYNTHESIZERS.cards() and "openai_speech" not in RECOGNIZERS.cards()
