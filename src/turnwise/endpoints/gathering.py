"""An answer in the making: what has come of it so far, in pieces or at once.

A dialect's module reads each thing that the server sends into it; `finished` makes the `Answer`.
"""

from __future__ import annotations

from typing import Any

from turnwise.endpoints.asking import Answer
from turnwise.endpoints.sound_bytes import Received, from_base64, from_pieces
from turnwise.foundation.errors import EngineError
from turnwise.foundation.secrets import without_secrets

RAW_RATE = 24000  # samples per second of sound that comes without a header: OpenAI, DashScope, Gemini
HALVES = "half characters (unpaired surrogates) of the server were replaced"
_BROKEN_OFF = ("abort", "error", "cancelled")


class Gathering:
    """The words, sounds and reasons of one answer.

    They are kept by the number of the choice they belong to, since only the first choice is the answer, however many there are;
    its words and its sound may come as two choices of the same number.
    """

    def __init__(self) -> None:
        self.first_text: float | None = None  # time.perf_counter()
        self.first_audio: float | None = None
        self.choices = 0  # read so far
        self.finish = ""
        self.withheld = ""  # the server's reason for refusing
        self.raw_rate = RAW_RATE
        self.notes: tuple[str, ...] = ()
        self._words: dict[int, list[str]] = {}
        self._transcript: dict[int, list[str]] = {}
        self._refusal: dict[int, list[str]] = {}
        self._sounds: dict[int, list[str]] = {}

    @property
    def has_sound(self) -> bool:
        return bool(self._sounds)

    def words(self, text: Any, choice: int, at: float) -> None:
        """Written words."""
        self._text(self._words, text, choice, at)

    def transcript(self, text: Any, choice: int, at: float) -> None:
        """Words of the sound."""
        self._text(self._transcript, text, choice, at)

    def refused(self, text: Any, choice: int, at: float) -> None:
        """Words of a refusal."""
        self._text(self._refusal, text, choice, at)

    def sound(self, encoded: Any, choice: int, at: float) -> None:
        """Sound as base64."""
        if encoded is None or encoded == "":
            return
        if not isinstance(encoded, str):
            raise EngineError("broken-answer", f"expected sound as base64, got {type(encoded).__name__}")
        if self.first_audio is None:
            self.first_audio = at
        self._sounds.setdefault(choice, []).append(encoded)

    def ended(self, reason: Any) -> None:
        """The server's reason for stopping; a limit or a filter on one stage is not hidden by another stage's proper end."""
        if isinstance(reason, str) and reason and self.finish in ("", "stop"):
            self.finish = reason

    def finished(self, sent: float | None, seconds: float) -> Answer:
        """The answer. `sent` is the time.perf_counter() of sending, where it came in pieces. Decodes the sound: milliseconds."""
        if self.finish in _BROKEN_OFF:
            raise EngineError("broken-answer", f"the server broke off its answer: {self.finish}")
        received = self._received()
        said = (_first(self._refusal), _first(self._words) or _first(self._transcript), self.withheld)
        refusal, text, withheld = (_whole(one) for one in said)
        if (refusal + text + withheld).count("\ufffd") > "".join(said).count("\ufffd"):
            self.notes += (HALVES,)
        return Answer(
            text=text or refusal,
            sound=received.sound,
            first_text=None if sent is None or self.first_text is None else self.first_text - sent,
            first_audio=None if sent is None or self.first_audio is None else self.first_audio - sent,
            seconds=seconds,
            finish=self.finish,
            refusal=refusal or withheld,
            notes=self.notes + received.notes,
        )

    def _received(self) -> Received:
        if not self._sounds:
            return Received(None)
        return from_pieces(from_base64(self._sounds[min(self._sounds)]), self.raw_rate)

    def _text(self, kept: dict[int, list[str]], text: Any, choice: int, at: float) -> None:
        if text is None or text == "":
            return
        if not isinstance(text, str):
            raise EngineError("broken-answer", f"expected words, got {type(text).__name__}")
        if self.first_text is None:
            self.first_text = at
        kept.setdefault(choice, []).append(text)


def expect(value: Any, kind: type, what: str) -> Any:
    """A part of an answer, after it proved to be of the promised kind."""
    if not isinstance(value, kind):
        raise EngineError("broken-answer", f"expected {what}, got {without_secrets(repr(value))[:120]}")
    return value


def number_of(choice: dict[str, Any]) -> int:
    """Of a choice; servers that give one leave it out."""
    number = choice.get("index")
    return number if isinstance(number, int) else 0


def _whole(text: str) -> str:
    """The text with halves of characters that came apart joined, and those without their other half replaced (U+FFFD)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _first(kept: dict[int, list[str]]) -> str:
    return "".join(kept[min(kept)]) if kept else ""
