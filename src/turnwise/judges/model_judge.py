"""A judge that asks a language or audio model: one question per turn, one chance to mend the answer, and no number for a failure.

A judge's own file brings the words of its question, the form of the answer and how both are made from an exchange; this file
asks. Scores that an answer gives are kept. For those it does not give, or gives wrongly, the model is told once what was
wrong. If the second answer is whole it counts alone, as what it says of one criterion may lean on another; else it only fills
gaps. What is missing then is a `Fault` of that criterion: `parse` (missing, or no number), `out-of-range`, `contradiction`,
`truncated` (the server stopped the answer at its limit), `refused`, or what the server failed with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from turnwise.endpoints.asking import Answer, Asking, Message, checked_settings
from turnwise.endpoints.chat import ask
from turnwise.endpoints.remote import Line
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError, RunStopped
from turnwise.foundation.fingerprint import canonical, fingerprint
from turnwise.foundation.lineage import lineage
from turnwise.foundation.plain_text import plain_text
from turnwise.judges.judge import Bench, Criterion, Exchange, Judge
from turnwise.judges.reading import Defect, Reading
from turnwise.judges.retelling import said
from turnwise.judges.verdict import Fault, Score, Verdict
from turnwise.speech.clip import Clip

EXCERPT = 200  # characters of a useless answer that its fault quotes
AGAIN = " [asked again]"  # ends the reason of a score that came with the second answer
SHORTER = "Keep every reason to at most 12 words."
CUT = Defect("truncated", "the answer was cut off at its limit of length")


class Form(Protocol):
    """What is asked, in words and as a schema, and how the answer is read."""

    criteria: tuple[str, ...]
    instructions: str
    schema: Mapping[str, Any]

    def read(self, text: str, said: Sequence[str]) -> Reading: ...


class Question(msgspec.Struct, frozen=True):
    """What is asked of one turn; without a form nothing is asked."""

    form: Form | None
    parts: tuple[str | Clip, ...] = ()
    settled: Mapping[str, Verdict] = {}  # of criteria that need no asking


class Service(msgspec.Struct, frozen=True):
    """Who is asked, and how."""

    endpoint: str
    model: str
    temperature: float | None
    most_tokens: int | None
    structured: bool  # send the schema of the answer, for servers that hold the model to it
    extra: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelJudge(Judge):
    """A judge of the driver that asks a model."""

    file: str  # the judge's own
    asks: str  # fingerprint of the instructions and schemas it asks with
    question: Callable[[Exchange], Question]  # what it asks about a turn; to be looked at without asking

    def identity(self) -> Mapping[str, str]:
        return {**super().identity(), "asks": self.asks, "shared": lineage(self.file)}


def service(
    file: str,
    model: str,
    endpoint: str,
    temperature: float | None,
    most_tokens: int | None,
    structured: bool,
    extra: Mapping[str, Any] | None,
) -> Service:
    """Checked options."""
    name = Path(file).stem
    if not endpoint:
        raise InputError(f"{name}: endpoint is empty, expected the name of an endpoint or an address")
    return Service(
        endpoint, model, temperature, most_tokens, structured, checked_settings(name, model, temperature, most_tokens, extra)
    )


def model_judge(
    file: str,
    *,
    version: int,
    criteria: tuple[Criterion, ...],
    service: Service,
    forms: Sequence[Form],
    question: Callable[[Exchange], Question],
    hears: bool = False,
    at_end: bool = False,
) -> ModelJudge:
    """A judge of the file `file` that puts `question` to the model; `forms` are all that it may use."""
    return ModelJudge(
        version=version,
        criteria=criteria,
        reach=partial(_sitting, Path(file).stem, service, question),
        hears=hears,
        at_end=at_end,
        models=(service.model,),
        file=file,
        question=question,
        asks=fingerprint(*(part for form in forms for part in (form.instructions, canonical(form.schema)))),
    )


def _sitting(name: str, service: Service, question: Callable[[Exchange], Question], bench: Bench) -> ModelSitting:
    if bench.remote is None:
        raise InputError(f"{name} asks a model: open it with a bench that has a remote")
    return ModelSitting(bench.remote.line(service.endpoint), service, question, bench)


class ModelSitting:
    """The judge at work; any number of turns at the same time."""

    def __init__(self, line: Line, service: Service, question: Callable[[Exchange], Question], bench: Bench) -> None:
        self._line = line
        self._service = service
        self._question = question
        self._clips = bench.clips

    async def decide(self, exchange: Exchange, *, seed: int) -> Mapping[str, Verdict]:
        question = self._question(exchange)
        form = question.form
        if form is None:
            return question.settled
        words = said(exchange)
        asking = self._asking(form, await self._loaded(question.parts), seed)
        answer = await ask(self._line, asking)
        reading = _read(form, answer, words)
        if reading.wrong:
            reading = await self._mended(form, asking, answer, reading, words)
        return {**question.settled, **{name: _verdict(name, reading) for name in form.criteria}}

    async def close(self) -> None:
        """The line belongs to the run."""

    async def _loaded(self, parts: Sequence[str | Clip]) -> tuple[str | Sound, ...]:
        return tuple([await asyncio.to_thread(self._clips.load, part) if isinstance(part, Clip) else part for part in parts])

    def _asking(self, form: Form, parts: tuple[str | Sound, ...], seed: int) -> Asking:
        known = self._service
        return Asking(
            model=known.model,
            messages=(Message("system", (form.instructions,)), Message("user", parts)),
            temperature=known.temperature,
            most_tokens=known.most_tokens,
            seed=seed,
            schema=form.schema if known.structured else None,
            extra=known.extra,
        )

    async def _mended(self, form: Form, asking: Asking, answer: Answer, first: Reading, words: Sequence[str]) -> Reading:
        """What both answers say together; a refusal is not asked again."""
        if _refused(first):
            return first
        try:
            answer = await ask(self._line, _repairing(asking, answer, first))
        except RunStopped:  # the budget is spent, or the user stopped the run
            raise
        except EngineError as error:  # what the first answer gave is paid for and stays
            return Reading(first.scores, {name: Defect(error.cause, error.message) for name in first.wrong})
        second = _read(form, answer, words)
        scores = {name: Score(score.value, f"{score.reason}{AGAIN}".strip()) for name, score in second.scores.items()}
        if not second.wrong:
            return Reading(scores, {})
        excerpt = "" if _refused(second) else f"; the second answer was: {plain_text(answer.text)[:EXCERPT] or 'empty'}"
        wrong = {name: Defect(defect.cause, f"{defect.words}{excerpt}") for name, defect in second.wrong.items()}
        return Reading({**scores, **first.scores}, wrong)


def _read(form: Form, answer: Answer, words: Sequence[str]) -> Reading:
    """What the answer says; where it is of no use at all, why."""
    if answer.refusal:
        return _nothing(form, Defect("refused", answer.refusal))
    cut = answer.finish == "length"
    if cut and not answer.text.rstrip("` \n").endswith("}"):  # what it holds is a draft; the answer itself comes last
        return _nothing(form, CUT)
    reading = form.read(answer.text, words)
    return _nothing(form, CUT) if cut and not reading.scores else reading


def _nothing(form: Form, defect: Defect) -> Reading:
    return Reading({}, dict.fromkeys(form.criteria, defect))


def _refused(reading: Reading) -> bool:
    return any(defect.cause == "refused" for defect in reading.wrong.values())


def _repairing(asking: Asking, answer: Answer, reading: Reading) -> Asking:
    """The same question with the answer and what is wrong with it; one that was empty or cut off is not shown again."""
    cut = answer.finish == "length"
    told = dict.fromkeys(defect.words for defect in reading.wrong.values())
    note = "\n".join(
        (
            "An answer to this could not be used:",
            *(f"- {words}" for words in told),
            *([SHORTER] if cut else []),
            "Answer again, whole and corrected: the JSON object that was asked for and nothing else.",
        )
    )
    *before, question = asking.messages
    if cut or not answer.text.strip():
        messages = (*before, Message("user", (*question.parts, note)))
    else:
        messages = (*asking.messages, Message("assistant", (answer.text,)), Message("user", (note,)))
    most = asking.most_tokens * 2 if cut and asking.most_tokens is not None else asking.most_tokens
    return msgspec.structs.replace(asking, messages=messages, most_tokens=most)


def _verdict(name: str, reading: Reading) -> Score | Fault:
    if name in reading.scores:
        return reading.scores[name]
    defect = reading.wrong[name]
    return Fault(defect.cause, plain_text(defect.words))
