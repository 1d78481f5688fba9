"""What the real servers answer with 400, as their documentation and their error messages tell; for `servers/chat_server.py`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servers.chat_server import Request

OPENAI_FIELDS_NAMED = """
model messages modalities audio temperature max_completion_tokens seed response_format stream stream_options top_p stop n
frequency_penalty presence_penalty reasoning_effort verbosity metadata store service_tier logprobs top_logprobs user
prompt_cache_key safety_identifier parallel_tool_calls prediction
"""
OPENAI_FIELDS = frozenset(OPENAI_FIELDS_NAMED.split())
GEMINI_FIELDS = frozenset(
    ("contents", "systemInstruction", "generationConfig", "safetySettings", "tools", "toolConfig", "cachedContent", "labels")
)
GEMINI_SETTINGS_NAMED = """
temperature maxOutputTokens seed responseMimeType responseSchema responseModalities speechConfig topP topK stopSequences
candidateCount thinkingConfig presencePenalty frequencyPenalty mediaResolution
"""
GEMINI_SETTINGS = frozenset(GEMINI_SETTINGS_NAMED.split())
GEMINI_SCHEMA_NAMED = """
type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength
maxLength pattern example anyOf propertyOrdering default items minimum maximum
"""
GEMINI_SCHEMA = frozenset(GEMINI_SCHEMA_NAMED.split())


def refusal(dialect: str, request: Request) -> str:
    """Why the real server would not take this request, "" where it would."""
    body = request.body
    if dialect in ("gemini", "vertex"):
        return _gemini(body)
    wrong = _messages(dialect, body.get("messages"))
    if wrong:
        return wrong
    if dialect == "openai":
        return _openai(body)
    if dialect == "dashscope":
        if not body.get("stream"):
            return "This model only support stream mode, please enable the stream parameter to access the model."
        return "" if "max_completion_tokens" not in body else "max_completion_tokens is not known"
    if dialect.startswith("vllm-omni"):
        return "" if not body.get("stream") or body.get("modalities") else "Streaming request must specify output modalities"
    if "audio" in body.get("modalities", ()) or "voice" in body:
        return "this server has no sound to give"  # the real ones overlook the field; what asks for it is wrong all the same
    return ""


def _openai(body: dict[str, Any]) -> str:
    for key in body:
        if key == "max_tokens":
            return "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        if key not in OPENAI_FIELDS:
            return f"Unrecognized request argument supplied: {key}"
    audio = body.get("audio")
    if "audio" in body.get("modalities", ()):
        if not audio or not audio.get("voice"):
            return "Missing required parameter: 'audio.voice'."
        if body.get("stream") and audio.get("format") != "pcm16":
            return f"Unsupported value: 'audio.format' does not support '{audio.get('format')}' when stream=true."
    form = body.get("response_format")
    return (
        _strict(form["json_schema"]["schema"]) if form and form["type"] == "json_schema" and form["json_schema"]["strict"] else ""
    )


def _strict(schema: dict[str, Any]) -> str:
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return (
                "Invalid schema for response_format 'answer': 'additionalProperties' is required to be supplied and to be false."
            )
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return "Invalid schema for response_format 'answer': 'required' is required to include every key in properties."
    return next(filter(None, map(_strict, schema.get("properties", {}).values())), "")


def _messages(dialect: str, messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        return "[] is too short - 'messages'"
    for message in messages:
        if message["role"] not in ("system", "user", "assistant"):
            return f"Invalid role {message['role']!r}"
        content = message["content"]
        for part in [] if isinstance(content, str) else content:
            if part["type"] == "text":
                continue
            if part["type"] != "input_audio":
                return f"Invalid content type {part['type']!r}"
            if message["role"] == "system" or (message["role"] == "assistant" and not dialect.startswith("vllm-omni")):
                return f"Invalid value: 'input_audio' in a message of the {message['role']}. Supported values are: 'text'."
            sound = part["input_audio"]
            if dialect == "dashscope":
                if not sound["data"].startswith(("data:", "https://")):
                    return "The provided URL does not appear to be valid."
            elif sound["format"] != "wav" or base64.b64decode(sound["data"])[:4] != b"RIFF":
                return "Invalid 'input_audio': the data is no WAV"
    return ""


def _gemini(body: dict[str, Any]) -> str:
    for known, fields, where in (
        (GEMINI_FIELDS, body, ""),
        (GEMINI_SETTINGS, body.get("generationConfig", {}), " at 'generation_config'"),
    ):
        for key in fields:
            if key not in known:
                return f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
    if not body.get("contents"):
        return "* GenerateContentRequest.contents: contents is not specified"
    for number, content in enumerate(body["contents"]):
        if content["role"] not in ("user", "model"):
            return "Please use a valid role: user, model."
        if not content["parts"]:
            return f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty."
        for part in content["parts"]:
            if not part.get("text") and "inlineData" not in part:
                return f"* contents[{number}].parts: required oneof field 'data' must have one initialized field"
    return _google_schema(body.get("generationConfig", {}).get("responseSchema", {}))


def _google_schema(schema: dict[str, Any]) -> str:
    for key in schema:
        if key not in GEMINI_SCHEMA:
            return f"Invalid JSON payload received. Unknown name {key} at 'generation_config.response_schema'"
    if schema.get("enum") and schema.get("type") not in (None, "string"):
        return "generation_config.response_schema.enum: only allowed for STRING type"
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else []), *schema.get("anyOf", ())]
    return next(filter(None, map(_google_schema, inner)), "")
