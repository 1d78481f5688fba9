"""One dialogue played to one arm, cell by cell: no catalog, no file, no side effect.

The same walk serves twice: a runner's ports make what is missing, a reader's ports only look up. So what a report shows is by
construction what a run would find done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, Protocol

from turnwise.agents.agent import Reply
from turnwise.dialogues.dialogue import Dialogue, Round
from turnwise.foundation.fingerprint import canonical, fingerprint, seed_of
from turnwise.judges.judge import Exchange, Spoken
from turnwise.judges.verdict import Fault, Outcome, Silence
from turnwise.speech.clip import Clip
from turnwise.study.cell import (
    SILENCE_DBFS,
    Answer,
    Cell,
    Payload,
    Ruling,
    Transcript,
    opening_digest,
    spoken_digest,
    text_digest,
    view_digest,
)
from turnwise.study.plan import Plan
from turnwise.study.results import Answered, Conversation
from turnwise.study.study import Arm
from turnwise.study.task import Ask, Hear, Rule, Speak, Task
from turnwise.study.view import Happened, opening, show, shown_lines

Rulings = Mapping[str, Ruling | Fault]


class Ports(Protocol):
    """Where results come from."""

    async def make(self, cell: Cell, task: Task) -> Payload | Fault: ...

    async def rule(self, cells: Mapping[str, Cell], task: Rule) -> Rulings: ...

    def start(self, work: Coroutine[Any, Any, Rulings]) -> Awaitable[Rulings]:
        """Let judging go on beside the conversation, or do it at once."""
        ...


async def converse(plan: Plan, arm: Arm, dialogue: Dialogue, ports: Ports) -> Conversation:
    """Play every round; a fault stops the dialogue or is stepped over, as the study declares."""
    walk = _Walk(plan, arm, dialogue, ports)
    for round in dialogue.rounds():
        await walk.step(round)
    return Conversation(arm.name, dialogue, tuple([await walk.close(n) for n in range(len(walk.halves))]))


class _Half:
    """A round that has been played and is being judged."""

    def __init__(self, round: Round, clip: Clip | None, heard: str | None) -> None:
        self.round = round
        self.clip = clip
        self.heard = heard
        self.answer: Answer | None = None
        self.transcript: str | None = None
        self.silent = False
        self.fault: Fault | None = None  # of the reply, or of what it needs
        self.hidden: Fault | None = None  # why the turn cannot be judged though it was answered
        self.rulings: Awaitable[Rulings] | None = None


class _Walk:
    def __init__(self, plan: Plan, arm: Arm, dialogue: Dialogue, ports: Ports) -> None:
        self.plan, self.arm, self.dialogue, self.ports = plan, arm, dialogue, ports
        self.seed = plan.study.seed
        self.opening = opening(dialogue)
        self.digest = opening_digest(dialogue.id, dialogue.intent, self.opening)
        self.happened: list[Happened] = []
        self.spoken: list[Spoken] = []
        self.halves: list[_Half] = []
        self.stopped = ""  # why later rounds are not played
        self.unheard = ""  # why later rounds are not judged

    async def step(self, round: Round) -> None:
        clip, heard, fault = await self._user(round)
        half = _Half(round, clip, heard)
        self.halves.append(half)
        if self.stopped:
            half.fault = Fault("blocked", self.stopped)
            return
        if fault is None:
            fault = await self._answer(half)
        if fault is None:
            await self._hear(half)
        self.happened.append(Happened(round, clip, heard, half.answer.reply if half.answer else None))
        if fault is not None:
            half.fault = fault
            if self.plan.study.on_fault == "stop":
                self.stopped = f"round {round.number} of this dialogue failed: {fault.cause}"
        self._judge(half)

    async def close(self, number: int) -> Answered:
        half = self.halves[number]
        rulings = await half.rulings if half.rulings is not None else {}
        outcomes: dict[str, Outcome] = {}
        for judge in self.plan.judges:
            for criterion in judge.criteria:
                outcomes[criterion.name] = _outcome(half, rulings.get(judge.name), criterion.name)
        return Answered(
            number=half.round.number,
            user=half.round.user,
            user_clip=half.clip,
            user_heard=half.heard,
            reply=half.answer.reply if half.answer else None,
            fault=half.fault,
            transcript=half.transcript,
            shown=shown_lines(half.answer.view) if half.answer else (),
            outcomes=outcomes,
        )

    # ------------------------------------------------------------------ cells

    async def _user(self, round: Round) -> tuple[Clip | None, str | None, Fault | None]:
        """The user's sound and what the transcriber hears in it; none for arms that read the written words."""
        if self.arm.context.user == "written":
            return None, None, None
        text = round.user.text
        perturb = self.plan.study.user.perturb if self.arm.perturb is None else self.arm.perturb
        user = self.plan.study.user
        seed = seed_of(self.seed, "user", user.engine, canonical(user.options), text)  # the same words, spoken the same way
        perturb_seed = seed_of(self.seed, "perturb", self.dialogue.id, round.number) if perturb else 0
        declared = self.plan.perturbation_identity(perturb)
        cell = Cell("user-clip", (self.plan.voice, text_digest(text), seed, declared, perturb_seed))
        clip = await self.ports.make(cell, Speak(text, seed, perturb, perturb_seed))
        if isinstance(clip, Fault):
            return None, None, Fault("user-audio", f"{clip.cause}: {clip.detail}")
        assert isinstance(clip, Clip)
        heard = await self._transcribe("user-transcript", clip)
        if isinstance(heard, Fault):
            return clip, None, Fault("user-transcript", f"{heard.cause}: {heard.detail}")
        return clip, heard.text, None

    async def _transcribe(self, kind: Any, clip: Clip) -> Transcript | Fault:
        material = self.plan.material.digest if self.plan.transcriber_adapts else ""
        cell = Cell(kind, (self.plan.transcriber, material, clip.digest, self.dialogue.id if material else "", SILENCE_DBFS))
        heard = await self.ports.make(cell, Hear(clip, self.dialogue.id))
        assert isinstance(heard, Transcript | Fault)
        return heard

    async def _answer(self, half: _Half) -> Fault | None:
        now = Happened(half.round, half.clip, half.heard)
        view = show(self.dialogue, self.arm.instructions, self.arm.context, self.happened, now)
        known = self.plan.arms[self.arm.name]
        # Arms of the same agent share their seeds, so that nothing but their condition tells them apart. A seed holds what the
        # study declares, never a version: the same study draws the same chances on every machine.
        agent = (self.arm.agent, canonical(self.arm.options))
        seed = seed_of(self.seed, "reply", *agent, self.dialogue.id, half.round.number)
        cell = Cell(
            "reply",
            (
                known.identity,
                self.plan.material.digest if known.adapts else "",
                self.plan.background_digest if known.reads_corpus else "",
                view_digest(view),
                seed,
            ),
        )
        answer = await self.ports.make(cell, Ask(self.arm.name, view, seed))
        if isinstance(answer, Fault):
            return answer
        assert isinstance(answer, Answer)
        half.answer = answer
        return None

    async def _hear(self, half: _Half) -> None:
        assert half.answer is not None
        reply: Reply = half.answer.reply
        if reply.clip is None:
            half.transcript, half.silent = reply.text or None, not reply.text
            return
        heard = await self._transcribe("transcript", reply.clip)
        if isinstance(heard, Fault):
            half.hidden = Fault("transcript", f"{heard.cause}: {heard.detail}")
        else:
            half.transcript, half.silent = heard.text, heard.silent

    def _judge(self, half: _Half) -> None:
        """Start judging this round, unless it cannot be judged; either way it becomes part of the history."""
        reply = half.answer.reply if half.answer else Reply("")
        spoken = Spoken(
            number=half.round.number,
            user=half.round.user,
            user_clip=half.clip,
            user_heard=half.heard,
            agent=half.transcript or "",
            agent_text=reply.text,
            agent_clip=reply.clip,
            timings=reply.timings,
        )
        self.spoken.append(spoken)
        self.digest = spoken_digest(self.digest, spoken)
        if half.fault is not None or half.hidden is not None:
            self.unheard = self.unheard or f"round {half.round.number} of this dialogue has no transcript"
            return
        if self.unheard and self.plan.study.on_fault == "stop":
            half.hidden = Fault("blocked", self.unheard)
            return
        if half.silent or not self.plan.judges:
            return
        exchange = Exchange(self.dialogue.id, self.dialogue.intent, self.opening, tuple(self.spoken))
        cells: dict[str, Cell] = {}
        for judge in self.plan.judges:
            corpus = self.plan.background_digest if judge.background else ""
            needs = fingerprint(*(cells[need].key for need in judge.needs))
            cells[judge.name] = Cell("verdict", (judge.identity, self.digest, corpus, needs))
        half.rulings = self.ports.start(self.ports.rule(cells, Rule(tuple(cells), exchange, {})))


def _outcome(half: _Half, ruling: Ruling | Fault | None, criterion: str) -> Outcome:
    if half.fault is not None:
        return half.fault
    if half.silent:
        return Silence()
    if half.hidden is not None:
        return half.hidden
    if isinstance(ruling, Fault):
        return ruling
    if ruling is None:
        return Fault("pending", "not judged yet")
    return ruling.verdicts.get(criterion) or Fault("contract", f"the judge gave no verdict on {criterion}")
