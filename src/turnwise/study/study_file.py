"""A study read from TOML or YAML, with everything inherited resolved and every mistake named precisely.

name = "first"
seed = 1
instructions = "You are a friendly assistant."

[corpus]
format = "demo"
n = 12

[arms.frame]
agent = "cascade"
options = { mind = "frame" }

[arms.frame-last-turn]
base = "frame"
context = { past = 0 }
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnwise.agents.agent import AGENTS, Context
from turnwise.dialogues.corpus import CORPORA
from turnwise.endpoints.endpoint import Endpoint, resolved
from turnwise.foundation.catalog import Catalog, check_options
from turnwise.foundation.errors import InputError
from turnwise.foundation.plugin import naming
from turnwise.judges.judge import JUDGES, Criterion
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.study.servers import endpoints_of
from turnwise.study.study import Arm, Choice, JudgeChoice, Selection, SimulatedUser, Study, UserVoice

LARGEST = 4 << 20  # bytes; a study file is written by hand
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}")
ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,63}")
# The embedded judges that every study has when it names none; those that listen need the extra `embedded`.
DEFAULT_JUDGES = (
    "repetition",
    "generic",
    "topic_drift",
    "misunderstanding",
    "memory",
    "naturalness",
    "consistency",
    "wer",
    "latency",
    "voice_consistency",
    "listener",
)

Named = str | Choice


class _Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An arm as written: everything may come from its base."""

    base: str | None = None
    agent: str | None = None
    options: dict[str, Any] = {}
    context: dict[str, Any] = {}
    instructions: str | None = None
    perturb: tuple[Named, ...] | None = None
    user_mode: Literal["fixed", "live"] | None = None


class _User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    engine: str = "espeak"
    options: dict[str, Any] = {}
    perturb: tuple[Named, ...] = ()


class _Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A study as written."""

    name: str
    arms: dict[str, _Arm]
    seed: int = 1
    instructions: str = ""
    corpus: Selection = Selection()
    user: _User = _User()
    context: dict[str, Any] = {}
    transcriber: Named = "pocketsphinx"
    judges: tuple[str | JudgeChoice, ...] = DEFAULT_JUDGES
    simulator: SimulatedUser | None = None
    endpoints: dict[str, Endpoint] = {}
    on_fault: Literal["stop", "skip"] = "stop"
    bar: dict[str, float] = {}


def load_study(path: Path | str) -> Study:
    """The study in a file; its relative paths start at the file's folder."""
    return read_study(_parse(Path(path)), str(path))


def read_study(raw: Any, name: str) -> Study:
    """A study from plain values; `name` says in errors where they come from."""
    written = _convert(raw, _Study, name)
    if not written.arms:
        raise InputError(f"{name}: arms: a study needs at least one arm")
    arms = tuple(_resolve(written, arm, name) for arm in written.arms)
    user = UserVoice(written.user.engine, written.user.options, tuple(_choice(c) for c in written.user.perturb))
    study = Study(
        name=written.name,
        arms=arms,
        corpus=written.corpus,
        user=user,
        transcriber=_choice(written.transcriber),
        judges=tuple(JudgeChoice(j) if isinstance(j, str) else j for j in written.judges),
        simulator=written.simulator,
        endpoints=written.endpoints,
        seed=written.seed,
        on_fault=written.on_fault,
        bar=written.bar,
    )
    _check(study, name)
    return study


