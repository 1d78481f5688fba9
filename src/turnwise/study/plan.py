"""A plan: a study with its dialogues drawn and everything that will act in it named by fingerprint.

A plan is all that is needed to say which cells a run consists of. It is recorded in the ledger before any work, so tables and
pages can be rebuilt from the ledger alone, by whatever version of the code, long after the corpus file is gone.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path
from typing import Any

import msgspec

import turnwise
from turnwise.agents.agent import AGENTS
from turnwise.dialogues.corpus import CORPORA, Corpus, Reading
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.sampling import sample
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import InputError, StorageError
from turnwise.foundation.fingerprint import canonical, digest, fingerprint, seed_of
from turnwise.foundation.place import Place, place_of
from turnwise.foundation.plugin import naming
from turnwise.judges.judge import JUDGES, Criterion, Exchange, Judge
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Material, Passage
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.study.study import Arm, Choice, JudgeChoice, Selection, Study

_encode = msgspec.json.Encoder().encode


class ArmPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of an arm's agent without opening it."""

    identity: str
    speaks: bool
    adapts: bool  # the text of the domain changes its ears
    reads_corpus: bool  # it is given the written corpus
    remembers: int = 0  # of its own utterances, for its voice
    models: tuple[str, ...] = ()
    heavy: tuple[str, ...] = ()  # keys of its parts that load weights


class JudgePlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a judge without opening it."""

    name: str
    options: dict[str, Any]
    identity: str
    criteria: tuple[Criterion, ...]  # as they are called in this study
    needs: tuple[str, ...]  # titles of judges
    background: bool
    label: str = ""
    place: Place = "worker"
    repeats: int = 1
    at_end: bool = False
    models: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the judge is called in this study."""
        return f"{self.label}/{self.name}" if self.label else self.name

    @property
    def plain(self) -> tuple[str, ...]:
        """Its criteria as the judge itself calls them."""
        return tuple(c.name.removeprefix(f"{self.label}/") for c in self.criteria)

    def seed(self, study: int, exchange: Exchange, repeat: int) -> int:
        """Of one verdict, by the study's seed and whose turn it is: the same for every arm, whatever the seconds a reply took."""
        turn = exchange.dialogue, exchange.now.number, repeat
        return seed_of(study, "verdict", self.name, canonical(self.options), *turn)


class VoicePlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of the user's voice without opening it."""

    remembers: int = 0
    by_turn: bool = False
    heavy: bool = False


class Plan(msgspec.Struct, frozen=True, dict=True):
    """A study ready to run."""

    study: Study
    tool: str
    corpus_digest: str
    dialogues: tuple[Dialogue, ...]  # those that are played
    background: tuple[Dialogue, ...]  # the whole corpus they were drawn from
    phrases: tuple[str, ...]  # of the agents' domain, for engines that adapt
    voice: str
    transcriber: str
    transcriber_adapts: bool
    perturbations: dict[str, str]  # identity by canonical choice
    arms: dict[str, ArmPlan]
    judges: tuple[JudgePlan, ...]  # each after those it needs
    speaker: VoicePlan = VoicePlan()
    simulator: str = ""  # identity of the simulated user's agent
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def body(self) -> bytes:
        return _encode(self)

    @functools.cached_property
    def fingerprint(self) -> str:
        return digest(self.body)

    @functools.cached_property
    def background_digest(self) -> str:
        return digest(_encode(self.background))

    @functools.cached_property
    def material(self) -> Material:
        passages = [Passage("", phrase) for phrase in self.phrases]
        passages += [Passage(d.id, turn.text) for d in self.background for turn in d.turns]
        return Material(tuple(passages), digest(_encode(passages)))

    def perturbation_identity(self, choices: tuple[Choice, ...]) -> str:
        return fingerprint(*(self.perturbations[_choice_key(choice)] for choice in choices))


def load_plan(body: bytes) -> Plan:
    """A plan as recorded."""
    try:
        return msgspec.json.decode(body, type=Plan)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise StorageError(
            f"the newest plan of the ledger cannot be read: {error}", "restore the ledger from a copy, or run the study again"
        ) from error


