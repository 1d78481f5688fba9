"""What a run holds, read from its ledger: the only thing that statistics and reports see of an experiment."""

from __future__ import annotations

from pathlib import Path

import msgspec

from turnwise.agents.agent import Reply
from turnwise.dialogues.dialogue import Dialogue, Turn
from turnwise.endpoints.calls import Usage
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Fault, Outcome
from turnwise.speech.clip import Clip
from turnwise.study.study import Study


class Instrument(msgspec.Struct, frozen=True):
    """A criterion, the judge that gives it, and that judge's fingerprint."""

    criterion: Criterion  # its name is "label/name" where the study gives the judge a label
    judge: str
    version: str
    models: tuple[str, ...] = ()  # that the judge asks
    repeats: int = 1  # times each turn was judged; its score is their mean


class Expense(msgspec.Struct, frozen=True):
    """What one model of one endpoint was asked for one purpose of this plan, over all runs, failed calls included."""

    endpoint: str
    model: str
    purpose: str  # "arm NAME", "judge TITLE", "user", "transcriber"
    calls: int
    attempts: int
    failed: int  # calls of which no attempt succeeded
    failures: dict[str, int]  # causes of attempts that did not count
    usage: Usage
    cost: float | None  # None where the model has no declared price
    seconds: float  # of the attempts that counted, added up
    waited: float
    answered_by: tuple[str, ...] = ()


class Answered(msgspec.Struct, frozen=True):
    """One round of one arm: what was said, what came back, and what every criterion says of it.

    `outcomes` has one entry for every planned criterion; a criterion not yet decided is a `Fault("pending")`.
    """

    number: int  # from 1
    user: Turn
    user_clip: Clip | None
    user_heard: str | None
    reply: Reply | None  # None where the agent failed: see `fault`
    fault: Fault | None
    transcript: str | None  # None where there is nothing to transcribe or it failed
    shown: tuple[str, ...]  # the past turns as sent, "user: ..." / "agent: ..." ("[audio]" where only sound was sent)
    outcomes: dict[str, Outcome]  # by criterion name
    repeats: dict[str, tuple[Outcome, ...]] = {}  # by criterion name, where the judge was asked more than once


class Conversation(msgspec.Struct, frozen=True):
    """One dialogue played to one arm."""

    arm: str
    dialogue: Dialogue
    rounds: tuple[Answered, ...]
    ended: str = ""  # why a conversation with a simulated user has no further turn


class Results(msgspec.Struct, frozen=True):
    """A run."""

    study: Study
    plan: str  # fingerprint of the plan the results belong to
    created: str  # ISO 8601, UTC, of the plan
    tool: str  # version of turnwise
    corpus_digest: str
    corpus_size: int  # dialogues in the file the sample was drawn from
    notes: tuple[str, ...]  # what a reader must know, e.g. that the recogniser's language model was adapted
    instruments: tuple[Instrument, ...]  # in the order of the study's judges
    conversations: tuple[Conversation, ...]
    clips: Path  # folder of the clip store
    arm_models: dict[str, tuple[str, ...]] = {}  # names of the models each arm is made of
    expenses: tuple[Expense, ...] = ()
    drawn: tuple[str, ...] = ()  # ids of the dialogues the plan plays; empty where there is no plan behind the results
