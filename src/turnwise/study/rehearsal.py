"""What a run would ask of servers, found out without asking: every request is made up to the point of sending, and counted.

Replies that are not there yet are stood in for by the written ones, sounds by silence of a fitting length. Of many dialogues only
some, spread over all, are rehearsed, and the rest is reckoned from them. Tokens are an estimate: of the text that would be sent,
a token for four characters, and of the answers what earlier calls of the same purpose took, or a fixed guess. Tokens of sound
are not estimated before a server has told what it counts.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from turnwise.agents.agent import AGENTS, Around, Past, Reply, View
from turnwise.dialogues.dialogue import Dialogue, Round, Turn
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Endpoint, resolved
from turnwise.endpoints.remote import Event, Line, Remote, Socket
from turnwise.endpoints.spending import added, cost, expected
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, RunStopped
from turnwise.foundation.fingerprint import canonical
from turnwise.foundation.place import place_of
from turnwise.judges.judge import JUDGES, Bench, Exchange, Spoken
from turnwise.judges.verdict import Fault, Score
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Heard, Listening, Utterance
from turnwise.study.plan import Plan
from turnwise.study.results import Conversation, Expense
from turnwise.study.simulated_user import view_of
from turnwise.study.study import Arm
from turnwise.study.view import Happened, opening, show

REHEARSED = 12  # dialogues per arm, spread over all
STAND_IN = "I see, let me think about that for a moment, and tell you what I have found for you."  # where no reply is written
ANSWER_TOKENS = {"judge": 150, "arm": 60, "user": 30}  # where no call of the purpose has told what it took
WORDS_PER_SECOND = 2.5


class Forecast(msgspec.Struct, frozen=True):
    """What one model of one endpoint would be asked for one purpose."""

    purpose: str
    endpoint: str
    model: str
    calls: int
    usage: Usage  # estimated
    cost: float | None  # None where the model has no declared price
    basis: str  # "measured on 120 calls", "the text"


def forecast(plan: Plan, conversations: Sequence[Conversation], spent: Sequence[Expense]) -> tuple[Forecast, ...]:
    """What is missing of a plan, in calls to servers; `conversations` and `spent` are what its ledger holds."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_Rehearsal(plan, Path(folder)).all(conversations, spent))


class _Counting(Remote):
    """Servers that are never reached: what would be sent is counted."""

    def __init__(self, declared: Mapping[str, Endpoint]) -> None:
        super().__init__(declared)
        self.declared = declared
        self.asked: list[tuple[str, str, Usage]] = []

    def line(self, name: str) -> Line:
        return _CountingLine(self, name, resolved(name, self.declared))


