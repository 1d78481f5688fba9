"""The chat completions of OpenAI and of the servers that follow it: the body of a request, and what an answer says.

- `openai`: the limit of tokens is `max_completion_tokens`, which newer models insist on; nothing is sent that OpenAI does not
  document. Streamed sound is raw pcm16, sound in one piece WAV.
- `vllm`, `sglang`: hear, and answer in words only.
- `vllm-omni`: `modalities` is always said, since its default is to speak; the voice stands at two places, because versions and
  models differ in which they read. Streamed, a chunk says its `modality`: of "audio" the sound is where the words would be. Not
  streamed, words and sound come as one choice or as two of the same number. It takes sound in the assistant's messages.
- `dashscope`: only streams; sounds are sent as data addresses; JSON schemas are known to few of its models and not sent
  (`extra` can hold a `response_format`).

A message of one text is a string, any other a list of parts. Thoughts (`reasoning`, `reasoning_content`) are no part of the
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnwise.endpoints.asking import Asking, Message, with_extra
from turnwise.endpoints.gathering import Gathering, expect, number_of
from turnwise.endpoints.sound_bytes import to_base64
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError

PATH = "chat/completions"
SPEAKING = frozenset(("openai", "vllm-omni", "dashscope"))  # dialects whose answers can carry sound
HEARS_ITSELF = frozenset(("vllm-omni",))  # dialects that take sound in the assistant's messages
STREAMS_ONLY = frozenset(("dashscope",))
_STRICT_SCHEMA = frozenset(("openai", "vllm", "vllm-omni", "sglang"))


def body(asking: Asking, dialect: str, stream: bool) -> dict[str, Any]:
    """The request's body."""
    made: dict[str, Any] = {"model": asking.model, "messages": [_message(message, dialect) for message in asking.messages]}
    if asking.aloud:
        if dialect not in SPEAKING:
            raise EngineError("unsupported", f"a server of the dialect {dialect} answers in words only")
        made["modalities"] = ["text", "audio"]
        audio = {"format": "pcm16" if stream and dialect == "openai" else "wav"}
        made["audio"] = {"voice": asking.voice, **audio} if asking.voice else audio
        if asking.voice and dialect == "vllm-omni":
            made["voice"] = asking.voice
    elif dialect == "vllm-omni":
        made["modalities"] = ["text"]
    if asking.temperature is not None:
        made["temperature"] = asking.temperature
    if asking.most_tokens is not None:
        made["max_completion_tokens" if dialect == "openai" else "max_tokens"] = asking.most_tokens
    if asking.seed is not None:
        made["seed"] = asking.seed & 0x7FFFFFFF
    if asking.schema is not None and dialect in _STRICT_SCHEMA:
        form = {"name": "answer", "strict": True, "schema": asking.schema}
        made["response_format"] = {"type": "json_schema", "json_schema": form}
    if stream:
        made["stream"] = True
        made["stream_options"] = {"include_usage": True}
    return with_extra(made, asking.extra)


def take(data: Any, into: Gathering, at: float = 0.0) -> None:
    """Read a whole answer, or one chunk of it that arrived `at` this time.perf_counter()."""
    spoken = expect(data, dict, "an object").get("modality") == "audio"
    for choice in expect(data.get("choices") or [], list, "a list of choices"):
        part = expect(choice, dict, "a choice").get("delta") or choice.get("message") or {}
        expect(part, dict, "a message")
        into.choices += 1
        number = number_of(choice)
        content = part.get("content")
        if spoken and isinstance(content, str):
            into.sound(content, number, at)
        else:
            into.words(_words(content), number, at)
        into.refused(part.get("refusal"), number, at)
        audio = part.get("audio")
        if isinstance(audio, Mapping):
            into.transcript(audio.get("transcript"), number, at)
            into.sound(audio.get("data"), number, at)
        reason = choice.get("finish_reason")
        # SGLang tells of an answer it gave up as an object.
        into.ended(reason.get("type") if isinstance(reason, dict) else reason)
        if reason == "content_filter":
            into.withheld = "content_filter"


def _message(message: Message, dialect: str) -> dict[str, Any]:
    parts = message.parts
    if len(parts) == 1 and isinstance(parts[0], str):
        return {"role": message.role, "content": parts[0]}
    heard = [part for part in parts if isinstance(part, Sound)]
    if heard and (message.role == "system" or (message.role == "assistant" and dialect not in HEARS_ITSELF)):
        raise EngineError("unsupported", f"a server of the dialect {dialect} takes no sound in messages of the {message.role}")
    return {"role": message.role, "content": [_part(part, dialect) for part in parts]}


def _part(part: str | Sound, dialect: str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = to_base64(part)
    return {
        "type": "input_audio",
        "input_audio": {"data": f"data:;base64,{data}" if dialect == "dashscope" else data, "format": "wav"},
    }


def _words(content: Any) -> Any:
    """The words of a content: a text, or a list of parts of which some are text."""
    if not isinstance(content, list):
        return content
    return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