def make_plan(study: Study, folder: Path) -> Plan:
    """Draw the dialogues and name everything that acts; `folder` is where the study's relative paths start."""
    reading = read_corpus(study.corpus, folder)
    dialogues = draw(study, reading)
    arms = {arm.name: _arm_plan(arm) for arm in study.arms}
    with naming("recognizer", study.transcriber.name):
        transcriber = RECOGNIZERS.build(study.transcriber.name, study.transcriber.options)
        transcriber_adapts = bool(transcriber.adapts)
        ears = RECOGNIZERS.identity(study.transcriber.name, study.transcriber.options)
    choices = [*study.user.perturb, *(choice for arm in study.arms for choice in arm.perturb or ())]
    notes = []
    if reading.irregularities:
        notes.append(f"{len(reading.irregularities)} irregularities in the corpus file: see turnwise corpus validate")
    if transcriber_adapts:
        notes.append(
            f"the transcriber {study.transcriber.name!r} uses a language model of the corpus, the dialogue being heard left out;"
            " its word error rate is in the table"
        )
    live = [arm.name for arm in study.arms if arm.user_mode == "live"]
    if live:
        notes.append(
            f"{', '.join(live)}: played with a simulated user, who answers what the agent says; every such arm hears another"
            " user, so compare it with arms of written turns only as a whole"
        )
    remark = getattr(transcriber, "remark", "")
    if remark:
        notes.append(f"the transcriber {study.transcriber.name!r}: {remark}")
    return Plan(
        study=study,
        tool=turnwise.__version__,
        corpus_digest=reading.digest,
        dialogues=dialogues,
        background=reading.dialogues,
        phrases=_phrases(study),
        voice=_identity(SYNTHESIZERS, study.user.engine, study.user.options),
        transcriber=ears,
        transcriber_adapts=transcriber_adapts,
        perturbations={_choice_key(c): _identity(PERTURBATIONS, c.name, c.options) for c in choices},
        arms=arms,
        judges=_judge_plans(study.judges),
        speaker=_voice_plan(study),
        simulator=_identity(AGENTS, study.simulator.agent, study.simulator.options) if study.simulator else "",
        notes=tuple(notes),
    )


def _identity(catalog: Catalog, name: str, options: dict[str, Any]) -> str:
    with naming(catalog.kind, name):
        return catalog.identity(name, options)


def read_corpus(selection: Selection, folder: Path) -> Reading:
    """The corpus a study names."""
    with naming("corpus", selection.format):
        corpus: Corpus = CORPORA.build(selection.format)
        reading = corpus.read(None if selection.path is None else folder / selection.path)
    if not reading.dialogues:
        raise InputError(f"the corpus {selection.path or selection.format} holds no usable dialogue")
    return reading


def draw(study: Study, reading: Reading) -> tuple[Dialogue, ...]:
    """The dialogues that are played."""
    chosen = study.corpus
    if chosen.ids:
        by_id = {d.id: d for d in reading.dialogues}
        missing = [i for i in chosen.ids if i not in by_id]
        if missing:
            raise InputError(
                f"corpus.ids: no dialogue is called {missing[0]!r}", "turnwise corpus stats FILE lists what is there"
            )
        return tuple(by_id[i] for i in chosen.ids)
    spoken = tuple(d for d in reading.dialogues if d.rounds())
    if chosen.n is None:
        return spoken
    return sample(spoken, chosen.n, by=chosen.by, seed=study.seed if chosen.seed is None else chosen.seed)


def versions() -> dict[str, str]:
    """What a manifest says of the machine: nothing that identifies it."""
    return {"turnwise": turnwise.__version__, "python": platform.python_version(), "system": platform.system()}


def _choice_key(choice: Choice) -> str:
    return canonical([choice.name, choice.options])


def _arm_plan(arm: Arm) -> ArmPlan:
    with naming("agent", arm.agent):
        return _of_agent(arm)