def _parse(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB; that is no study file")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    if path.suffix.lower() in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise InputError(f"{path}{place}: not YAML: {getattr(error, 'problem', error)}") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise InputError(f"{path}: not TOML: {error}") from error


def _convert(raw: Any, type_: Any, name: str, at: str = "") -> Any:
    try:
        return msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        raise _explained(str(error), type_, name, at) from error


def _explained(message: str, type_: Any, name: str, at: str) -> InputError:
    """msgspec's message with the key path in front and the nearest known key behind."""
    text, _, path = message.partition(" - at `")
    place = at + path.rstrip("`").removeprefix("$").replace("[...]", ".*")
    place = place.strip(".")
    unknown = re.search(r"unknown field `(.*)`", text)
    hint = ""
    if unknown:
        key = unknown.group(1)
        known = _fields(type_, path)
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        text, place = f"unknown key {key!r}", place
    return InputError(f"{name}: {place + ': ' if place else ''}{text}", hint)


def _fields(type_: Any, path: str) -> list[str]:
    """The keys known at a place."""
    for part in re.findall(r"\.(\w+)|\[\.\.\.\]|\[\d+\]", path.rstrip("`")):
        if part in ("corpus",):
            type_ = Selection
        elif part == "user":
            type_ = _User
        elif part == "arms":
            type_ = _Arm
        elif part in ("perturb", "transcriber"):
            type_ = Choice
        elif part == "judges":
            type_ = JudgeChoice
        elif part == "simulator":
            type_ = SimulatedUser
        elif part == "endpoints":
            type_ = Endpoint
    return list(type_.__struct_fields__)


def _choice(named: Named) -> Choice:
    return Choice(named) if isinstance(named, str) else named


def _resolve(written: _Study, arm: str, name: str) -> Arm:
    """An arm with what it inherits: the study's context and instructions, then its bases', then its own."""
    if not ARM_NAME.fullmatch(arm):
        raise InputError(f"{name}: arms.{arm[:40]!r}: a name has letters, digits, spaces and ._()+- only, 64 at most")
    chain: list[str] = []
    current: str | None = arm
    while current is not None:
        if current in chain:
            raise InputError(
                f"{name}: arms.{arm}.base: arms are based on each other in a circle: {' -> '.join((*chain, current))}"
            )
        if current not in written.arms:
            close = difflib.get_close_matches(current, written.arms, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"arms: {', '.join(written.arms)}"
            raise InputError(f"{name}: arms.{chain[-1]}.base: no arm is called {current!r}", hint)
        chain.append(current)
        current = written.arms[current].base
    agent: str | None = None
    options: dict[str, Any] = {}
    context = dict(written.context)
    instructions, perturb = written.instructions, None
    mode: Literal["fixed", "live"] = "fixed"
    for part in (written.arms[link] for link in reversed(chain)):
        if part.agent is not None and part.agent != agent:
            agent, options = part.agent, {}  # another agent has other options
        options = {**options, **part.options}
        context |= part.context
        instructions = instructions if part.instructions is None else part.instructions
        perturb = perturb if part.perturb is None else tuple(_choice(c) for c in part.perturb)
        mode = part.user_mode or mode
    if agent is None:
        raise InputError(f"{name}: arms.{arm}.agent: missing", "name an agent, or a base arm that has one")
    policy: Context = _convert(context, Context, name, f"arms.{arm}.context")
    if isinstance(policy.past, int) and policy.past < 0:
        raise InputError(f'{name}: arms.{arm}.context.past: expected "all" or a number of rounds from 0, got {policy.past}')
    return Arm(arm, agent, options, policy, instructions, perturb, written.arms[arm].base or "", mode)


def _check(study: Study, name: str) -> None:
    """Every plug-in exists and takes its options."""
    _known(CORPORA, Choice(study.corpus.format), f"{name}: corpus.format")
    _known(SYNTHESIZERS, Choice(study.user.engine, study.user.options), f"{name}: user.engine")
    _known(RECOGNIZERS, study.transcriber, f"{name}: transcriber")
    for judge in study.judges:
        _known(JUDGES, Choice(judge.name, judge.options), f"{name}: judges")
    for place, choices in (
        ("user.perturb", study.user.perturb),
        *((f"arms.{a.name}.perturb", a.perturb or ()) for a in study.arms),
    ):
        for choice in choices:
            _known(PERTURBATIONS, choice, f"{name}: {place}")
    for arm in study.arms:
        _known(AGENTS, Choice(arm.agent, arm.options), f"{name}: arms.{arm.name}")
    if study.corpus.n is not None and study.corpus.n < 1:
        raise InputError(f"{name}: corpus.n: expected at least 1, got {study.corpus.n}")
    if len(set(study.corpus.ids)) != len(study.corpus.ids):
        raise InputError(f"{name}: corpus.ids: an id is named twice")
    _check_live(study, name)
    for endpoint in (*study.endpoints, *endpoints_of(study)):
        resolved(endpoint, study.endpoints)
    for judge in study.judges:
        if judge.label and not LABEL.fullmatch(judge.label):
            raise InputError(f"{name}: judges: label {judge.label[:40]!r}: letters, digits and ._+- only, 32 at most")
        if not 1 <= judge.repeats <= 100:
            raise InputError(f"{name}: judges: repeats: expected 1 to 100, got {judge.repeats}")
    criteria = [f"{judge.label}/{c.name}" if judge.label else c.name for judge in study.judges for c in _criteria(judge)]
    for key in study.bar:
        if key not in criteria:
            close = difflib.get_close_matches(key, criteria, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"criteria: {', '.join(criteria)}"
            raise InputError(f"{name}: bar.{key}: no judge of this study gives it", hint)


def _criteria(judge: JudgeChoice) -> tuple[Criterion, ...]:
    with naming("judge", judge.name):
        return tuple(JUDGES.build(judge.name, judge.options).criteria)


def _check_live(study: Study, name: str) -> None:
    """What arms with a simulated user need, and cannot have."""
    live = [arm for arm in study.arms if arm.user_mode == "live"]
    if not live:
        return
    if study.simulator is None:
        raise InputError(f"{name}: arms.{live[0].name}.user_mode: there is no simulated user", "declare one under [simulator]")
    _known(AGENTS, Choice(study.simulator.agent, study.simulator.options), f"{name}: simulator")
    with naming("agent", study.simulator.agent):
        speaks = AGENTS.build(study.simulator.agent, study.simulator.options).speaks
    if speaks:
        raise InputError(
            f"{name}: simulator.agent: {study.simulator.agent!r} speaks by itself", "name a text agent, such as 'chat'"
        )
    for arm in live:
        if arm.context.replies == "written":
            raise InputError(f"{name}: arms.{arm.name}.context.replies: a live conversation has no written replies")


def _known(catalog: Catalog, choice: Choice, place: str) -> None:
    try:
        with naming(catalog.kind, choice.name):
            check_options(catalog.factory(choice.name), choice.options, f"{catalog.kind} {choice.name!r}")
    except InputError as error:
        raise InputError(f"{place}: {error.message}", error.hint) from error
