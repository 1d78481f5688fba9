"""One dialogue played to one arm, cell by cell: no catalog, no file, no side effect.

The same walk serves twice: a runner's ports make what is missing, a reader's ports only look up. So what a report shows is by
construction what a run would find done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, Protocol

import msgspec

from turnwise.agents.agent import Past, Reply
from turnwise.dialogues.dialogue import Dialogue, Round, Turn
from turnwise.foundation.fingerprint import canonical, fingerprint, seed_of
from turnwise.judges.judge import Exchange, Spoken
from turnwise.judges.verdict import Abstention, Fault, Outcome, Score, Silence
from turnwise.speech.clip import Clip
from turnwise.study.cell import (
    SILENCE_DBFS,
    Answer,
    Cell,
    Payload,
    Ruling,
    Transcript,
    UserTurn,
    opening_digest,
    past_digest,
    spoken_digest,
    text_digest,
    view_digest,
)
from turnwise.study.plan import JudgePlan, Plan
from turnwise.study.results import Answered, Conversation
from turnwise.study.simulated_user import FIRST_WORDS, ended
from turnwise.study.simulated_user import view_of as simulated_view
from turnwise.study.study import Arm
from turnwise.study.task import Ask, Degrade, Improvise, Part, Speak, Task, Transcribe
from turnwise.study.view import Happened, opening, show, shown_lines

Rulings = Mapping[str, tuple[Ruling | Fault, ...]]  # by title of the judge, one per repeat


class Ports(Protocol):
    """Where results come from."""

    async def make(self, cell: Cell, task: Task, purpose: str) -> Payload | Fault:
        """`purpose` says in the accounts what it was for."""
        ...

    async def rule(self, cells: Mapping[str, tuple[Cell, ...]], exchange: Exchange) -> Rulings:
        """`cells` by title of the judge, those that are needed before those that need them."""
        ...

    def start(self, work: Coroutine[Any, Any, Rulings]) -> Awaitable[Rulings]:
        """Let judging go on beside the conversation, or do it at once."""
        ...


async def converse(plan: Plan, arm: Arm, dialogue: Dialogue, ports: Ports) -> Conversation:
    """Play every round; a fault stops the dialogue or is stepped over, as the study declares."""
    walk = _Walk(plan, arm, dialogue, ports)
    if arm.user_mode == "live":
        await _live(walk)
        dialogue = msgspec.structs.replace(dialogue, turns=(*walk.opening, *(half.round.user for half in walk.halves)))
    else:
        rounds = dialogue.rounds()
        for round in rounds:
            await walk.step(round, last=round is rounds[-1])
    ended = walk.ended
    return Conversation(arm.name, dialogue, tuple([await walk.close(n) for n in range(len(walk.halves))]), ended)


async def _live(walk: _Walk) -> None:
    """Let the simulated user speak until one side ends it."""
    user = walk.plan.study.simulator
    assert user is not None  # a study file without one is refused
    said: UserTurn | None = None
    while not walk.stopped:
        walk.ended = ended(user, walk.spoken, said)
        if walk.ended:
            return
        number = len(walk.halves) + 1
        position = len(walk.opening) + number - 1
        if number == 1 and not walk.opening:
            turn: UserTurn | Fault = UserTurn(FIRST_WORDS)
        else:
            turn = await walk.improvise(number)
        if isinstance(turn, Fault):
            fault = Fault("simulated-user", f"{turn.cause}: {turn.detail}")
            walk.halves.append(_Half(Round(number, position, Turn("user", ""), None), None, None, fault))
            return
        if not turn.text:
            walk.ended = turn.ended
            return
        said = turn
        last = bool(turn.ended) or number >= user.most_turns
        await walk.step(Round(number, position, Turn("user", turn.text), None), last=last)


class _Half:
    """A round that has been played and is being judged."""

    def __init__(self, round: Round, clip: Clip | None, heard: str | None, fault: Fault | None = None) -> None:
        self.round = round
        self.clip = clip
        self.heard = heard
        self.answer: Answer | None = None
        self.transcript: str | None = None
        self.silent = False
        self.fault = fault  # of the reply, or of what it needs
        self.last = False
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
        self.ended = ""  # why a live conversation has no further turn
        self.said: list[Past] = []  # the user's utterances so far, for a voice that remembers
        self.agent = Part("agent", arm.agent, arm.options)
        self.declared = arm.agent, canonical(arm.options)
        self.voice = Part("synthesizer", plan.study.user.engine, plan.study.user.options)
        self.ears = Part("recognizer", plan.study.transcriber.name, plan.study.transcriber.options)

    async def step(self, round: Round, *, last: bool = False) -> None:
        clip, heard, fault = await self._user(round)
        half = _Half(round, clip, heard)
        half.last = last
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
        repeats: dict[str, tuple[Outcome, ...]] = {}
        for judge in self.plan.judges:
            for criterion, plain in zip(judge.criteria, judge.plain, strict=True):
                each = tuple(_outcome(half, judge, ruling, plain) for ruling in rulings.get(judge.title, (None,)))
                outcomes[criterion.name] = _mean(each)
                if judge.repeats > 1:
                    repeats[criterion.name] = each
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
            repeats=repeats,
        )

    async def improvise(self, number: int) -> UserTurn | Fault:
        """The simulated user's next turn."""
        user = self.plan.study.simulator
        assert user is not None
        view = simulated_view(user, self.dialogue, number, self.spoken)
        seed = seed_of(self.seed, "simulated user", user.agent, canonical(user.options), self.dialogue.id, number)
        cell = Cell("user-turn", (self.plan.simulator, self.digest, view_digest(view), user.most_turns, seed))
        turn = await self.ports.make(cell, Improvise(Part("agent", user.agent, user.options), view, seed), "user")
        assert isinstance(turn, UserTurn | Fault)
        return turn

    # ------------------------------------------------------------------ cells

    async def _user(self, round: Round) -> tuple[Clip | None, str | None, Fault | None]:
        """The user's sound and what the transcriber hears in it; none for arms that read the written words."""
        if self.arm.context.user == "written":
            return None, None, None
        text = round.user.text
        study, speaker = self.plan.study, self.plan.speaker
        user = study.user
        perturb = user.perturb if self.arm.perturb is None else self.arm.perturb
        seed = seed_of(self.seed, "user", user.engine, canonical(user.options), text)  # the same words, spoken the same way
        before = tuple(self.said[-speaker.remembers :]) if speaker.remembers else ()
        place = (self.dialogue.id, round.position) if speaker.by_turn else ()
        inputs = (self.plan.voice, text_digest(text), seed, *(past_digest(past) for past in before), *place)
        spoken = await self.ports.make(Cell("user-clip", inputs), Speak(self.voice, text, seed, before, *place), "user")
        if isinstance(spoken, Fault):
            return None, None, Fault("user-audio", f"{spoken.cause}: {spoken.detail}")
        assert isinstance(spoken, Clip)
        self.said.append(Past("user", text, spoken))
        clip = spoken
        if perturb:
            chance = seed_of(self.seed, "perturb", self.dialogue.id, round.number)
            cell = Cell("user-line", (spoken.digest, self.plan.perturbation_identity(perturb), chance))
            line = await self.ports.make(cell, Degrade(spoken, perturb, chance), "user")
            if isinstance(line, Fault):
                return None, None, Fault("user-audio", f"{line.cause}: {line.detail}")
            assert isinstance(line, Clip)
            clip = line
        heard = await self._transcribe("user-transcript", clip)
        if isinstance(heard, Fault):
            return clip, None, Fault("user-transcript", f"{heard.cause}: {heard.detail}")
        return clip, heard.text, None

    async def _transcribe(self, kind: Any, clip: Clip) -> Transcript | Fault:
        material = self.plan.material.digest if self.plan.transcriber_adapts else ""
        cell = Cell(kind, (self.plan.transcriber, material, clip.digest, self.dialogue.id if material else "", SILENCE_DBFS))
        heard = await self.ports.make(cell, Transcribe(self.ears, clip, self.dialogue.id), "transcriber")
        assert isinstance(heard, Transcript | Fault)
        return heard

    async def _answer(self, half: _Half) -> Fault | None:
        now = Happened(half.round, half.clip, half.heard)
        known = self.plan.arms[self.arm.name]
        view = show(self.dialogue, self.arm.instructions, self.arm.context, self.happened, now, remembers=known.remembers)
        # Arms of the same agent share their seeds, so that nothing but their condition tells them apart. A seed holds what the
        # study declares, never a version: the same study draws the same chances on every machine.
        seed = seed_of(self.seed, "reply", *self.declared, self.dialogue.id, half.round.number)
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
        answer = await self.ports.make(cell, Ask(self.agent, view, seed), f"arm {self.arm.name}")
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
        exchange = Exchange(self.dialogue.id, self.dialogue.intent, self.opening, tuple(self.spoken), last=half.last)
        cells: dict[str, tuple[Cell, ...]] = {}
        for judge in self.plan.judges:
            if judge.at_end and not half.last:
                continue
            corpus = self.plan.background_digest if judge.background else ""
            needs = fingerprint(*(cells[need][0].key for need in judge.needs))
            inputs = (judge.identity, self.digest, corpus, needs)
            chances = [(judge.seed(self.seed, exchange, n),) if judge.place == "driver" else () for n in range(judge.repeats)]
            cells[judge.title] = tuple(Cell("verdict", (*inputs, *chance)) for chance in chances)
        half.rulings = self.ports.start(self.ports.rule(cells, exchange))


def _outcome(half: _Half, judge: JudgePlan, ruling: Ruling | Fault | None, criterion: str) -> Outcome:
    """One criterion of a turn; `criterion` as the judge calls it."""
    if half.fault is not None:
        return half.fault
    if half.silent:
        return Silence()
    if half.hidden is not None:
        return half.hidden
    if judge.at_end and not half.last:
        return Abstention("judged once, at the last round")
    if isinstance(ruling, Fault):
        return ruling.partial.get(criterion) or ruling
    if ruling is None:
        return Fault("pending", "not judged yet")
    return ruling.verdicts.get(criterion) or Fault("contract", f"the judge gave no verdict on {criterion}")


def _mean(repeats: tuple[Outcome, ...]) -> Outcome:
    """What repeated judging comes to: the mean of the scores, or whatever kept one of them from being given."""
    if len(repeats) == 1:
        return repeats[0]
    broken = next((one for one in repeats if not isinstance(one, Score | Abstention)), None)
    if broken is not None:
        return broken
    scores = [one for one in repeats if isinstance(one, Score)]
    if not scores:
        return repeats[0]
    reason = f"mean of {len(scores)} of {len(repeats)}; the first: {scores[0].reason}"
    return Score(sum(one.value for one in scores) / len(scores), reason)
