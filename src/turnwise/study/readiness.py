"""Whether a study can be carried out here: every part of it is built, its packages and weights are looked for, its keys too.

Nothing is loaded, sent or written. A part that is missing is one point among others, so that all that is missing is told at once;
what is wrong with the study itself, such as a misspelt option, is an error as everywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnwise.agents.agent import AGENTS
from turnwise.endpoints.endpoint import resolved
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import TurnwiseError
from turnwise.foundation.fingerprint import canonical
from turnwise.foundation.place import place_of
from turnwise.foundation.plugin import naming
from turnwise.judges.judge import JUDGES
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.speech.weights import INSTALL, cuda_here, versions
from turnwise.study.plan import draw, make_plan, read_corpus
from turnwise.study.servers import endpoints_of
from turnwise.study.study import JudgeChoice, Study
from turnwise.study.study_file import DEFAULT_JUDGES, read_study

TRANSFORMERS = ((5, 13), (6, 0))  # from, and below, as the extra `local` has it
CATALOGS: dict[str, Catalog] = {
    "agent": AGENTS,
    "recognizer": RECOGNIZERS,
    "synthesizer": SYNTHESIZERS,
    "perturbation": PERTURBATIONS,
    "judge": JUDGES,
}


class Used(msgspec.Struct, frozen=True):
    """A plug-in at work in a study, and for whom."""

    kind: str
    name: str
    options: dict[str, Any]
    by: tuple[str, ...]  # arms, or "the user", "the transcriber", "the simulated user"; of judges their labels
    user: str = "written"  # what stands for the user's turns where it is an arm's own agent: "audio", "written", "transcript"

    @property
    def said(self) -> str:
        """The plug-in with the model it runs, and for whom, as one line of a listing."""
        options = self.options
        inner = options.get("estimator_options") or {}
        marks = [options.get("estimator"), *(given.get(key) for given in (options, inner) for key in ("model", "whisper"))]
        shown = ", ".join(str(mark) for mark in marks if mark)
        role = f" {'as' if self.kind == 'judge' else 'for'} {', '.join(self.by)}" if self.by else ""
        return f"{self.kind} {self.name}{f' ({shown})' if shown else ''}{role}"


class Point(msgspec.Struct, frozen=True):
    """One thing that a study needs."""

    what: str
    missing: str = ""  # what is wrong with it; "" where it is there
    remedy: str = ""


def examine(raw: Mapping[str, Any], name: str, folder: Path) -> tuple[Study, tuple[Point, ...]]:
    """The study of these plain values, as far as its judges can be built here, and all that it needs."""
    points: list[Point] = []
    judges: list[Any] = []
    for judge in raw.get("judges", DEFAULT_JUDGES):
        # Judges are built when a study is read, and a rating of sound cannot be without the weights of its estimator.
        used = _judge(judge)
        lacking = _point(used) if used is not None else None
        if lacking is not None and lacking.missing:
            points.append(lacking)
        else:
            judges.append(judge)
    rest = {key: value for key, value in raw.items() if key != "bar" or not points}  # a bar may be that of a judge left out
    study = read_study({**rest, "judges": judges}, name)
    used_here = parts_of(study)
    found = [_corpus(study, folder), *_libraries(used_here), *map(_point, used_here), *points]
    found += [_key(study, endpoint) for endpoint in endpoints_of(study)]
    if not any(point.missing for point in found):
        make_plan(study, folder)  # what only shows when all is put together, such as two judges of one criterion
    return study, tuple(found)


def parts_of(study: Study) -> tuple[Used, ...]:
    """Every plug-in of a study, each once; those of chains in place of the chain."""
    found: dict[str, Used] = {}
    for used in _parts(study):
        key = canonical([used.kind, used.name, used.options, used.user])
        before = found.get(key)
        found[key] = used if before is None else msgspec.structs.replace(before, by=tuple(dict.fromkeys((*before.by, *used.by))))
    return tuple(found.values())


def _parts(study: Study) -> Iterator[Used]:
    yield Used("synthesizer", study.user.engine, study.user.options, ("the user",))
    for choice in study.user.perturb:
        yield Used("perturbation", choice.name, choice.options, ("the user",))
    yield Used("recognizer", study.transcriber.name, study.transcriber.options, ("the transcriber",))
    for arm in study.arms:
        with naming("agent", arm.agent):
            agent = AGENTS.build(arm.agent, arm.options)
            parts = tuple(agent.parts()) if hasattr(agent, "parts") else None
        if parts is not None:
            for key, _ in parts:
                kind, name, options = json.loads(key)
                yield Used(kind, name, options, (arm.name,))
        else:
            yield Used("agent", arm.agent, arm.options, (arm.name,), arm.context.user)
        for choice in arm.perturb or ():
            yield Used("perturbation", choice.name, choice.options, (arm.name,))
    if study.simulator is not None:
        yield Used("agent", study.simulator.agent, study.simulator.options, ("the simulated user",))
    for judge in study.judges:
        yield Used("judge", judge.name, judge.options, (judge.label,) if judge.label else ())


def _judge(written: Any) -> Used | None:
    """A judge as written in a study; None where that is not how a judge is written, which reading the study tells."""
    try:
        choice = JudgeChoice(written) if isinstance(written, str) else msgspec.convert(written, JudgeChoice)
    except msgspec.ValidationError:
        return None
    return Used("judge", choice.name, choice.options, (choice.label,) if choice.label else ())


def _point(used: Used) -> Point:
    """Naming a plug-in looks for all that shapes its results: packages, weights, recordings. One that starts a program can
    `look_around` for it.
    """
    catalog = CATALOGS[used.kind]
    try:
        with naming(used.kind, used.name):
            catalog.identity(used.name, used.options)
            built = catalog.build(used.name, used.options)
            if hasattr(built, "look_around"):
                built.look_around()
    except TurnwiseError as error:
        return Point(used.said, error.message, error.hint)
    return Point(used.said)


def _libraries(parts: Sequence[Used]) -> Iterator[Point]:
    """What models in this process run on, where the study has any."""
    if not any(place_of(CATALOGS[used.kind].build(used.name, used.options)) == "device" for used in parts):
        return
    try:
        found = versions("torch", "transformers")
        where = "a GPU" if cuda_here() else "the CPU: torch sees no GPU"
    except TurnwiseError as error:
        yield Point("models in this process", error.message, error.hint)
        return
    yield Point(f"models in this process: torch {found['torch']} on {where}")
    low, high = (".".join(map(str, bound)) for bound in TRANSFORMERS)
    wrong = "" if fits(found["transformers"]) else f"{found['transformers']} is installed"
    yield Point(f"transformers from {low}, below {high}", wrong, INSTALL if wrong else "")


def fits(version: str) -> bool:
    """Whether this version of transformers is one that the models in this process were tried with."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return TRANSFORMERS[0] <= numbers < TRANSFORMERS[1]


def _corpus(study: Study, folder: Path) -> Point:
    chosen = study.corpus
    what = f"corpus {chosen.path or chosen.format}"
    try:
        reading = read_corpus(chosen, folder)
        drawn = draw(study, reading)
    except TurnwiseError as error:
        return Point(what, error.message, error.hint)
    rounds = sum(len(dialogue.rounds()) for dialogue in drawn)
    return Point(f"{what}: {len(drawn)} of {len(reading.dialogues)} dialogues, {rounds} rounds")


def _key(study: Study, name: str) -> Point:
    endpoint = resolved(name, study.endpoints)
    what = f"endpoint {name} at {endpoint.url}"
    if not endpoint.key:
        return Point(f"{what}, without a key")
    if not os.environ.get(endpoint.key, "").strip():
        return Point(what, f"{endpoint.key} is not set", f"export {endpoint.key}=...")
    return Point(f"{what}, {endpoint.key} is set")
