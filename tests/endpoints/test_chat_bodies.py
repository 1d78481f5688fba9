"""The exact body of a request in each dialect: a conversation of several turns in words and sound, and every setting."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from turnwise.endpoints import gemini_chat, openai_chat
from turnwise.endpoints.asking import Asking, Message, checked_settings
from turnwise.endpoints.sound_bytes import to_wav
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError

FIRST, SECOND, OWN = (Sound(np.full(4, level, np.float32), 16000) for level in (0.1, 0.2, 0.3))
OPENAI_LIKE = ("openai", "vllm", "vllm-omni", "sglang", "dashscope")
SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}

# Two rounds and the user's third turn, as sound, as both, as words; the agent's own turns as words.
TURNS = (
    Message("system", ("Be brief.",)),
    Message("assistant", ("Welcome.",)),
    Message("user", (FIRST,)),
    Message("assistant", ("One.",)),
    Message("user", (SECOND, "second")),
    Message("assistant", ("Two.",)),
    Message("user", ("third",)),
)


def encoded(sound: Sound) -> str:
    return base64.b64encode(to_wav(sound)).decode()


def heard(sound: Sound, prefix: str = "") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": prefix + encoded(sound), "format": "wav"}}


def openai_messages(prefix: str = "") -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Welcome."},
        {"role": "user", "content": [heard(FIRST, prefix)]},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": [heard(SECOND, prefix), {"type": "text", "text": "second"}]},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "third"},
    ]


def body(dialect: str, stream: bool = False, messages: tuple[Message, ...] = TURNS, **settings: Any) -> dict[str, Any]:
    module = gemini_chat if dialect in ("gemini", "vertex") else openai_chat
    return module.body(Asking("m", messages, **settings), dialect, stream)


def settings_of(dialect: str, stream: bool = False, **settings: Any) -> dict[str, Any]:
    made = body(dialect, stream, (Message("user", ("hi",)),), **settings)
    return {key: value for key, value in made.items() if key not in ("model", "messages", "contents")}


@pytest.mark.parametrize("dialect", OPENAI_LIKE)
def test_a_conversation_of_words_and_sounds(dialect: str) -> None:
    made = body(dialect)
    assert made.pop("messages") == openai_messages("data:;base64," if dialect == "dashscope" else "")
    assert made == {"model": "m", **({"modalities": ["text"]} if dialect == "vllm-omni" else {})}


@pytest.mark.parametrize("dialect", ["gemini", "vertex"])
def test_a_conversation_of_words_and_sounds_with_google(dialect: str) -> None:
    def blob(sound: Sound) -> dict[str, Any]:
        return {"inlineData": {"mimeType": "audio/wav", "data": encoded(sound)}}

    assert body(dialect) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "model", "parts": [{"text": "Welcome."}]},
            {"role": "user", "parts": [blob(FIRST)]},
            {"role": "model", "parts": [{"text": "One."}]},
            {"role": "user", "parts": [blob(SECOND), {"text": "second"}]},
            {"role": "model", "parts": [{"text": "Two."}]},
            {"role": "user", "parts": [{"text": "third"}]},
        ],
    }


def test_own_sound_goes_only_where_it_is_taken() -> None:
    turns = (Message("user", ("hi",)), Message("assistant", (OWN, "Hello.")), Message("user", ("go on",)))
    assert body("vllm-omni", messages=turns)["messages"][1] == {
        "role": "assistant",
        "content": [heard(OWN), {"type": "text", "text": "Hello."}],
    }
    for dialect in ("openai", "vllm", "sglang", "dashscope", "gemini", "vertex"):
        with pytest.raises(EngineError, match="no sound in messages of the assistant") as caught:
            body(dialect, messages=turns)
        assert caught.value.cause == "unsupported"


@pytest.mark.parametrize("dialect", [*OPENAI_LIKE, "gemini", "vertex"])
def test_the_system_does_not_speak(dialect: str) -> None:
    with pytest.raises(EngineError, match="no sound in messages of the system") as caught:
        body(dialect, messages=(Message("system", (OWN,)), Message("user", ("hi",))))
    assert caught.value.cause == "unsupported"


ALL = {"temperature": 0.0, "most_tokens": 50, "seed": (5 << 31) + 7, "schema": SCHEMA}
STRICT = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "vllm-omni"])
def test_settings_of_those_who_follow_openai(dialect: str) -> None:
    more = {"modalities": ["text"]} if dialect == "vllm-omni" else {}
    assert settings_of(dialect, **ALL) == {"temperature": 0.0, "max_tokens": 50, "seed": 7, "response_format": STRICT, **more}


def test_settings_of_openai_and_dashscope() -> None:
    assert settings_of("openai", **ALL) == {"temperature": 0.0, "max_completion_tokens": 50, "seed": 7, "response_format": STRICT}
    assert settings_of("dashscope", **ALL) == {"temperature": 0.0, "max_tokens": 50, "seed": 7}


def test_settings_of_google() -> None:
    schema = {key: value for key, value in SCHEMA.items() if key != "additionalProperties"}
    assert settings_of("gemini", **ALL) == {
        "generationConfig": {
            "temperature": 0.0,
            "maxOutputTokens": 50,
            "seed": 7,
            "responseMimeType": "application/json",
            "responseSchema": {**schema, "propertyOrdering": ["reason", "score"]},
        }
    }


def test_nothing_is_set_that_was_not_asked_for() -> None:
    for dialect in ("openai", "vllm", "sglang", "dashscope", "gemini", "vertex"):
        assert settings_of(dialect) == {}
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    assert settings_of("openai", True) == settings_of("vllm", True) == usage
    assert settings_of("gemini", True) == {}


def test_how_sound_is_asked_for() -> None:
    asked = {"modalities": ["text", "audio"]}
    assert settings_of("openai", aloud=True, voice="marin") == {**asked, "audio": {"voice": "marin", "format": "wav"}}
    streamed = settings_of("openai", True, aloud=True, voice="marin")
    assert streamed["audio"] == {"voice": "marin", "format": "pcm16"}
    assert settings_of("vllm-omni", aloud=True, voice="Ethan") == {
        **asked,
        "audio": {"voice": "Ethan", "format": "wav"},
        "voice": "Ethan",
    }
    assert settings_of("vllm-omni", True, aloud=True)["audio"] == {"format": "wav"}
    assert "voice" not in settings_of("vllm-omni", aloud=True)
    assert settings_of("dashscope", True, aloud=True, voice="Cherry")["audio"] == {"voice": "Cherry", "format": "wav"}
    assert settings_of("gemini", aloud=True, voice="Kore")["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    for dialect in ("vllm", "sglang"):
        with pytest.raises(EngineError, match="answers in words only") as caught:
            settings_of(dialect, aloud=True)
        assert caught.value.cause == "unsupported"


def test_further_fields_are_sent_as_they_are_and_objects_become_one() -> None:
    given = {"top_p": 0.5, "audio": {"format": "flac"}, "nested": {"a": [1, None]}}
    assert settings_of("openai", aloud=True, voice="v", extra=given) == {
        "modalities": ["text", "audio"],
        "audio": {"voice": "v", "format": "flac"},
        "top_p": 0.5,
        "nested": {"a": [1, None]},
    }
    thinking = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}
    assert settings_of("gemini", temperature=1.0, extra=thinking) == {
        "generationConfig": {"temperature": 1.0, "thinkingConfig": {"thinkingBudget": 0}}
    }
    assert given == {"top_p": 0.5, "audio": {"format": "flac"}, "nested": {"a": [1, None]}}


def test_paths_of_google() -> None:
    def path(model: str, stream: bool) -> str:
        return gemini_chat.path(Asking(model, ()), stream)

    assert path("gemini-3", False) == "models/gemini-3:generateContent"
    assert path("models/gemini-3", True) == "models/gemini-3:streamGenerateContent?alt=sse"
    assert path("tunedModels/ours", False) == "tunedModels/ours:generateContent"
    assert path("a?key=b c", False) == "models/a%3Fkey%3Db%20c:generateContent"


def test_google_gets_a_blank_for_a_message_without_words() -> None:
    turns = (Message("user", ("",)), Message("assistant", ("Pardon?",)), Message("user", (FIRST, "")), Message("system", ("",)))
    made = body("gemini", messages=turns)
    assert made["contents"][0]["parts"] == [{"text": " "}]
    assert len(made["contents"][2]["parts"]) == 1
    assert "systemInstruction" not in made
    assert gemini_chat.notes(Asking("m", turns)) == (gemini_chat.EMPTY,)
    assert gemini_chat.notes(Asking("m", TURNS)) == ()
    assert body("openai", messages=turns[:1])["messages"] == [{"role": "user", "content": ""}]


def test_json_schemas_as_google_writes_them() -> None:
    given = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": "Verdict",
        "properties": {
            "severity": {"type": "integer", "enum": [0, 3, 1]},
            "kind": {"const": "memory"},
            "quote": {"type": ["string", "null"]},
            "list": {
                "type": "array",
                "items": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            },
            "either": {"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]},
        },
        "required": ["severity"],
        "additionalProperties": False,
    }
    assert gemini_chat.schema(given) == {
        "type": "object",
        "title": "Verdict",
        "properties": {
            "severity": {"type": "integer", "minimum": 0, "maximum": 3},
            "kind": {"enum": ["memory"]},
            "quote": {"type": "string", "nullable": True},
            "list": {
                "type": "array",
                "items": {"type": "object", "properties": {"a": {"type": "string"}}, "propertyOrdering": ["a"]},
            },
            "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        },
        "required": ["severity"],
        "propertyOrdering": ["severity", "kind", "quote", "list", "either"],
    }
    for wrong in ({"$ref": "#/$defs/a"}, {"type": ["string", "integer"]}):
        with pytest.raises(EngineError) as caught:
            gemini_chat.schema(wrong)
        assert caught.value.cause == "unsupported"


def test_options_that_make_no_sense_are_refused() -> None:
    assert checked_settings("it", "m", 2.0, 1, {"top_p": 1}) == {"top_p": 1}
    assert checked_settings("it", "m", None, None, None) == {}
    wrong: list[tuple[tuple[Any, ...], str]] = [
        (("", None, None, None), "it: model is empty"),
        (("m", 2.1, None, None), "it: temperature is 2.1, expected 0 to 2"),
        (("m", None, 0, None), "it: most_tokens is 0, expected at least 1"),
        (("m", None, None, {"messages": []}), "it: extra may not hold 'messages'"),
        (("m", None, None, {"stream": True}), "it: extra may not hold 'stream'"),
    ]
    for given, message in wrong:
        with pytest.raises(InputError, match=message):
            checked_settings("it", *given)