def _of_agent(arm: Arm) -> ArmPlan:
    agent = AGENTS.build(arm.agent, arm.options)
    parts = getattr(agent, "parts", None)  # of an agent that is made of others
    heavy = tuple(key for key, place in parts() if place == "device") if parts is not None else ()
    if place_of(agent) == "device":
        heavy = (canonical(["agent", arm.agent, arm.options]),)
    return ArmPlan(
        identity=AGENTS.identity(arm.agent, arm.options),
        speaks=bool(agent.speaks),
        adapts=bool(getattr(agent, "adapts", False)),
        reads_corpus=bool(getattr(agent, "reads_corpus", False)),
        remembers=int(getattr(agent, "remembers", 0)),
        models=tuple(getattr(agent, "models", ())),
        heavy=heavy,
    )


def _voice_plan(study: Study) -> VoicePlan:
    with naming("synthesizer", study.user.engine):
        voice = SYNTHESIZERS.build(study.user.engine, study.user.options)
        if not hasattr(voice, "reach" if place_of(voice) == "driver" else "open"):
            raise AttributeError(f"{type(voice).__name__!r} object has no attribute 'open'")
        return VoicePlan(int(getattr(voice, "remembers", 0)), bool(getattr(voice, "by_turn", False)), place_of(voice) == "device")


def _phrases(study: Study) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for arm in study.arms:
        with naming("agent", arm.agent):
            agent = AGENTS.build(arm.agent, arm.options)
            if hasattr(agent, "phrases"):
                found.update(dict.fromkeys(agent.phrases()))
    return tuple(sorted(found))


def _judge_plans(choices: tuple[JudgeChoice, ...]) -> tuple[JudgePlan, ...]:
    """Every judge after those whose criteria it needs."""
    built: dict[str, tuple[JudgeChoice, Judge]] = {}
    owner: dict[str, str] = {}
    for choice in choices:
        title = choice.title
        if title in built:
            raise InputError(f"judges: {title!r} is named twice", "give one of them a label")
        with naming("judge", choice.name):
            judge: Judge = JUDGES.build(choice.name, choice.options)
            criteria = tuple(judge.criteria)
        if choice.repeats > 1 and judge.place != "driver":
            raise InputError(f"judges: {title!r} decides the same every time: repeats is for judges that ask a model")
        built[title] = (choice, judge)
        for criterion in criteria:
            name = _labelled(choice.label, criterion.name)
            if name in owner:
                raise InputError(
                    f"judges: both {owner[name]!r} and {title!r} give {name!r}", 'give one of them a label: label = "..."'
                )
            owner[name] = title
    ordered: dict[str, JudgePlan] = {}

    def place(title: str, path: tuple[str, ...]) -> None:
        if title in ordered:
            return
        if title in path:
            raise InputError(f"judges need each other in a circle: {' -> '.join((*path, title))}")
        choice, judge = built[title]
        needed: dict[str, None] = {}
        for need in judge.needs:
            giver = owner.get(_labelled(choice.label, need)) or owner.get(need)
            if giver is None:
                raise InputError(f"judges: {title!r} needs the criterion {need!r}", f"add the judge that gives it: {need}")
            place(giver, (*path, title))
            needed[giver] = None
        ordered[title] = JudgePlan(
            name=choice.name if ":" in choice.name else choice.name.replace("-", "_"),
            options=choice.options,
            identity=_identity(JUDGES, choice.name, choice.options),
            criteria=tuple(msgspec.structs.replace(c, name=_labelled(choice.label, c.name)) for c in judge.criteria),
            needs=tuple(needed),
            background=judge.background,
            label=choice.label,
            place=judge.place,
            repeats=choice.repeats,
            at_end=judge.at_end,
            models=judge.models,
        )

    for title in built:
        place(title, ())
    return tuple(ordered.values())


def _labelled(label: str, criterion: str) -> str:
    return f"{label}/{criterion}" if label else criterion
