"""Failures in words: their causes, the pauses servers ask for, and nothing secret."""

from __future__ import annotations

import email.utils
import json
import pickle
import time
from typing import Any

import pytest

from turnwise.endpoints.attempts import Answerer, AttemptFailed, decoded, json_of, retry_after, worth_another
from turnwise.foundation.errors import EngineError, InputError

IT = Answerer("it", "https://models.example/v1", "ITS_KEY")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "soon"}, 7.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({}, None),
    ],
)
def test_pauses(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_without_the_servers_own_is_against_our_clock() -> None:
    seconds = retry_after({"retry-after": email.utils.formatdate(time.time() + 60, usegmt=True)})
    assert seconds is not None and 57 < seconds <= 60


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"error": {"details": [{"@type": "x"}, {"retryDelay": "17.5s"}]}}, 17.5),
        ({"error": {"details": [{"retryDelay": 3}]}}, None),
        ({"error": {"details": 5}}, None),
        ({"error": "busy"}, None),
        ([1], None),
    ],
)
def test_a_pause_inside_the_answer(answer: Any, seconds: float | None) -> None:
    assert retry_after({}, answer) == seconds


def test_which_failures_are_worth_another_attempt() -> None:
    for cause in ("timeout", "rate-limit", "server-error", "connection", "broken-answer"):
        assert worth_another(EngineError(cause, "x")) and worth_another(AttemptFailed(cause, "x"))
    for cause in ("refused", "budget", "stopped", "parse", "empty-audio"):
        assert not worth_another(EngineError(cause, "x"))
    assert not worth_another(AttemptFailed("rate-limit", "x", pause=601.0))
    assert worth_another(AttemptFailed("rate-limit", "x", pause=600.0))
    assert not worth_another(AttemptFailed("connection", "x", again=False))


def test_a_failed_attempt_survives_a_process_border() -> None:
    error = AttemptFailed("rate-limit", "x", pause=700.0)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is AttemptFailed and again.__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "no  such\\n thing"}}', "no such thing"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "outside"}', "outside"),
        (b'{"detail": "not found"}', '{"detail":"not found"}'),  # FastAPI
        (b"<html>Bad Gateway</html>", "Bad Gateway"),
        (
            b"<!DOCTYPE html>\n<html><head><title>502 Bad&nbsp;Gateway</title><style>p {}</style></head><body><!-- x -->"
            b"<h1>Sorry</h1><script>alert('x')</script><p>nginx &amp; co.</p></body></html>",
            "502 Bad Gateway: Sorry nginx & co.",
        ),
        (b"<html><title>Down</title><body>Down for a while<br/", "Down for a while"),
        (b"1 < 2 and <b> stays", "1 < 2 and <b> stays"),
        (b'{"error": "half \\ud83d of it"}', "half � of it"),
        (b"\xff\xfe", "��"),
        (b"[1, 2]", "[1,2]"),
        (b"proxy http://me:word@proxy.example:80 is down", "proxy http://proxy.example:80 is down"),
        (b"z" * 1000, "z" * 299 + "…"),
    ],
)
def test_what_the_server_said(body: bytes, words: str) -> None:
    error = IT.error_of_status(500, {}, body, "", "m", "/p")
    assert error.message == f"endpoint it: /p was answered with 500: {words}"


def test_without_words_there_is_no_colon() -> None:
    assert IT.error_of_status(500, {}, b"", "", "m", "/p").message == "endpoint it: /p was answered with 500 and no content"
    kind = {"content-type": "text/html; charset=utf-8"}
    assert IT.error_of_status(502, kind, b" ", "", "m", "/p").message.endswith("answered with 502 and no content (text/html)")
    free = Answerer("it", "http://localhost:8000/v1", "").error_of_status(401, {}, b"", "", "m", "/p")
    assert isinstance(free, InputError)
    assert str(free) == (
        "endpoint it: http://localhost:8000/v1 refuses a request without a key (401) "
        "(say which variable holds its key: `key` of the endpoint it (listen has --key))"
    )


@pytest.mark.parametrize("answer", [None, [], "x", 3, {}, {"error": None}, {"error": {}}, {"error": ""}, {"object": "list"}])
def test_answers_that_hold_no_error(answer: Any) -> None:
    assert IT.error_inside(answer, "", "/p") is None


def test_an_error_of_an_older_vllm() -> None:
    error = IT.error_inside({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}, "", "/p")
    assert error is not None and (error.cause, error.message) == (
        "refused",
        "endpoint it: /p was answered with an error: too long",
    )


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}},
        {  # vLLM
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
            "type": "BadRequestError",
            "code": 400,
        },
        {"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens)."},  # SGLang
        {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (2000000) exceeds the maximum"}},
        {"code": "InvalidParameter", "message": "Range of input length should be [1, 30720]"},  # DashScope
    ],
)
def test_a_request_longer_than_the_model_reads_has_a_cause_and_a_remedy(body: dict[str, Any]) -> None:
    error = IT.error_of_status(400, {}, json.dumps(body).encode(), "", "m", "/p")
    assert isinstance(error, AttemptFailed) and (error.cause, error.again) == ("context-length", False)
    assert "is longer than the model can read (400: " in error.message
    assert error.message.endswith("or name a model that reads more")  # in the message: hints are not kept with a fault
    assert error.message.count("`past`") == 1


def test_other_wrong_requests_are_refused_as_before() -> None:
    for message in ("'audio.voice' is missing", "max_tokens is too large", "The context is fine, the key is not"):
        error = IT.error_of_status(400, {}, json.dumps({"error": {"message": message}}).encode(), "", "m", "/p")
        assert isinstance(error, AttemptFailed) and error.cause == "refused"


def test_halves_of_characters_are_json_and_what_is_none_is_none() -> None:
    assert json_of(b'{"a": "x\\ud83d"}') == {"a": "x\ud83d"}
    assert json_of(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
    for broken in (b'{"a": "\\ud83d', b'{"a": NaN, "b": "\\ud83d"}', b"\xff\\ud83d", b"[" * 100_000 + b'"\\ud83d"'):
        assert decoded(broken) is None
