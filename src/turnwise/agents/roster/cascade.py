"""A chain of three: a recogniser hears the user, a text mind answers the words, a synthesizer speaks the answer.

Each part is any plug-in, by name and with its options: in a worker, on a device, or behind a server. Nothing streams: the
first sample of the reply comes when all three stages are done. What the recogniser mishears is all the mind gets; an empty
recognition is passed on as it is. Past turns that are shown as sound only are heard by the same recogniser. Hearing the same clip
and speaking the same words in the same voice happen once per run, with the seconds of that time; thinking happens each time.
Where a part takes several turns at once, the seconds are those of the whole batch. A mind that says nothing makes a silent reply.
The licences are those of the parts.

The reply keeps the mind's words as they are; only the synthesizer is given them without markup that is not to be spoken
(`speech/speakable.py`). Nothing that is to be spoken is lost: `(312) 555-0100` stays.

Options: `recognizer`, `mind` and `synthesizer` with `recognizer_options`, `mind_options` and `synthesizer_options`;
`clean = false` gives the synthesizer the mind's words with their markup.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from turnwise.agents.agent import AGENTS, Around, Past, Reply, Timings, View
from turnwise.foundation.errors import EngineError, InputError, RunStopped
from turnwise.foundation.fingerprint import canonical
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place, place_of
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS
from turnwise.speech.speakable import speakable

T = TypeVar("T")


@dataclass(frozen=True)
class Cascade:
    """The chain, its parts named and not yet opened."""

    recognizer: str
    recognizer_options: Mapping[str, Any]
    mind: str
    mind_options: Mapping[str, Any]
    synthesizer: str
    synthesizer_options: Mapping[str, Any]
    clean: bool
    speaks = True
    place: Place = "driver"

    def __post_init__(self) -> None:
        if self._mind().speaks:
            raise InputError(f"cascade: the mind {self.mind!r} speaks by itself", "name a text mind, such as 'frame'")

    @property
    def adapts(self) -> bool:
        return bool(self._recognizer().adapts)

    @property
    def reads_corpus(self) -> bool:
        return bool(getattr(self._mind(), "reads_corpus", False))

    @property
    def remembers(self) -> int:
        return int(getattr(self._synthesizer(), "remembers", 0))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(
            model for part in (self._recognizer(), self._mind(), self._synthesizer()) for model in getattr(part, "models", ())
        )

    def identity(self) -> Mapping[str, str]:
        return {
            "shared": lineage(__file__),
            "recognizer": RECOGNIZERS.identity(self.recognizer, self.recognizer_options),
            "mind": AGENTS.identity(self.mind, self.mind_options),
            "synthesizer": SYNTHESIZERS.identity(self.synthesizer, self.synthesizer_options),
        }

    def parts(self) -> tuple[tuple[str, Place], ...]:
        """What it is made of: the key of each part and where it works."""
        return (
            (canonical(["recognizer", self.recognizer, self.recognizer_options]), place_of(self._recognizer())),
            (canonical(["agent", self.mind, self.mind_options]), place_of(self._mind())),
            (canonical(["synthesizer", self.synthesizer, self.synthesizer_options]), place_of(self._synthesizer())),
        )

    def phrases(self) -> tuple[str, ...]:
        mind = self._mind()
        return tuple(mind.phrases()) if hasattr(mind, "phrases") else ()

    def reach(self, around: Around) -> CascadeSession:
        return CascadeSession(self, around)

    def _recognizer(self) -> Any:
        return RECOGNIZERS.build(self.recognizer, self.recognizer_options)

    def _mind(self) -> Any:
        return AGENTS.build(self.mind, self.mind_options)

    def _synthesizer(self) -> Any:
        return SYNTHESIZERS.build(self.synthesizer, self.synthesizer_options)


@dataclass
class CascadeSession:
    """The chain at work."""

    chain: Cascade
    around: Around

    async def answer(self, view: View, *, seed: int) -> Reply:
        chain, parts = self.chain, self.around.parts
        past = tuple([await self._as_words(turn, view.dialogue) for turn in view.past])
        text, heard, hearing = view.text, None, None
        if text is None:
            if view.clip is None:
                raise EngineError("no-input", "the turn was given neither as words nor as sound")
            listening = parts.hear(chain.recognizer, chain.recognizer_options, view.clip, view.dialogue)
            understood, hearing = await _stage("hear", chain.recognizer, listening)
            text = heard = understood.text
        shown = msgspec.structs.replace(view, past=past, text=text, clip=None, voice=())
        thinking = parts.think(chain.mind, chain.mind_options, shown, seed=seed)
        thought, thinking_time = await _stage("think", chain.mind, thinking)
        words = speakable(thought.text) if chain.clean else thought.text.strip()
        if not words:
            return Reply(
                thought.text.strip(), heard=heard, timings=Timings(hear=hearing, think=thinking_time), notes=thought.notes
            )
        speaking = parts.speak(chain.synthesizer, chain.synthesizer_options, words, view.voice)
        clip, speaking_time = await _stage("speak", chain.synthesizer, speaking)
        first = (hearing or 0.0) + thinking_time + speaking_time
        return Reply(thought.text, clip, heard, Timings(hearing, thinking_time, speaking_time, first), thought.notes)

    async def close(self) -> None:
        """The parts belong to the run."""

    async def _as_words(self, turn: Past, dialogue: str) -> Past:
        """A past turn for a mind that reads: what is shown as sound only is heard."""
        if turn.text is not None or turn.clip is None:
            return msgspec.structs.replace(turn, clip=None)
        chain = self.chain
        listening = self.around.parts.hear(chain.recognizer, chain.recognizer_options, turn.clip, dialogue)
        return Past(turn.speaker, (await _stage("hear", chain.recognizer, listening))[0].text)


async def _stage(stage: str, name: str, work: Awaitable[T]) -> T:
    """The work of one part; its failure is told with the stage's name."""
    try:
        return await work
    except RunStopped:
        raise
    except EngineError as error:
        raise EngineError(stage, f"{name}: {error.cause}: {error.message}") from error


def agent(
    recognizer: str = "pocketsphinx",
    recognizer_options: Mapping[str, Any] | None = None,
    mind: str = "frame",
    mind_options: Mapping[str, Any] | None = None,
    synthesizer: str = "espeak",
    synthesizer_options: Mapping[str, Any] | None = None,
    clean: bool = True,
) -> Cascade:
    return Cascade(
        recognizer,
        dict(recognizer_options or {}),
        mind,
        dict(mind_options or {}),
        synthesizer,
        dict(synthesizer_options or {}),
        clean,
    )
