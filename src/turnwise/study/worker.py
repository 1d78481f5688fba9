"""A worker: opens what tasks name, does them, and turns whatever breaks into a fault of that task.

The same class works in this process, in a pool's process, or on another machine: it is given a `Kit` and tasks, and keeps
opened things between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from turnwise.agents.agent import AGENTS, Asked, SessionMany, Surroundings
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.audio import Sound
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.errors import EngineError
from turnwise.foundation.fingerprint import seed_of
from turnwise.foundation.plugin import ANYTHING, told
from turnwise.judges.judge import JUDGES, Bench, Sitting
from turnwise.judges.verdict import Fault
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import (
    RECOGNIZERS,
    SYNTHESIZERS,
    Heard,
    HearingMany,
    Listening,
    Material,
    Said,
    SpeakingMany,
    Utterance,
    hearing_key,
    speaking_key,
)
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.study.caught import fault_of, for_the_user, recordable, ruling_of, sound_reply
from turnwise.study.cell import SILENCE_DBFS, Payload, Ruling, Transcript
from turnwise.study.clip_files import kept, whole
from turnwise.study.plan import JudgePlan, Plan
from turnwise.study.task import (
    Ask,
    Degrade,
    Free,
    Hear,
    Part,
    Rule,
    Speak,
    SpokenClip,
    Task,
    Thought,
    Transcribe,
    Understood,
)

Done = Payload | SpokenClip | Understood | Thought | dict[str, Ruling | Fault] | Fault | None
CATALOGS: dict[str, Catalog] = {"agent": AGENTS, "recognizer": RECOGNIZERS, "synthesizer": SYNTHESIZERS}
MUTE = Transcript("", note=f"no sound above {SILENCE_DBFS:.0f} dBFS", silent=True)


class Kit(msgspec.Struct, frozen=True):
    """All that a worker must know of a plan. Small parts of it cross process borders once, at the start."""

    clips: str  # folder of the clip store
    material: Material  # for those parts that adapt to it
    background: tuple[Dialogue, ...]  # for agents that read the corpus, and for judges
    judges: dict[str, JudgePlan]  # by title


def kit_of(plan: Plan, clips: Path) -> Kit:
    """What a worker must know of this plan."""
    return Kit(str(clips), plan.material, plan.background, {judge.title: judge for judge in plan.judges})


class Known:
    """Parts as they are built, with what their results are called. One for each process."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._built: dict[str, Any] = {}
        self._identities: dict[str, str] = {}

    def built(self, part: Part) -> Any:
        if part.key not in self._built:
            self._built[part.key] = CATALOGS[part.kind].build(part.name, part.options)
        return self._built[part.key]

    def identity(self, part: Part) -> str:
        if part.key not in self._identities:
            self._identities[part.key] = CATALOGS[part.kind].identity(part.name, part.options)
        return self._identities[part.key]

    def hearing_key(self, task: Hear | Transcribe) -> str:
        adapts = bool(self.built(task.part).adapts)
        return hearing_key(self.identity(task.part), adapts, self._kit.material.digest, task.dialogue, task.clip.digest)

    def speaking_key(self, task: Speak) -> str:
        before = tuple((past.text or "", past.clip.digest) for past in task.before if past.clip is not None)
        return speaking_key(self.identity(task.part), task.text, task.seed, before, task.dialogue, task.position)


