"""Google's generateContent, with an API key or on Vertex AI: the body of a request, and what an answer says.

The assistant is called "model"; what the system says goes beside the conversation; sounds are `inlineData`. A message without a
word is sent as a blank, because Google takes no empty part, and the answer's notes say so. A JSON schema becomes Google's own
kind of schema: what that has no field for is left out (`additionalProperties`, `$schema`), a constant becomes an enum of one,
an enum of numbers the range they span, a type that may be null becomes `nullable`, and the fields are asked for in the schema's
order. Reasons for stopping are told in OpenAI's words; a prompt or an answer that was blocked is a refusal. Thoughts are no
part of the answer.

Of sound out, only the models that speak a given text are served this way; a live conversation is another protocol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from turnwise.endpoints.asking import Asking, Message, with_extra
from turnwise.endpoints.gathering import Gathering, expect, number_of
from turnwise.endpoints.sound_bytes import to_base64
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError

DIALECTS = frozenset(("gemini", "vertex"))
EMPTY = "a message without words was sent as a blank: the server takes no empty one"
_ROLES = {"user": "user", "assistant": "model"}
_REFUSALS = frozenset(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR"))
_ENDS = {"STOP": "stop", "MAX_TOKENS": "length", **dict.fromkeys(_REFUSALS, "content_filter")}
# The fields of Google's Schema that JSON schemas have too.
_FIELDS_NAMED = """
type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength
maxLength pattern example anyOf propertyOrdering default items minimum maximum
"""
_FIELDS = frozenset(_FIELDS_NAMED.split())


def path(asking: Asking, stream: bool) -> str:
    """The path of a request, after the endpoint's address."""
    model = quote(asking.model, safe="/")
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"{model if '/' in model else f'models/{model}'}:{verb}"


def body(asking: Asking, dialect: str, stream: bool) -> dict[str, Any]:
    """The request's body."""
    made: dict[str, Any] = {"contents": [_content(message) for message in asking.messages if message.role != "system"]}
    system = [part for message in asking.messages if message.role == "system" for part in message.parts]
    if any(isinstance(part, Sound) for part in system):
        raise EngineError("unsupported", f"a server of the dialect {dialect} takes no sound in messages of the system")
    if any(system):
        made["systemInstruction"] = {"parts": [{"text": part} for part in system if part]}
    settings: dict[str, Any] = {}
    if asking.temperature is not None:
        settings["temperature"] = asking.temperature
    if asking.most_tokens is not None:
        settings["maxOutputTokens"] = asking.most_tokens
    if asking.seed is not None:
        settings["seed"] = asking.seed & 0x7FFFFFFF
    if asking.schema is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseSchema"] = schema(asking.schema)
    if asking.aloud:
        settings["responseModalities"] = ["AUDIO"]
        if asking.voice:
            settings["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": asking.voice}}}
    if settings:
        made["generationConfig"] = settings
    return with_extra(made, asking.extra)


def notes(asking: Asking) -> tuple[str, ...]:
    """What had to be changed to send it."""
    return (EMPTY,) if any(message.role != "system" and not any(map(_has, message.parts)) for message in asking.messages) else ()


def take(data: Any, into: Gathering, at: float = 0.0) -> None:
    """Read a whole answer, or one event of it that arrived `at` this time.perf_counter()."""
    feedback = expect(expect(data, dict, "an object").get("promptFeedback") or {}, dict, "promptFeedback")
    if feedback.get("blockReason"):
        into.ended("content_filter")
        into.withheld = str(feedback.get("blockReasonMessage") or feedback["blockReason"])
    for candidate in expect(data.get("candidates") or [], list, "a list of candidates"):
        number = number_of(expect(candidate, dict, "a candidate"))
        content = expect(candidate.get("content") or {}, dict, "a content")
        into.choices += 1
        for part in expect(content.get("parts") or [], list, "a list of parts"):
            if expect(part, dict, "a part").get("thought"):
                continue
            into.words(part.get("text"), number, at)
            blob = part.get("inlineData")
            if isinstance(blob, dict):
                rate = re.search(r"rate=(\d+)", str(blob.get("mimeType")))
                into.raw_rate = int(rate[1]) if rate else into.raw_rate
                into.sound(blob.get("data"), number, at)
        reason = candidate.get("finishReason")
        if isinstance(reason, str):
            into.ended(_ENDS.get(reason, reason.lower()))
            if reason in _REFUSALS:
                into.withheld = str(candidate.get("finishMessage") or reason)


def schema(given: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema as Google's Schema."""
    if "$ref" in given:
        raise EngineError("unsupported", "Google's schemas know no $ref: write the schema out")
    made: dict[str, Any] = {key: value for key, value in given.items() if key in _FIELDS}
    if "const" in given:
        made["enum"] = [given["const"]]
    if all(isinstance(one, int | float) for one in made.get("enum", ("",))):  # Google knows enums of words only
        made["minimum"], made["maximum"] = min(made["enum"]), max(made.pop("enum"))
    if isinstance(made.get("type"), list):
        kinds = [kind for kind in made["type"] if kind != "null"]
        if len(kinds) != 1:
            raise EngineError("unsupported", f"Google's schemas know one type at a time, not {made['type']}")
        made["nullable"] = len(kinds) < len(made["type"])
        made["type"] = kinds[0]
    if "properties" in made:
        made["properties"] = {name: schema(one) for name, one in made["properties"].items()}
        made.setdefault("propertyOrdering", list(made["properties"]))
    if "items" in made:
        made["items"] = schema(made["items"])
    if "anyOf" in made:
        made["anyOf"] = [schema(one) for one in made["anyOf"]]
    return made


def _content(message: Message) -> dict[str, Any]:
    if message.role == "assistant" and any(isinstance(part, Sound) for part in message.parts):
        raise EngineError("unsupported", "Google's servers take no sound in messages of the assistant")
    parts = [_part(part) for part in message.parts if _has(part)]
    return {"role": _ROLES[message.role], "parts": parts or [{"text": " "}]}


def _part(part: str | Sound) -> dict[str, Any]:
    return {"text": part} if isinstance(part, str) else {"inlineData": {"mimeType": "audio/wav", "data": to_base64(part)}}


def _has(part: str | Sound) -> bool:
    return part != ""
