"""Describes ratings through any language model behind a chat server; it reads the five ratings and never hears the sound.

The model is given the definitions of the five dimensions with the words of their levels and the ratings as JSON with one
decimal, and is asked for a description that goes through noise, coloration, discontinuity and loudness, says what they do to
the whole, and ends with the overall rating. A comparison is two questions: which is better and by which one to three aspects,
then its summary, which has to be `[SpeechA]`, `[SpeechB]` or `[Tie]`; any other answer is sent back once, and then a fault
("no-summary"). An empty answer, a refusal, and one that ran into the limit of tokens are faults. Whether the words agree with
the ratings is not its business: `listening/faithfulness.py` checks it.

Options: `endpoint`, the name of an endpoint, "openai", "gemini", "local", or an address; `model` (needed); `preset`, "plain"
(temperature 1.0, top_p 0.9) or "diverse" (1.1, 0.9), the published settings of descriptions; `temperature` and `top_p` in place
of the preset's; `example`, ratings and a text about them to be imitated: { ratings = { mos = 2.4, ... }, text = "..." };
`tie` (0.1), by how much two overall ratings may differ and still count as equal; `most_tokens`; `extra`, further fields of the
request's body. Comparisons use temperature 1.0 and top_p 0.9, summaries 0.7 and 1.0, whatever the preset, as published.

Answers differ from call to call, seed or not. Needs a server, and for most a key. The licence is that of the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnwise.endpoints.asking import checked_settings, with_extra
from turnwise.endpoints.chat import Asking, Message, ask
from turnwise.endpoints.remote import Line, Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.listening.preference import TIE, TOKENS, read_summary
from turnwise.listening.ratings import DIMENSIONS, LEVELS, Dimension, Ratings

PRESETS: dict[str, tuple[float, float]] = {"plain": (1.0, 0.9), "diverse": (1.1, 0.9)}  # temperature, top_p
COMPARING = (1.0, 0.9)
SUMMARISING = (0.7, 1.0)

_MEANINGS: dict[Dimension, str] = {
    "mos": "the overall quality",
    "noi": "freedom from noise",
    "col": "freedom from coloration, an unnatural change of the sound",
    "dis": "freedom from discontinuity: breaks and stutter",
    "loud": "loudness",
}
_DEFINITIONS = "\n".join(
    [
        "Speech recordings were rated in five dimensions, each from 1 to 5; higher is better everywhere.",
        *(
            f"({place}) {key}: {_MEANINGS[key]}. " + ", ".join(f"{k} = {words}" for k, words in enumerate(LEVELS[key], 1)) + "."
            for place, key in enumerate(DIMENSIONS, 1)
        ),
        "A rating of null was not given: do not write about it.",
    ]
)
_DESCRIBING = (
    f"{_DEFINITIONS}\n\n"
    "You are given the ratings of one recording as JSON. Write an evaluation of it as one short paragraph. Describe "
    "dimensions (2) to (5) in the words of the level nearest to each rating, work out how they bear on the overall quality,"
    " and close with the overall quality and its number, as in: MOS: 3.2. State no other numbers than those given, and "
    "nothing that the ratings do not say."
)
_PREFERRING = (
    f"{_DEFINITIONS}\n\n"
    "You are given the ratings of two recordings, SpeechA and SpeechB, as JSON. The one with the higher mos is preferred; "
    "if the two mos differ by at most {tie:g}, neither is. Choose one to three of the dimensions (2) to (5) in which they "
    "differ clearly, as a rule by more than 0.5, compare both recordings in them, and state which one you prefer and why. "
    "Begin each sentence about a recording with its name. State no other numbers than those given, and nothing that the "
    "ratings do not say."
)
_SUMMARY = (
    "Which recording does this comparison prefer? Answer with exactly one of [SpeechA], [SpeechB], and [Tie] if it prefers "
    "neither, and nothing else."
)
_AGAIN = "That is not one of [SpeechA], [SpeechB], [Tie]. Answer with exactly one of them and nothing else."
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>|\A(?:(?!<think>).)*?</think>", re.DOTALL)


@dataclass(frozen=True)
class LanguageModel:
    """The describer with its options."""

    endpoint: str
    model: str
    temperature: float
    top_p: float
    example: tuple[Ratings, str] | None
    tie: float
    most_tokens: int | None
    extra: Mapping[str, Any]
    listens = False
    place: Place = "driver"

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__), "endpoint": self.endpoint, "model": self.model}

    def reach(self, remote: Remote) -> Writing:
        return Writing(self, remote.line(self.endpoint))


@dataclass(frozen=True)
class Writing:
    """The describer at work; it holds nothing of its own."""

    made: LanguageModel
    line: Line

    async def describe(self, ratings: Ratings, sound: Sound | None = None, *, seed: int) -> str:
        if len(ratings.missing) == len(DIMENSIONS):
            raise EngineError("unrated", f"there is no rating to describe: {ratings.missing['mos']}")
        messages = [Message("system", (_DESCRIBING,))]
        if self.made.example is not None:
            shown, text = self.made.example
            messages += [Message("user", (_given(shown),)), Message("assistant", (text,))]
        messages.append(Message("user", (_given(ratings),)))
        return await self._answer(messages, (self.made.temperature, self.made.top_p), seed)

    async def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None = None, *, seed: int) -> str:
        told = f"SpeechA: {_json(first)}\nSpeechB: {_json(second)}\n\nWrite only the comparison."
        messages = [Message("system", (_PREFERRING.format(tie=self.made.tie),)), Message("user", (told,))]
        text = await self._answer(messages, COMPARING, seed)
        asked = [Message("user", (f"{text}\n\n{_SUMMARY}",))]
        answer = await self._answer(asked, SUMMARISING, seed)
        if not (side := _only_summary(answer)):
            asked += [Message("assistant", (answer,)), Message("user", (_AGAIN,))]
            answer = await self._answer(asked, SUMMARISING, seed)
            if not (side := _only_summary(answer)):
                raise EngineError(
                    "no-summary", f"asked twice for one of [SpeechA], [SpeechB], [Tie], it answered {answer[:80]!r}"
                )
        return f"{text}\n{side}"

    async def close(self) -> None:
        """The line belongs to whoever opened it."""

    async def _answer(self, messages: list[Message], sampling: tuple[float, float], seed: int) -> str:
        made = self.made
        temperature, top_p = sampling
        google = self.line.endpoint.dialect in ("gemini", "vertex")
        nucleus: dict[str, Any] = {"generationConfig": {"topP": top_p}} if google else {"top_p": top_p}
        extra = with_extra(nucleus, made.extra)
        asking = Asking(
            made.model, tuple(messages), temperature=temperature, most_tokens=made.most_tokens, seed=seed, extra=extra
        )
        answer = await ask(self.line, asking)
        if answer.refusal:
            raise EngineError("refused", f"{made.model} refused: {answer.refusal[:200]}")
        if answer.finish == "length":
            raise EngineError("cut-short", f"the answer of {made.model} ran into the limit of tokens")
        text = _THOUGHTS.sub("", answer.text).strip()
        if not text:
            raise EngineError("empty-answer", f"{made.model} answered without a word")
        return text


def describer(
    endpoint: str = "openai",
    *,
    model: str,
    preset: str = "plain",
    temperature: float | None = None,
    top_p: float | None = None,
    example: Mapping[str, Any] | None = None,
    tie: float = TIE,
    most_tokens: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> LanguageModel:
    checked = checked_settings("language_model", model, temperature, most_tokens, extra)
    if preset not in PRESETS:
        raise InputError(f"language_model: preset is {preset!r}, expected 'plain' or 'diverse'")
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"language_model: top_p is {top_p}, expected above 0 and at most 1")
    if not 0 <= tie <= 4:
        raise InputError(f"language_model: tie is {tie}, expected 0 to 4")
    usual = PRESETS[preset]
    return LanguageModel(
        endpoint,
        model,
        usual[0] if temperature is None else temperature,
        usual[1] if top_p is None else top_p,
        None if example is None else _example(example),
        tie,
        most_tokens,
        checked,
    )


def _example(given: Mapping[str, Any]) -> tuple[Ratings, str]:
    """The example, checked: a wrong one would be imitated."""
    who = "language_model: example"
    ratings, text = given.get("ratings"), given.get("text")
    if set(given) != {"ratings", "text"} or not isinstance(ratings, Mapping) or not isinstance(text, str) or not text.strip():
        raise InputError(f"{who}: expected the two keys 'ratings' and 'text'")
    if set(ratings) != set(DIMENSIONS):
        raise InputError(f"{who}: ratings: expected the keys {', '.join(DIMENSIONS)}")
    for key, value in ratings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 5:
            raise InputError(f"{who}: ratings: {key} is {value!r}, expected a number from 1 to 5")
    mos, noi, col, dis, loud = (float(ratings[key]) for key in DIMENSIONS)
    return Ratings(mos, noi, col, dis, loud), text.strip()


def _json(ratings: Ratings) -> str:
    values = {key: ratings.value(key) for key in DIMENSIONS}
    return json.dumps({key: None if value is None else round(value, 1) for key, value in values.items()})


def _given(ratings: Ratings) -> str:
    return f"The ratings are {_json(ratings)}. Write only the evaluation."


def _only_summary(answer: str) -> str:
    """The token, where the answer is that and nothing else; "" otherwise."""
    side = read_summary(answer)
    token = TOKENS[side] if side else ""
    return token if token and answer.strip().strip("*`\"'. \n").lower() == token.lower() else ""
