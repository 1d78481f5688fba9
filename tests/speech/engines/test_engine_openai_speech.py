"""The voice behind OpenAI's speech route."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from servers.chat_server import chatting, spoken, understood
from servers.speech_server import SpeechServer, speech_server
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.engine import SYNTHESIZERS, Utterance
from turnwise.speech.engines.openai_speech import HostedVoice, synthesizer


def said(server: SpeechServer, *texts: str, **options: Any) -> list[Sound]:
    return told(server, *texts, **options)[0]


def told(server: SpeechServer, *texts: str, prices: Any = None, **options: Any) -> tuple[list[Sound], list[Call]]:
    async def go() -> tuple[list[Sound], list[Call]]:
        remote = Remote({"it": server.endpoint(prices=prices or {})})
        try:
            speaking = synthesizer("it", **{"model": "m", "voice": "v", **options}).reach(remote)
            with recording() as calls:
                sounds = await asyncio.gather(*(speaking.speak(Utterance(text, 1)) for text in texts))
            await speaking.close()
            return list(sounds), calls
        finally:
            await remote.close()

    return asyncio.run(go())


@pytest.mark.parametrize(("form", "rate"), [("wav", 8000), ("pcm", 24000), ("flac", 8000)])
def test_words_become_sound(form: str, rate: int) -> None:
    with speech_server() as server:
        (sound,) = said(server, "good morning", response_format=form)
    assert (understood(sound), sound.rate) == ("good morning", rate)
    assert server.spoken[0].body == {"model": "m", "input": "good morning", "voice": "v", "response_format": form}
    assert server.refused == []


def test_mp3_sounds_nearly_the_same() -> None:
    tone = Sound((np.sin(np.arange(16000) / 10) / 2).astype(np.float32), 16000)
    with speech_server(speaks=lambda text: tone) as server:
        (sound,) = said(server, "beep", response_format="mp3")
    assert sound.rate == 16000
    assert abs(sound.seconds - 1.0) < 0.2
    middle = sound.samples[4000:12000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_a_wav_of_no_length_is_read_to_its_end() -> None:
    with speech_server(streamed=True) as server:
        assert understood(said(server, "good morning")[0]) == "good morning"


def test_settings_reach_the_server() -> None:
    with speech_server() as server:
        said(server, "hi", instructions="Whisper.", speed=1.5)
        assert server.spoken[0].body == {
            "model": "m",
            "input": "hi",
            "voice": "v",
            "instructions": "Whisper.",
            "speed": 1.5,
            "response_format": "wav",
        }
    with speech_server("vllm-omni") as server:
        designed = {"task_type": "VoiceDesign", "language": "English"}
        said(server, "hi", voice="", instructions="An old sailor, hoarse and merry.", extra=designed)
        assert server.spoken[0].body == {
            "model": "m",
            "input": "hi",
            "instructions": "An old sailor, hoarse and merry.",
            "response_format": "wav",
            **designed,
        }
        with pytest.raises(EngineError, match="requires 'instructions'"):
            said(server, "hi", voice="", extra=designed)


def test_the_rate_of_raw_samples_is_the_users_to_say() -> None:
    with speech_server(speaks=lambda text: spoken(text)) as server:
        (sound,) = said(server, "slow", response_format="pcm", rate=8000)
    assert (understood(sound), sound.rate) == ("slow", 8000)


def test_many_at_once_and_what_they_cost() -> None:
    texts = [f"sentence {n}" for n in range(12)]
    with speech_server() as server:
        sounds, calls = told(server, *texts, prices={"m": Price(character=15.0)})
    assert [understood(sound) for sound in sounds] == texts
    assert sum(call.usage.characters for call in calls) == sum(map(len, texts))
    assert sum(call.cost or 0.0 for call in calls) == pytest.approx(sum(map(len, texts)) * 15.0 / 1e6)


def test_nothing_to_say_and_nothing_said() -> None:
    with speech_server() as server:
        for text in ("", " \n"):
            with pytest.raises(EngineError) as caught:
                said(server, text)
            assert caught.value.cause == "empty-text"
        assert server.spoken == []
    silent = Sound(np.zeros(0, np.float32), 8000)
    with speech_server(speaks=lambda text: silent) as server, pytest.raises(EngineError) as caught:
        said(server, "hello")
    assert caught.value.cause == "empty-audio"


def test_what_is_no_sound_is_a_fault() -> None:
    for data, options in ((b"<html>busy</html>", {}), (b"RIFFbroken", {}), (b"fLaC" + bytes(50), {"response_format": "flac"})):
        with speech_server(speaks=lambda text, data=data: data) as server, pytest.raises(EngineError) as caught:  # type: ignore[misc]
            said(server, "hello", **options)
        assert caught.value.cause == "broken-audio"
    with speech_server() as server, pytest.raises(EngineError) as caught:
        said(server, "hello", voice="")
    assert caught.value.cause == "refused"
    assert server.refused == ["Missing required parameter: 'voice'."]


def test_words_in_place_of_sound_are_a_fault() -> None:
    from aiohttp import web

    from local_server import served

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"text": "I would rather not"})

    app = web.Application()
    app.router.add_post("/v1/audio/speech", answer)
    with served(app) as at:
        with pytest.raises(EngineError, match="words in place of sound") as caught:
            said(SpeechServer(url=at.url), "hello")
        assert caught.value.cause == "broken-answer"


def test_google_has_no_such_route() -> None:
    with chatting("gemini") as server, pytest.raises(InputError, match="dialect gemini, which has no such route"):
        synthesizer("it", model="m").reach(Remote({"it": server.endpoint()}))


def test_what_it_is() -> None:
    built: HostedVoice = SYNTHESIZERS.build("openai_speech", {"model": "m"})
    assert (built.endpoint, built.models, built.place) == ("openai", ("m",), "driver")
    assert built.identity().keys() == {"shared", "endpoint", "model", "soundfile"}
    plain = SYNTHESIZERS.identity("openai_speech", {"model": "m"})
    assert SYNTHESIZERS.identity("openai_speech", {"model": "m", "instructions": "Whisper."}) != plain
    with pytest.raises(InputError, match="needs the option 'model'"):
        SYNTHESIZERS.build("openai_speech")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"model": ""}, "model is empty"),
        ({"response_format": "opus"}, "response_format is 'opus', expected one of wav, pcm, flac, mp3"),
        ({"speed": 9}, "speed is 9, expected 0.25 to 4"),
        ({"rate": 0}, "rate is 0, expected 4000 to 192000"),
        ({"extra": {"input": "x"}}, "extra may not hold 'input'"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=message):
            synthesizer(**{"model": "m", **options})
