"""An audio model asked for ratings: the request to the letter, what is made of every kind of answer, no number for a failure."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from servers.chat_server import Answering, ChatServer, Given, Request, chatting, spoken
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import BudgetSpent, Remote
from turnwise.endpoints.sound_bytes import to_wav
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import place_of
from turnwise.listening.listener import LISTENERS
from turnwise.listening.listeners import audio_model
from turnwise.listening.rating_answer import INSTRUCTIONS, SCHEMA
from turnwise.listening.ratings import DIMENSIONS, Ratings

SEED = (5 << 31) + 7
WORDS = "Good morning to you. " * 29 + "Goodbye."  # of which the stub needs this many for 0.3 s
SOUND = spoken(WORDS)
WHOLE = {"noi": 1.8, "col": 3.6, "dis": 4.2, "loud": 3.9, "mos": 2.4}
OTHER = {"noi": 2.0, "col": 3.0, "dis": 4.0, "loud": 3.5, "mos": 2.8}
AGAIN = "Answer again, whole and corrected: the JSON object that was asked for and nothing else."


def in_turn(*answers: str | Given) -> Answering:
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def heard(server: ChatServer, sound: Sound = SOUND, remote: Remote | None = None, **options: Any) -> tuple[Ratings, list[Call]]:
    built = LISTENERS.build("audio_model", {"model": "m", "endpoint": "it", **options})

    async def listen() -> Ratings:
        line = remote or Remote({"it": server.endpoint()})
        listening = built.reach(line)
        try:
            ratings: Ratings = await listening.rate(sound, seed=SEED)
        finally:
            await listening.close()
            await line.close()
        return ratings

    with recording() as calls:
        ratings = asyncio.run(listen())
    return ratings, calls


def values(ratings: Ratings) -> dict[str, float]:
    return {name: value for name in DIMENSIONS if (value := ratings.value(name)) is not None}


# ------------------------------------------------------------------ what is sent


def test_the_request_is_exactly_this() -> None:
    with chatting("openai", json.dumps(WHOLE)) as server:
        ratings, _ = heard(server)
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    wav = base64.b64encode(to_wav(SOUND)).decode()
    assert request.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": INSTRUCTIONS},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Rate this recording:"},
                    {"type": "input_audio", "input_audio": {"data": wav, "format": "wav"}},
                ],
            },
        ],
        "temperature": 0.0,
        "seed": SEED & 0x7FFFFFFF,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}},
    }
    assert values(ratings) == WHOLE
    assert ratings.whole
    assert ratings.sources == dict.fromkeys(WHOLE, "m, asked in words")


@pytest.mark.parametrize("dialect", ["openai", "vllm", "vllm-omni", "sglang", "dashscope", "gemini", "vertex"])
def test_every_dialect_takes_it_and_its_repair(dialect: str) -> None:
    with chatting(dialect, in_turn(json.dumps({**WHOLE, "mos": 9}), json.dumps(OTHER))) as server:
        ratings, calls = heard(server)
    assert not server.refused
    assert values(ratings) == OTHER, "a second answer that is whole counts alone"
    assert server.requests[0].turns[1][1:] == ("text: Rate this recording:", f"sound: {WORDS}")
    assert len(calls) == 2


def test_options_are_sent() -> None:
    with chatting("openai", json.dumps(WHOLE)) as server:
        heard(server, structured=False, most_tokens=300, temperature=None, extra={"reasoning_effort": "low"})
    body = server.requests[0].body
    assert body.keys() == {"model", "messages", "seed", "max_completion_tokens", "reasoning_effort"}
    assert body["max_completion_tokens"] == 300


# ------------------------------------------------------------------ what is made of answers


def test_the_model_is_told_what_was_wrong() -> None:
    first = json.dumps({**WHOLE, "mos": 24, "dis": "much"})
    with chatting("openai", in_turn(first, json.dumps(OTHER))) as server:
        heard(server)
    asked, again = server.requests
    assert again.turns[:2] == asked.turns
    assert again.turns[2:] == [
        ("assistant", f"text: {first}"),
        ("user", f'text: mos is 24, which is not within 1 to 5; dis is "much", which is no number.\n{AGAIN}'),
    ]


def test_what_stays_wrong_is_missing_with_its_reason() -> None:
    first, second = {**WHOLE, "mos": 24}, {name: OTHER[name] for name in ("noi", "col")}
    with chatting("openai", in_turn(json.dumps(first), json.dumps(second))) as server:
        ratings, calls = heard(server)
    assert values(ratings) == {name: WHOLE[name] for name in ("noi", "col", "dis", "loud")}, "the first answer stays"
    assert ratings.missing == {"mos": "asked twice, mos is missing"}
    assert set(ratings.sources) == {"noi", "col", "dis", "loud"}
    assert len(calls) == 2


def test_words_without_ratings_are_a_failure() -> None:
    with chatting("openai", "It sounds rather nice.") as server, pytest.raises(EngineError) as caught:
        heard(server)
    assert caught.value.cause == "unreadable-answer"
    missing = "; ".join(f"{name} is missing" for name in DIMENSIONS)
    assert caught.value.message == f"asked twice, no rating can be read: {missing}"
    assert len(server.requests) == 2


def test_an_empty_answer_is_asked_again_from_the_start() -> None:
    with chatting("openai", in_turn("", json.dumps(WHOLE))) as server:
        ratings, _ = heard(server)
    assert server.requests[1].turns == server.requests[0].turns
    assert values(ratings) == WHOLE


def test_a_refusal_is_not_asked_again() -> None:
    with chatting("openai", Given(refusal="I do not rate people.")) as server:
        ratings, calls = heard(server)
    assert len(calls) == 1
    assert ratings.missing == dict.fromkeys(DIMENSIONS, "the model refused: I do not rate people.")


def test_a_refusal_of_the_second_question_leaves_the_first_answer() -> None:
    with chatting("openai", in_turn(json.dumps({**WHOLE, "mos": 0}), Given(refusal="No more."))) as server:
        ratings, _ = heard(server)
    assert values(ratings) == {name: WHOLE[name] for name in ("noi", "col", "dis", "loud")}
    assert ratings.missing == {"mos": "asked again, the model refused: No more."}


def test_an_answer_that_was_cut_is_said_to_be() -> None:
    with chatting("openai", in_turn(json.dumps({"mos": 2}), Given('{"noi": 2, "col"', finish="length"))) as server:
        ratings, _ = heard(server)
    assert ratings.missing["noi"] == "asked twice, noi is missing (the answer was cut at its limit of tokens)"


def failing_after(good: int) -> Any:
    def meddle(request: Request) -> web.Response | None:
        nonlocal good
        good -= 1
        return None if good >= 0 else web.json_response({"error": {"message": "down"}}, status=503)

    return meddle


def test_a_server_that_fails_is_an_error_and_no_rating() -> None:
    with chatting("openai", json.dumps(WHOLE), meddle=failing_after(0)) as server, pytest.raises(EngineError) as caught:
        heard(server)
    assert caught.value.cause == "server-error"


def test_a_server_that_fails_the_second_time_leaves_the_first_answer() -> None:
    with chatting("openai", json.dumps({**WHOLE, "mos": 0}), meddle=failing_after(1)) as server:
        ratings, _ = heard(server)
    assert values(ratings) == {name: WHOLE[name] for name in ("noi", "col", "dis", "loud")}
    assert ratings.missing["mos"].startswith("mos is 0, which is not within 1 to 5; asked again, the server failed: ")
    with chatting("openai", "nothing", meddle=failing_after(1)) as server, pytest.raises(EngineError):
        heard(server)


def test_a_spent_budget_stops_the_run() -> None:
    with chatting("openai", json.dumps({**WHOLE, "mos": 0})) as server:
        price = {"m": Price(input=1e6, output=1e6)}
        remote = Remote({"it": server.endpoint(prices=price)}, budget=200.0)
        with pytest.raises(BudgetSpent):
            heard(server, remote=remote)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (Sound(np.zeros(16000, np.float32), 16000), "silent: every sample is zero"),
        (Sound(np.full(16000, np.nan, np.float32), 16000), "broken: 16000 of 16000 samples are not finite numbers"),
    ],
)
def test_what_cannot_be_rated_is_not_sent(sound: Sound, reason: str) -> None:
    with chatting("openai", json.dumps(WHOLE)) as server:
        ratings, calls = heard(server, sound)
    assert ratings.missing == dict.fromkeys(DIMENSIONS, reason)
    assert (server.requests, calls) == ([], [])


def test_many_sounds_at_the_same_time() -> None:
    def answer(request: Request) -> str:
        number = int(request.said.rpartition(" ")[2])
        return json.dumps({**WHOLE, "mos": 1 + number / 10})

    async def all_of(server: ChatServer) -> Sequence[Ratings]:
        remote = Remote({"it": server.endpoint()})
        listening = LISTENERS.build("audio_model", {"model": "m", "endpoint": "it"}).reach(remote)
        try:
            return await asyncio.gather(*(listening.rate(spoken(f"{WORDS} {n}"), seed=n) for n in range(20)))
        finally:
            await remote.close()

    with chatting("openai", answer) as server:
        rated = asyncio.run(all_of(server))
    assert [ratings.mos for ratings in rated] == [1 + n / 10 for n in range(20)]


# ------------------------------------------------------------------ what it is


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": ""}, "audio_model: model is empty"),
        ({"model": "m", "endpoint": ""}, "audio_model: endpoint is empty"),
        ({"model": "m", "temperature": 3.0}, "audio_model: temperature is 3.0"),
        ({"model": "m", "most_tokens": 0}, "audio_model: most_tokens is 0"),
        ({"model": "m", "extra": {"messages": []}}, "extra may not hold 'messages'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        LISTENERS.build("audio_model", options)


def test_what_it_asks_is_part_of_its_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    built = LISTENERS.build("audio_model", {"model": "m"})
    assert (place_of(built), built.models, built.longest) == ("driver", ("m",), 30.0)
    before = built.identity()
    assert before["shared"] == lineage(audio_model.__file__)
    assert (before["endpoint"], before["model"]) == ("openai", "m")
    monkeypatch.setattr(audio_model, "INSTRUCTIONS", "Rate it.")
    assert built.identity()["asks"] != before["asks"]
