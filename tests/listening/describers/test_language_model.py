"""A language model behind a server: what is sent, what comes back, and what is no answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from servers.chat_server import ChatServer, Given, Request, chatting
from turnwise.endpoints.remote import Remote
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.place import place_of
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.ratings import DIMENSIONS, LEVELS, Ratings

R = Ratings(2.4123, 1.8, 3.6, 4.2, 3.9)
B = Ratings(3.9, 4.0, None, 4.1, 4.0, missing={"col": "not heard"})
EXAMPLE = {"ratings": {"mos": 3.1, "noi": 3, "col": 4.0, "dis": 4.5, "loud": 3.3}, "text": "An example. MOS: 3.1"}


def asked(server: ChatServer, work: Callable[[Any], Any], **options: Any) -> Any:
    async def run() -> Any:
        remote = Remote({"there": server.endpoint()}, patience=0.0)
        writing = DESCRIBERS.build("language_model", {"endpoint": "there", "model": "m", **options}).reach(remote)
        try:
            return await work(writing)
        finally:
            await writing.close()
            await remote.close()

    return asyncio.run(run())


def describe(server: ChatServer, ratings: Ratings = R, **options: Any) -> Any:
    return asked(server, lambda writing: writing.describe(ratings, None, seed=7), **options)


def compare(server: ChatServer, **options: Any) -> Any:
    return asked(server, lambda writing: writing.compare(R, B, None, seed=7), **options)


def settings(request: Request) -> tuple[float, float]:
    return request.body["temperature"], request.body["top_p"]


@pytest.mark.parametrize(
    ("options", "sent"), [({}, (1.0, 0.9)), ({"preset": "diverse"}, (1.1, 0.9)), ({"temperature": 0.2, "top_p": 0.5}, (0.2, 0.5))]
)
def test_a_description_is_asked_for_with_the_published_settings(options: dict[str, Any], sent: tuple[float, float]) -> None:
    with chatting(answer="  It is poor. MOS: 2.4 ") as server:
        assert describe(server, **options) == "It is poor. MOS: 2.4"
    (request,) = server.requests
    assert settings(request) == sent
    assert [role for role, *_ in request.turns] == ["system", "user"]
    told = request.turns[0][1]
    for dimension in DIMENSIONS:
        for level in LEVELS[dimension]:
            assert level in told
    given = json.loads(request.said[request.said.index("{") : request.said.index("}") + 1])
    assert given == {"mos": 2.4, "noi": 1.8, "col": 3.6, "dis": 4.2, "loud": 3.9}
    assert request.body["seed"] == 7


def test_the_example_is_shown_as_a_turn_of_its_own() -> None:
    with chatting(answer="Fine. MOS: 2.4") as server:
        describe(server, example=EXAMPLE)
    turns = server.requests[0].turns
    assert [role for role, *_ in turns] == ["system", "user", "assistant", "user"]
    assert '"mos": 3.1' in turns[1][1]
    assert turns[2][1] == "text: An example. MOS: 3.1"


def test_what_was_not_rated_is_null() -> None:
    with chatting(answer="Good. MOS: 3.9") as server:
        describe(server, B)
        assert '"col": null' in server.requests[0].said
        with pytest.raises(EngineError) as caught:
            describe(server, Ratings(None, None, None, None, None, missing=dict.fromkeys(DIMENSIONS, "silent")))
    assert caught.value.cause == "unrated"
    assert len(server.requests) == 1


def test_gemini_gets_its_own_name_for_top_p() -> None:
    with chatting("gemini", answer="Poor. MOS: 2.4") as server:
        describe(server, extra={"generationConfig": {"topK": 3}})
    settings_sent = server.requests[0].body["generationConfig"]
    assert (settings_sent["topP"], settings_sent["topK"], settings_sent["temperature"]) == (0.9, 3, 1.0)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (Given(""), "empty-answer"),
        (Given("<think>hm</think>"), "empty-answer"),
        (Given("I begin", finish="length"), "cut-short"),
        (Given(refusal="I will not."), "refused"),
    ],
)
def test_what_is_no_answer_is_a_fault(given: Given, cause: str) -> None:
    with chatting(answer=given) as server, pytest.raises(EngineError) as caught:
        describe(server)
    assert caught.value.cause == cause


def test_thoughts_are_left_out() -> None:
    with chatting(answer="<think>MOS 5?</think>\nPoor. MOS: 2.4") as server:
        assert describe(server) == "Poor. MOS: 2.4"


def scripted(*answers: str) -> Callable[[Request], str]:
    left = list(answers)
    return lambda request: left.pop(0)


def test_a_comparison_is_two_questions_with_their_own_settings() -> None:
    with chatting(answer=scripted("SpeechB has less noise.", "**[SpeechB]**")) as server:
        assert compare(server, preset="diverse", tie=0.25) == "SpeechB has less noise.\n[SpeechB]"
    first, second = server.requests
    assert (settings(first), settings(second)) == ((1.0, 0.9), (0.7, 1.0))
    assert "differ by at most 0.25" in first.turns[0][1]
    assert 'SpeechA: {"mos": 2.4' in first.said
    assert 'SpeechB: {"mos": 3.9' in first.said
    assert second.said.startswith("SpeechB has less noise.")


def test_a_summary_that_is_none_is_sent_back_once() -> None:
    with chatting(answer=scripted("Both are fine.", "I would say SpeechA", "[SpeechA]")) as server:
        assert compare(server) == "Both are fine.\n[SpeechA]"
    assert [role for role, *_ in server.requests[2].turns] == ["user", "assistant", "user"]
    assert settings(server.requests[2]) == (0.7, 1.0)
    with chatting(answer=scripted("Both are fine.", "[SpeechA] or [SpeechB]", "I prefer [SpeechA].")) as server:
        with pytest.raises(EngineError) as caught:
            compare(server)
        assert caught.value.cause == "no-summary"
        assert len(server.requests) == 3


def test_it_works_on_the_driver_and_its_identity_names_model_and_endpoint() -> None:
    made = DESCRIBERS.build("language_model", {"endpoint": "there", "model": "m"})
    assert place_of(made) == "driver"
    assert not made.listens
    assert {"shared", "endpoint", "model"} == made.identity().keys()
    names = {
        DESCRIBERS.identity("language_model", {"model": model, "preset": preset})
        for model in "ab"
        for preset in ("plain", "diverse")
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"preset": "wild"},
        {"temperature": 3},
        {"top_p": 0},
        {"tie": -0.1},
        {"most_tokens": 0},
        {"extra": {"messages": []}},
        {"example": {"ratings": {}, "text": "x"}},
        {"example": {"ratings": EXAMPLE["ratings"], "text": " "}},
        {"example": {"ratings": {**EXAMPLE["ratings"], "mos": 9}, "text": "x"}},  # type: ignore[dict-item]
        {"example": {"text": "x"}},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="language_model"):
        DESCRIBERS.build("language_model", {"model": "m", **options})