class _CountingLine(Line):
    def __init__(self, remote: _Counting, name: str, endpoint: Endpoint) -> None:
        self.remote: _Counting = remote
        self.name = name
        self.endpoint = endpoint

    def once(self) -> Line:
        return self

    async def post(self, path: str, body: Mapping[str, Any], *, model: str, usage: Any = None) -> Any:
        raise self._counted(model, expected(body))

    async def fetch(self, path: str, body: Mapping[str, Any], *, model: str, usage: Usage) -> tuple[bytes, str]:
        raise self._counted(model, usage)

    async def upload(
        self, path: str, fields: Mapping[str, str], file: tuple[str, bytes, str], *, model: str, usage: Usage
    ) -> Any:
        raise self._counted(model, usage)

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any], *, model: str, usage: Any = None
    ) -> AsyncIterator[tuple[float, AsyncIterator[Event]]]:
        raise self._counted(model, expected(body))
        yield  # makes this a generator

    @asynccontextmanager
    async def socket(self, path: str, *, model: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
        raise self._counted(model, Usage())
        yield  # makes this a generator

    def _counted(self, model: str, usage: Usage) -> RunStopped:
        self.remote.asked.append((self.name, model, usage))
        return RunStopped("a rehearsal sends nothing")


class _Rehearsal:
    """Also the parts of agents that are made of others, all of them understanding and speaking as written."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.clips = ClipStore(folder)
        self.remote = _Counting(plan.study.endpoints)
        self.words = ""
        self.reply = ""
        self._silences: dict[tuple[int, str], Clip] = {}
        self._turns: set[str] = set()  # digests of users' clips
        self._heard_turns: set[tuple[str, str]] = set()  # ears and a user's clip: a run hears it once, whichever arms ask

    async def all(self, conversations: Sequence[Conversation], spent: Sequence[Expense]) -> tuple[Forecast, ...]:
        found: dict[tuple[str, str, str], tuple[float, Usage]] = {}
        by_arm: dict[str, list[Conversation]] = {}
        for conversation in conversations:
            by_arm.setdefault(conversation.arm, []).append(conversation)
        spoken: set[str] = set()  # user turns that another arm has counted
        for arm in self.plan.study.arms:
            played = {c.dialogue.id: c for c in by_arm.get(arm.name, ())}
            missing = [d for d in self.plan.dialogues if _unfinished(played.get(d.id))]
            some = _spread(missing, REHEARSED)
            for dialogue in some:
                times = sum(len(self._rounds(arm, d)) for d in missing) / sum(len(self._rounds(arm, d)) for d in some)
                for purpose, endpoint, model, usage in await self._dialogue(arm, dialogue, played.get(dialogue.id), spoken):
                    count, whole = found.get((purpose, endpoint, model), (0.0, Usage()))
                    found[purpose, endpoint, model] = count + times, added(whole, _times(usage, times))
        return tuple(self._told(*key, *value, spent) for key, value in found.items())

    def _told(self, purpose: str, endpoint: str, model: str, count: float, usage: Usage, spent: Sequence[Expense]) -> Forecast:
        calls = round(count)
        known = next((e for e in spent if (e.purpose, e.endpoint, e.model) == (purpose, endpoint, model) and e.calls), None)
        if known is not None:
            usage, basis = _times(known.usage, calls / known.calls), f"measured on {known.calls} calls"
        else:
            guess = ANSWER_TOKENS.get(purpose.partition(" ")[0], 0)
            if not usage.output and not usage.seconds and not usage.characters:
                usage = msgspec.structs.replace(usage, output=guess * calls)
            basis = "the text"
        price = resolved(endpoint, self.plan.study.endpoints).prices.get(model)
        return Forecast(purpose, endpoint, model, calls, usage, None if price is None else cost(usage, price), basis)

    async def _dialogue(
        self, arm: Arm, dialogue: Dialogue, played: Conversation | None, spoken: set[str]
    ) -> list[tuple[str, str, str, Usage]]:
        """Every call that one dialogue of one arm still takes."""
        counted: list[tuple[str, str, str, Usage]] = []

        async def tried(purpose: str, work: Any) -> None:
            with suppress(EngineError):  # the rehearsal's own stop, or a stage that misses what only a run has
                await work
            counted.extend((purpose, *asked) for asked in self.remote.asked)
            self.remote.asked.clear()

        study = self.plan.study
        plan = self.plan.arms[arm.name]
        done = {answered.number: answered for answered in played.rounds} if played is not None else {}
        happened: list[Happened] = []
        past: list[Spoken] = []
        rounds = self._rounds(arm, dialogue)
        for round in rounds:
            answered = done.get(round.number)
            self.words, self.reply = round.user.text, round.written.text if round.written else STAND_IN
            turn = canonical([dialogue.id, round.number, msgspec.to_builtins(arm.perturb)])
            clip = self.silence(self.words, turn) if arm.context.user != "written" else None
            if clip is not None and answered is None and f"{dialogue.id} {round.number}" not in spoken:
                spoken.add(f"{dialogue.id} {round.number}")
                await tried("user", self._said(study.user.engine, study.user.options, self.words))
                await tried("transcriber", self._heard(study.transcriber.name, study.transcriber.options, clip))
            if arm.user_mode == "live" and study.simulator is not None and round.number > 1:
                view = view_of(study.simulator, dialogue, round.number, past)
                await tried("user", self.think(study.simulator.agent, study.simulator.options, view, seed=0))
            if answered is None or answered.reply is None:
                now = Happened(round, clip, self.words if clip else None)
                view = show(dialogue, arm.instructions, arm.context, happened, now, remembers=plan.remembers)
                await tried(f"arm {arm.name}", self.think(arm.agent, arm.options, view, seed=0))
                if plan.speaks:
                    sound = self.silence(self.reply)
                    await tried("transcriber", self._heard(study.transcriber.name, study.transcriber.options, sound))
                reply = Reply(self.reply, self.silence(self.reply) if plan.speaks else None)
            else:
                reply = answered.reply
            happened.append(Happened(round, clip, self.words if clip else None, reply))
            voice = self.silence(reply.text or STAND_IN) if plan.speaks else None
            past.append(Spoken(round.number, round.user, clip, self.words if clip else None, reply.text, reply.text, voice))
            exchange = Exchange(dialogue.id, dialogue.intent, opening(dialogue), tuple(past), last=round is rounds[-1])
            for judge in self.plan.judges:
                if judge.place != "driver" or (judge.at_end and not exchange.last):
                    continue
                names = [criterion.name for criterion in judge.criteria]
                wanting = judge.repeats
                if answered is not None and answered.reply is not None:
                    told = [answered.repeats.get(name) or (answered.outcomes.get(name),) for name in names]
                    wanting = max(sum(one is None or isinstance(one, Fault) for one in each) for each in told)
                for _ in range(wanting):
                    await tried(f"judge {judge.title}", self._ruled(judge.name, judge.options, exchange, judge.needs))
        return counted

    def _rounds(self, arm: Arm, dialogue: Dialogue) -> tuple[Round, ...]:
        """As written, or as many as a simulated user may take."""
        user = self.plan.study.simulator
        if arm.user_mode == "fixed" or user is None:
            return dialogue.rounds()
        return tuple(Round(number, number - 1, Turn("user", STAND_IN), None) for number in range(1, user.most_turns + 1))

    async def _ruled(self, name: str, options: Mapping[str, Any], exchange: Exchange, needs: Sequence[str]) -> None:
        if needs:
            criteria = [c.name for judge in self.plan.judges if judge.title in needs for c in judge.criteria]
            exchange = msgspec.structs.replace(exchange, verdicts={name: Score(0.0) for name in criteria})
        sitting = JUDGES.build(name, options).reach(Bench(self.clips, self.plan.background, self.remote))
        await sitting.decide(exchange, seed=0)

    async def _said(self, name: str, options: Mapping[str, Any], text: str) -> None:
        built = SYNTHESIZERS.build(name, options)
        if place_of(built) == "driver":
            await built.reach(self.remote).speak(Utterance(text, 0))

    async def _heard(self, name: str, options: Mapping[str, Any], clip: Clip) -> None:
        built = RECOGNIZERS.build(name, options)
        if place_of(built) != "driver":
            return
        if clip.digest in self._turns:
            heard = canonical([name, options]), clip.digest
            if heard in self._heard_turns:
                return
            self._heard_turns.add(heard)
        await built.reach(self.remote).hear(Listening(self.clips.load(clip), "", 0))

    def silence(self, words: str, turn: str = "") -> Clip:
        """A clip as long as the words would take; that of a user's turn is of this turn alone."""
        seconds = max(1, round(len(words.split()) / WORDS_PER_SECOND))
        if (seconds, turn) not in self._silences:
            samples = np.full(16000 * seconds, 0.01, dtype=np.float32)
            if turn:
                samples[:2] = np.array(divmod(len(self._turns) + 1, 30000), dtype=np.float32) / 32768
            clip = self._silences[seconds, turn] = self.clips.keep(Sound(samples, 16000))
            self._turns |= {clip.digest} if turn else set()
        return self._silences[seconds, turn]

    # ------------------------------------------------------------------ parts of agents

    async def hear(self, recognizer: str, options: Mapping[str, Any], clip: Clip, dialogue: str) -> tuple[Heard, float]:
        await _on(self._heard(recognizer, options, clip))
        return Heard(self.words), 0.0

    async def think(self, agent: str, options: Mapping[str, Any], view: View, *, seed: int) -> tuple[Reply, float]:
        built = AGENTS.build(agent, options)
        if place_of(built) == "driver":
            await _on(built.reach(Around(self.clips, self.remote, self)).answer(view, seed=seed))
        return Reply(self.reply), 0.0

    async def speak(
        self, synthesizer: str, options: Mapping[str, Any], text: str, before: Sequence[Past] = ()
    ) -> tuple[Clip, float]:
        await _on(self._said(synthesizer, options, text))
        return self.silence(text), 0.0


async def _on(work: Any) -> None:
    """Go on where a server would have answered."""
    try:
        await work
    except RunStopped:
        return


def _unfinished(played: Conversation | None) -> bool:
    return played is None or any(
        answered.fault is not None or any(isinstance(outcome, Fault) for outcome in answered.outcomes.values())
        for answered in played.rounds
    )


def _spread(dialogues: Sequence[Dialogue], most: int) -> list[Dialogue]:
    """So many of them, evenly over the whole."""
    if len(dialogues) <= most:
        return list(dialogues)
    return [dialogues[round(n * (len(dialogues) - 1) / (most - 1))] for n in range(most)]


def _times(usage: Usage, factor: float) -> Usage:
    whole = {field: round(getattr(usage, field) * factor) for field in Usage.__struct_fields__}
    return Usage(**whole | {"seconds": usage.seconds * factor})
