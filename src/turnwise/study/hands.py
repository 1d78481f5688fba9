"""Everything a run asks for, done where it has its place: on this loop, in a worker, or where the device is.

Like a worker it catches whatever a plug-in raises: what waits for servers runs here and not there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from turnwise.agents.agent import Around, Past, RemoteSession, Reply, View
from turnwise.endpoints.calls import note, recording
from turnwise.endpoints.remote import Remote
from turnwise.foundation.errors import EngineError, RunStopped
from turnwise.foundation.fingerprint import seed_of
from turnwise.foundation.place import place_of
from turnwise.foundation.plugin import ANYTHING, told
from turnwise.judges.judge import JUDGES, Bench, Exchange, RemoteSitting
from turnwise.judges.verdict import Fault
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Heard, Listening, RemoteHearing, RemoteSpeaking, Said, Utterance
from turnwise.study.caught import STOPPED, fault_of, for_the_user, recordable, ruling_of, sound_reply
from turnwise.study.cell import Answer, Payload, Ruling, Transcript
from turnwise.study.clip_files import kept, whole
from turnwise.study.plan import JudgePlan
from turnwise.study.pool import Pool
from turnwise.study.simulated_user import turn_of
from turnwise.study.task import (
    Ask,
    Degrade,
    Hear,
    Improvise,
    Part,
    Rule,
    Speak,
    SpokenClip,
    Task,
    Thought,
    Transcribe,
    Understood,
)
from turnwise.study.worker import MUTE, Done, Kit, Known, is_silent, shown_part, transcript_of

T = TypeVar("T")

CLOSING = 30.0  # seconds for one part to close


class Hands:
    """Does tasks of a run, many at a time; also the `Parts` of agents that are made of others."""

    def __init__(self, kit: Kit, pool: Pool, remote: Remote) -> None:
        self._kit = kit
        self._pool = pool
        self._remote = remote
        self.clips = ClipStore(Path(kit.clips))
        self._known = Known(kit)
        self._reached: dict[str, Any] = {}
        self._sittings: dict[str, RemoteSitting] = {}
        self._going: dict[str, asyncio.Future[Any]] = {}
        self._troubles: list[str] = []  # of parts that were closed

    async def do(self, task: Task) -> Payload | Fault:
        """What a cell of this task holds. What only the user can mend is raised, whatever else breaks is a fault."""
        try:
            done = await self._perform(task)
            match done:
                case SpokenClip():
                    return done.clip
                case Thought():
                    if isinstance(task, Improvise):
                        return turn_of(done.reply)
                    assert isinstance(task, Ask)
                    return recordable(Answer(done.reply, task.view), Answer)
                case Clip() | Transcript() | Fault():
                    return done
            raise EngineError("contract", f"a {type(task).__name__} gave a {type(done).__name__}")
        except (*ANYTHING, asyncio.CancelledError) as error:
            if for_the_user(error) or (isinstance(error, asyncio.CancelledError) and _is_stopped()):
                raise
            return fault_of(error)

    async def rule(self, task: Rule, *, heavy: bool) -> dict[str, Ruling | Fault]:
        """What judges of the workers decide."""
        done = await self._pool.do(task, heavy=heavy)
        if isinstance(done, Fault):
            return dict.fromkeys(task.judges, done)
        assert isinstance(done, dict)
        return done

    async def decide(self, judge: JudgePlan, exchange: Exchange, known: Mapping[str, Ruling], *, seed: int) -> Ruling | Fault:
        """What a judge of the driver decides."""
        try:
            if judge.title not in self._sittings:
                background = self._kit.background if judge.background else ()
                built = JUDGES.build(judge.name, judge.options)
                self._sittings[judge.title] = built.reach(Bench(self.clips, background, self._remote))
            needed = {name: verdict for need in judge.needs for name, verdict in known[need].verdicts.items()}
            if needed:
                exchange = msgspec.structs.replace(exchange, verdicts=needed)
            return ruling_of(judge, await self._sittings[judge.title].decide(exchange, seed=seed))
        except (*ANYTHING, asyncio.CancelledError) as error:
            if for_the_user(error) or (isinstance(error, asyncio.CancelledError) and _is_stopped()):
                raise
            return fault_of(error)

    async def free(self, parts: Sequence[str]) -> None:
        """Nothing will need these heavy parts any more."""
        self._troubles += await self._pool.free(tuple(parts))

    async def close(self) -> tuple[str, ...]:
        """Close all that is open, whatever becomes of the others; what failed at that, in words."""
        opened = [(shown_part(key), part) for key, part in self._reached.items()]
        opened += [(f"judge {title!r}", sitting) for title, sitting in self._sittings.items()]
        self._reached.clear()
        self._sittings.clear()
        for name, one in opened:
            try:
                async with asyncio.timeout(CLOSING):
                    await one.close()
            except TimeoutError:
                self._troubles.append(f"the {name} did not close within {CLOSING:g} s")
            except ANYTHING as error:
                self._troubles.append(f"the {name} failed while it was closed: {told(error)}")
        return tuple(self._troubles)

    # ------------------------------------------------------------------ parts of agents

    async def hear(self, recognizer: str, options: Mapping[str, Any], clip: Clip, dialogue: str) -> tuple[Heard, float]:
        done = _whole(await self._perform(Hear(Part("recognizer", recognizer, dict(options)), clip, dialogue)))
        assert isinstance(done, Understood)
        return done.heard, done.seconds

    async def think(self, agent: str, options: Mapping[str, Any], view: View, *, seed: int) -> tuple[Reply, float]:
        done = _whole(await self._perform(Ask(Part("agent", agent, dict(options)), view, seed)))
        assert isinstance(done, Thought)
        return done.reply, done.seconds

    async def speak(
        self, synthesizer: str, options: Mapping[str, Any], text: str, before: Sequence[Past] = ()
    ) -> tuple[Clip, float]:
        part = Part("synthesizer", synthesizer, dict(options))
        done = _whole(await self._perform(Speak(part, text, before=tuple(before))))
        assert isinstance(done, SpokenClip)
        return done.clip, done.seconds

    # ------------------------------------------------------------------ where things are done

    async def _perform(self, task: Task) -> Done:
        if isinstance(task, Improvise):
            task = Ask(task.part, task.view, task.seed)
        if isinstance(task, Degrade):
            return await self._pool.do(task)
        assert isinstance(task, Speak | Hear | Transcribe | Ask)
        place = place_of(self._known.built(task.part))
        if place != "driver":
            return await self._pool.do(task, heavy=place == "device")
        match task:
            case Speak():
                return SpokenClip(*await self._once(self._known.speaking_key(task), Clip, lambda key: self._say(task, key)))
            case Hear():
                return Understood(*await self._once(self._known.hearing_key(task), Heard, lambda key: self._listen(task, key)))
            case Transcribe():
                sound = await asyncio.to_thread(self.clips.load, task.clip)
                if is_silent(sound):
                    return MUTE
                heard, _ = await self._once(self._known.hearing_key(task), Heard, lambda key: self._listen(task, key))
                return recordable(transcript_of(heard), Transcript)
            case Ask():
                session: RemoteSession = self._at(task.part)
                began = time.perf_counter()
                reply = await session.answer(task.view, seed=task.seed)
                # What an agent tells of its own time leaves out what was spent in queues and on failed attempts.
                seconds = time.perf_counter() - began if reply.timings.think is None else reply.timings.think
                reply = await asyncio.to_thread(_audible, reply, self.clips)
                return recordable(Thought(reply, seconds), Thought)

    async def _say(self, task: Speak, key: str) -> Clip:
        voice: RemoteSpeaking = self._at(task.part)

        def earlier() -> tuple[Said, ...]:
            return tuple(Said(p.text or "", self.clips.load(p.clip)) for p in task.before if p.clip is not None)

        before = await asyncio.to_thread(earlier) if task.before else ()
        seed = seed_of(key) if task.seed is None else task.seed
        sound = await voice.speak(Utterance(task.text, seed, before, task.dialogue, task.position))
        if not len(sound.samples) or (_has_words(task.text) and is_silent(sound)):
            raise EngineError("empty-audio", f"no sound came of {task.text[:60]!r}")
        return await asyncio.to_thread(kept, self.clips, sound)

    async def _listen(self, task: Hear | Transcribe, key: str) -> Heard:
        ears: RemoteHearing = self._at(task.part)
        sound = await asyncio.to_thread(self.clips.load, task.clip)
        heard = recordable(await ears.hear(Listening(sound, task.dialogue, seed_of(key))), Heard)
        if isinstance(heard, Fault):
            raise EngineError(heard.cause, heard.detail)
        return heard

    def _at(self, part: Part) -> Any:
        """A part of the driver, ready; reached once."""
        if part.key not in self._reached:
            built = self._known.built(part)
            around = Around(self.clips, self._remote, self)
            self._reached[part.key] = built.reach(around if part.kind == "agent" else self._remote)
        return self._reached[part.key]

    async def _once(self, key: str, type_: type[T], make: Callable[[str], Awaitable[T]]) -> tuple[T, float]:
        """A step that many may ask for at the same time and that is done, and paid, once."""
        known = self.clips.recall(key, type_)
        if known is not None and await self._is_there(known[0]):
            return known
        if key in self._going:
            try:
                shared: tuple[T, float] = await asyncio.shield(self._going[key])
            except asyncio.CancelledError:
                if _is_stopped():
                    raise
                raise RunStopped("the run was stopped") from None  # and with it whoever was doing this
            return shared
        future: asyncio.Future[tuple[T, float]] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_heeded)
        self._going[key] = future
        try:
            began = time.perf_counter()
            try:
                with recording() as calls:
                    value = await make(key)
            finally:
                for call in calls:
                    note(call)
            # The time of the attempts that counted: queues, pauses and failed attempts are no part of a stage.
            seconds = sum(call.seconds for call in calls) if calls else time.perf_counter() - began
            made = value, self.clips.remember(key, value, seconds)
            future.set_result(made)
            return made
        except Exception as error:
            future.set_exception(error)
            raise
        except SystemExit as error:  # a fault for all who wait
            failed = EngineError("error", told(error))
            future.set_exception(failed)
            raise failed from error
        finally:
            if not future.done():
                future.cancel()
            del self._going[key]

    async def _is_there(self, value: object) -> bool:
        """Whether what is remembered is still there: a clip whose file is gone or damaged is made again."""
        return not isinstance(value, Clip) or await asyncio.to_thread(whole, self.clips, value)


def _audible(reply: Reply, clips: ClipStore) -> Reply:
    """A reply that can be recorded. Words whose sound is silent are a failure of the server, not the agent's silence."""
    reply = sound_reply(reply, clips)
    if reply.clip is not None and _has_words(reply.text) and is_silent(clips.load(reply.clip)):
        raise EngineError("empty-audio", f"the sound of the reply is silent, its words are not: {reply.text[:60]!r}")
    return reply


def _has_words(text: str) -> bool:
    """Whether there is anything to be spoken."""
    return any(map(str.isalnum, text))


def _is_stopped() -> bool:
    """Whether it is this task that is cancelled, and not something that a plug-in cancelled within."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _heeded(future: asyncio.Future[Any]) -> None:
    """An error that nobody else waited for is told by whoever raised it."""
    if not future.cancelled():
        future.exception()


def _whole(done: Done) -> Done:
    """A part's result; its fault is raised for the agent to name the stage."""
    if isinstance(done, Fault):
        if done.cause == STOPPED:
            raise RunStopped(done.detail)
        raise EngineError(done.cause, done.detail)
    return done
