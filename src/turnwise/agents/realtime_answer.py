"""What a Realtime server says during one turn, event by event, put together to one answer.

Two families of event names are in use (`response.output_audio.delta` and the older `response.audio.delta`, and so on), and
vLLM-Omni has sent `transcription.delta` and sound under `audio` with its rate beside it. All are read. An event that comes
twice with one `event_id` is used once. Words come in pieces and at the end as a whole: the whole counts, and where the pieces
differ from it that is noted. Nothing here waits or sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from turnwise.endpoints.calls import Usage
from turnwise.endpoints.sound_bytes import Received, from_base64, from_pieces
from turnwise.endpoints.spending import told
from turnwise.foundation.errors import EngineError

_AUDIO = frozenset(("response.output_audio.delta", "response.audio.delta"))
_AUDIO_DONE = frozenset(("response.output_audio.done", "response.audio.done"))
_WORDS = frozenset(
    (
        "response.output_audio_transcript.delta",
        "response.audio_transcript.delta",
        "response.output_text.delta",
        "response.text.delta",
        "transcription.delta",
    )
)
_WORDS_DONE = frozenset(kind.removesuffix("delta") + "done" for kind in _WORDS)
_CONFIRMED = frozenset(("conversation.item.added", "conversation.item.created", "conversation.item.done"))
_HEARD = "conversation.item.input_audio_transcription.completed"

Part = tuple[str, int, int]  # item, output and content of the answer


class RealtimeAnswer:
    """One answer as it comes in."""

    def __init__(self, past: Iterable[str], refusal: Callable[[Any], EngineError]) -> None:
        """`past`: ids of the earlier turns; `refusal`: what an error in an event is."""
        self.asked = False  # an answer may come
        self.over = False
        self.first_audio: float | None = None  # time.perf_counter() of its arrival
        self.heard: str | None = None  # the server's own transcript of the user's turn, where it sends one
        self.usage: Usage | None = None
        self.unconfirmed = set(past)  # by the server
        self._past = frozenset(self.unconfirmed)
        self._refusal = refusal
        self._response = ""
        self._events: set[str] = set()
        self._repeated = 0
        self._audio: list[str] = []
        self._rate: int | None = None
        self._pieces: dict[Part, list[str]] = {}
        self._whole: dict[Part, str] = {}
        self._final: str | None = None  # of response.done
        self._ended: set[str] = set()  # what a server that sends no response.done has ended

    def take(self, event: Any, at: float) -> None:
        """One more event, that arrived at this time."""
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str):
            raise EngineError("broken-answer", f"the server sent an event without a type: {str(event)[:120]}")
        if self._seen(event.get("event_id")):
            return
        if kind == "error":
            raise self._refusal(event.get("error") or event)
        if kind in _CONFIRMED:
            item = event.get("item")
            self.unconfirmed.discard(str(item.get("id")) if isinstance(item, dict) else "")
        elif kind == _HEARD and event.get("item_id") not in self._past:
            self.heard = _text(event, "transcript")
        elif kind.startswith(("response.", "transcription.")):
            self._belongs(event)
            self._answer(kind, event, at)

    def words(self) -> str:
        """What the server says was said."""
        return self._final if self._final is not None else self._joined(self._whole)

    def sound(self, rate: int) -> Received:
        """What came as sound; raw samples are at this rate where the server told none."""
        return from_pieces(from_base64(self._audio), raw_rate=self._rate or rate)

    def notes(self) -> list[str]:
        found = [f"events that the server sent twice, used once: {self._repeated}"] if self._repeated else []
        words = self.words()
        for earlier in dict.fromkeys((self._joined(self._pieces), self._joined(self._whole))):
            if earlier and earlier != words:
                found.append(f"the server's final words differ from those it sent before: {earlier[:120]!r}")
        return found

    def _answer(self, kind: str, event: dict[str, Any], at: float) -> None:
        if kind in _AUDIO:
            piece = _text(event, "delta" if "delta" in event else "audio")
            if piece:
                self._audio.append(piece)
                self.first_audio = self.first_audio or at
            self._rate = _count(event.get("sample_rate_hz")) or self._rate
        elif kind in _WORDS:
            self._pieces.setdefault(_part(event), []).append(_text(event, "delta"))
        elif kind in _WORDS_DONE:
            self._whole[_part(event)] = _text(event, "transcript" if "transcript" in event else "text")
        if kind == "transcription.done":
            self.usage = told(event) or self.usage
        if kind == "response.done":
            self._done(event)
        elif kind in _AUDIO_DONE or kind == "transcription.done":
            self._ended.add(kind.partition(".")[0])
            self.over = self.over or (not self._response and self._ended == {"response", "transcription"})

    def _done(self, event: dict[str, Any]) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            raise EngineError("broken-answer", "the server ended its answer without saying how")
        self.usage = told(event) or self.usage
        status = response.get("status") or "completed"
        details = response.get("status_details")
        details = details if isinstance(details, dict) else {}
        if status == "failed":
            raise self._refusal(details.get("error") or details or "the answer failed, and the server does not say why")
        if status != "completed":
            why = details.get("reason") or "no reason given"
            raise EngineError(
                status if status in ("incomplete", "cancelled") else "broken-answer", f"the answer is {status}: {why}"
            )
        said = _said(response.get("output"))
        self._final = " ".join(said).strip() if said else None
        self.over = True

    def _belongs(self, event: dict[str, Any]) -> None:
        """Only what was asked for is an answer."""
        if not self.asked:
            message = "the server began to answer before the turn was over: it detects turns itself, though it was told not to"
            raise EngineError("contract", message)
        response = event.get("response")
        id = response.get("id") if isinstance(response, dict) else event.get("response_id")
        if not isinstance(id, str) or not id:
            return
        if self._response and id != self._response:
            raise EngineError("contract", "the server gives two answers to one turn")
        self._response = id

    def _seen(self, id: Any) -> bool:
        if not isinstance(id, str) or not id:
            return False
        seen = id in self._events
        self._events.add(id)
        self._repeated += seen
        return seen

    def _joined(self, parts: dict[Part, str] | dict[Part, list[str]]) -> str:
        """The words of all parts; of one that was not ended, its pieces."""
        texts = {part: "".join(pieces) for part, pieces in self._pieces.items()}
        texts |= {part: "".join(text) for part, text in parts.items()}
        return " ".join(text.strip() for text in texts.values() if text.strip())


def _said(output: Any) -> list[str]:
    """Words of the messages in `response.done`."""
    messages = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    contents = [content for item in messages if isinstance(item.get("content"), list) for content in item["content"]]
    told = [content.get("transcript") or content.get("text") for content in contents if isinstance(content, dict)]
    return [words.strip() for words in told if isinstance(words, str) and words.strip()]


def _part(event: dict[str, Any]) -> Part:
    return str(event.get("item_id") or ""), _count(event.get("output_index")), _count(event.get("content_index"))


def _text(event: dict[str, Any], field: str) -> str:
    value = event.get(field)
    if value is not None and not isinstance(value, str):
        raise EngineError("broken-answer", f"the server sent {event['type']} with {field} as {type(value).__name__}")
    return value or ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