class Worker:
    """Does tasks; not for two threads at once."""

    def __init__(self, kit: Kit, step: Callable[[], None] = lambda: None) -> None:
        """`step` is called after each step: a part opened, a task or a batch of them done, a judge that has decided."""
        self.kit = kit
        self.clips = ClipStore(Path(kit.clips))
        self.known = Known(kit)
        self._step = step
        self._open: dict[str, Any] = {}
        self._sittings: dict[str, Sitting] = {}

    def do_many(self, tasks: Sequence[Task]) -> list[Done]:
        """The tasks' results, in order; what can be done at once is, and if that fails, one by one."""
        if len(tasks) == 1:
            return [self.do(tasks[0])]
        try:
            together = self._together(tasks)
        except ANYTHING as error:
            if for_the_user(error):
                raise
            together = None  # whose fault it was shows when each is alone
        if together is not None:
            return together
        done: list[Done] = []
        for task in tasks:
            done.append(self.do(task))
            self._step()
        return done

    def do(self, task: Task) -> Done:
        """The task's result.

        What the user must mend before anything can go on (a full disk, a missing package, a wrong option) is raised; whatever
        else breaks is recorded.
        """
        try:
            match task:
                case Speak():
                    return recordable(self._speak([task])[0], SpokenClip)
                case Degrade():
                    return recordable(self._degrade(task), Clip)
                case Hear():
                    return recordable(self._hear([task])[0], Understood)
                case Transcribe():
                    return recordable(self._transcribe([task])[0], Transcript)
                case Ask():
                    return recordable(self._ask([task])[0], Thought)
                case Rule():
                    return self._rule(task)
                case Free():
                    self._free(task)
            return None
        except ANYTHING as error:
            if for_the_user(error):
                raise
            return fault_of(error)

    def close(self) -> tuple[str, ...]:
        """Close all that is open; what failed at that, in words."""
        opened = [(shown_part(key), part) for key, part in self._open.items()]
        opened += [(f"judge {title!r}", sitting) for title, sitting in self._sittings.items()]
        self._open.clear()
        self._sittings.clear()
        return tuple(trouble for name, one in opened if (trouble := _closed(name, one)))

    # ------------------------------------------------------------------ parts

    def _opened(self, part: Part) -> Any:
        if part.key not in self._open:
            built = self.known.built(part)
            material = self.kit.material if getattr(built, "adapts", False) else Material()
            match part.kind:
                case "synthesizer":
                    self._open[part.key] = built.open()
                case "recognizer":
                    self._open[part.key] = built.open(material)
                case "agent":
                    corpus = self.kit.background if getattr(built, "reads_corpus", False) else ()
                    self._open[part.key] = built.open(Surroundings(self.clips, material, corpus=corpus))
            self._step()
        return self._open[part.key]

    def _free(self, task: Free) -> None:
        """Close each, whatever becomes of the others."""
        opened = [(shown_part(key), self._open.pop(key)) for key in task.parts if key in self._open]
        troubles = [trouble for name, part in opened if (trouble := _closed(name, part))]
        if troubles:
            raise EngineError("close", "; ".join(troubles))

    def _together(self, tasks: Sequence[Task]) -> list[Done] | None:
        """All of one part in as few calls as it takes; None where they cannot be done together."""
        speaking = [task for task in tasks if isinstance(task, Speak)]
        hearing = [task for task in tasks if isinstance(task, Hear)]
        transcribing = [task for task in tasks if isinstance(task, Transcribe)]
        asking = [task for task in tasks if isinstance(task, Ask)]
        done: list[Done] = []
        if len(speaking) == len(tasks):
            done += [recordable(one, SpokenClip) for one in self._speak(speaking)]
        elif len(hearing) == len(tasks):
            done += [recordable(one, Understood) for one in self._hear(hearing)]
        elif len(transcribing) == len(tasks):
            done += [recordable(one, Transcript) for one in self._transcribe(transcribing)]
        elif len(asking) == len(tasks) and isinstance(self._opened(asking[0].part), SessionMany):
            done += [recordable(one, Thought) for one in self._ask(asking)]
        else:
            return None
        return done

    def _speak(self, tasks: Sequence[Speak]) -> list[SpokenClip]:
        """Utterances of one voice; those that were spoken before are remembered."""
        keys = [self.known.speaking_key(task) for task in tasks]
        found = [self.clips.recall(key, Clip) for key in keys]
        # A clip that is remembered but whose file is gone or damaged is spoken again.
        found = [None if memo is None or not whole(self.clips, memo[0]) else memo for memo in found]
        missing = [number for number, memo in enumerate(found) if memo is None]
        if missing:
            voice = self._opened(tasks[0].part)
            utterances = [self._utterance(tasks[number], keys[number]) for number in missing]
            size = voice.batch if isinstance(voice, SpeakingMany) else 1
            for start in range(0, len(missing), size):
                some = utterances[start : start + size]
                began = time.perf_counter()
                if isinstance(voice, SpeakingMany):
                    sounds = voice.speak_many(some)
                else:
                    sounds = [voice.speak(one.text, seed=one.seed) for one in some]
                seconds = time.perf_counter() - began
                for number, sound in zip(missing[start : start + size], sounds, strict=True):
                    if not len(sound.samples):
                        raise EngineError("empty-audio", f"no sound came of {tasks[number].text[:60]!r}")
                    clip = kept(self.clips, sound)
                    found[number] = clip, self.clips.remember(keys[number], clip, seconds)
                self._step()
        return [SpokenClip(*memo) for memo in found if memo is not None]

    def _utterance(self, task: Speak, key: str) -> Utterance:
        before = tuple(Said(past.text or "", self.clips.load(past.clip)) for past in task.before if past.clip is not None)
        seed = seed_of(key) if task.seed is None else task.seed
        return Utterance(task.text, seed, before, task.dialogue, task.position)

    def _degrade(self, task: Degrade) -> Clip:
        sound, words = self.clips.load(task.clip), []
        for number, choice in enumerate(task.perturb):
            perturbation = PERTURBATIONS.build(choice.name, choice.options)
            sound = perturbation.apply(sound, task.seed + number)
            words.append(perturbation.describe())
        return kept(self.clips, sound, f"{'; '.join(words)}; seed {task.seed}")

    def _hear(self, tasks: Sequence[Hear | Transcribe]) -> list[Understood]:
        """Clips through the same ears; those that were heard before are remembered."""
        keys = [self.known.hearing_key(task) for task in tasks]
        found = [self.clips.recall(key, Heard) for key in keys]
        missing = [number for number, memo in enumerate(found) if memo is None]
        if missing:
            ears = self._opened(tasks[0].part)
            size = ears.batch if isinstance(ears, HearingMany) else 1
            for start in range(0, len(missing), size):
                numbers = missing[start : start + size]
                some = [Listening(self.clips.load(tasks[n].clip), tasks[n].dialogue, seed_of(keys[n])) for n in numbers]
                began = time.perf_counter()
                if isinstance(ears, HearingMany):
                    heard = ears.hear_many(some)
                else:
                    heard = [ears.hear(one.sound, dialogue=one.dialogue, seed=one.seed) for one in some]
                seconds = time.perf_counter() - began
                for number, one in zip(numbers, heard, strict=True):
                    found[number] = one, self.clips.remember(keys[number], one, seconds)
                self._step()
        return [Understood(*memo) for memo in found if memo is not None]

    def _transcribe(self, tasks: Sequence[Transcribe]) -> list[Transcript]:
        silent = [is_silent(self.clips.load(task.clip)) for task in tasks]
        heard = iter(self._hear([task for task, mute in zip(tasks, silent, strict=True) if not mute]) if not all(silent) else ())
        return [MUTE if mute else transcript_of(next(heard).heard) for mute in silent]

    def _ask(self, tasks: Sequence[Ask]) -> list[Thought]:
        session = self._opened(tasks[0].part)
        thoughts: list[Thought] = []
        together = session if isinstance(session, SessionMany) else None
        size = together.batch if together is not None else 1
        for start in range(0, len(tasks), size):
            some = tasks[start : start + size]
            began = time.perf_counter()
            if together is not None:
                replies = together.answer_many([Asked(task.view, task.seed) for task in some])
            else:
                replies = [session.answer(task.view, seed=task.seed) for task in some]
            seconds = time.perf_counter() - began
            thoughts += [Thought(sound_reply(reply, self.clips), seconds) for reply in replies]
            self._step()
        if len(thoughts) != len(tasks):
            raise EngineError("contract", f"{len(tasks)} turns were asked for, {len(thoughts)} replies came")
        return thoughts

    # ------------------------------------------------------------------ judges

    def _rule(self, task: Rule) -> dict[str, Ruling | Fault]:
        rulings: dict[str, Ruling | Fault] = dict(task.known)
        for title in task.judges:
            rulings[title] = self._decide(self.kit.judges[title], task, rulings)
            self._step()
        return {title: rulings[title] for title in task.judges}

    def _decide(self, judge: JudgePlan, task: Rule, rulings: dict[str, Ruling | Fault]) -> Ruling | Fault:
        known: dict[str, Any] = {}
        for need in judge.needs:
            ruling = rulings[need]
            if isinstance(ruling, Fault):
                return Fault("upstream", f"{need}: {ruling.cause}")
            known.update(ruling.verdicts)
        try:
            if judge.title not in self._sittings:
                background = self.kit.background if judge.background else ()
                self._sittings[judge.title] = JUDGES.build(judge.name, judge.options).open(Bench(self.clips, background))
                self._step()
            verdicts = self._sittings[judge.title].decide(msgspec.structs.replace(task.exchange, verdicts=known))
            return ruling_of(judge, verdicts)
        except ANYTHING as error:
            if for_the_user(error):
                raise
            return fault_of(error)


def shown_part(key: str) -> str:
    """A part as it is called in a sentence."""
    kind, name, _ = msgspec.json.decode(key)
    return f"{kind} {name!r}"


def _closed(name: str, opened: Any) -> str:
    """Close something; what is to be said of a failure, which changes no result."""
    try:
        opened.close()
    except ANYTHING as error:
        return f"the {name} failed while it was closed: {told(error)}"
    return ""


def is_silent(sound: Sound) -> bool:
    """Whether there is nothing to be heard."""
    peak = float(np.abs(sound.samples).max()) if len(sound.samples) else 0.0
    return peak < 10 ** (SILENCE_DBFS / 20)


def transcript_of(heard: Heard) -> Transcript:
    return Transcript(heard.text, heard.note)
