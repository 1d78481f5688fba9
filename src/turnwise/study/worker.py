"""A worker: opens what a plan names, does tasks one at a time, and turns whatever breaks into a fault of that task.

The same class works in this process, in a pool's process, or on another machine: it is given a `Kit` and tasks, and keeps
opened things between them.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from turnwise.agents.agent import AGENTS, Session, Surroundings
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import EngineError, TurnwiseError
from turnwise.foundation.fingerprint import fingerprint, seed_of
from turnwise.foundation.secrets import without_secrets
from turnwise.judges.judge import JUDGES, Bench, Sitting
from turnwise.judges.verdict import Fault
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Heard, Hearing, Material, Speaking, hearing_key
from turnwise.speech.perturbation import PERTURBATIONS
from turnwise.study.cell import SILENCE_DBFS, Answer, Payload, Ruling, Transcript
from turnwise.study.plan import JudgePlan, Plan
from turnwise.study.study import Arm, Choice, UserVoice
from turnwise.study.task import Ask, Hear, Rule, Speak, Task

T = TypeVar("T", Clip, Transcript, Answer, Ruling)

Done = Payload | dict[str, Ruling | Fault] | Fault


class Kit(msgspec.Struct, frozen=True):
    """All that a worker must know of a plan. Small parts of it cross process borders once, at the start."""

    clips: str  # folder of the clip store
    user: UserVoice
    voice: str  # identity of the user's voice
    transcriber: Choice
    transcriber_identity: str
    transcriber_adapts: bool
    material: Material
    background: tuple[Dialogue, ...]
    arms: dict[str, Arm]
    adapting: tuple[str, ...]  # arms that are given the material
    reading: tuple[str, ...]  # arms that are given the corpus
    judges: dict[str, JudgePlan]


def kit_of(plan: Plan, clips: Path) -> Kit:
    """What a worker must know of this plan."""
    study = plan.study
    return Kit(
        clips=str(clips),
        user=study.user,
        voice=plan.voice,
        transcriber=study.transcriber,
        transcriber_identity=plan.transcriber,
        transcriber_adapts=plan.transcriber_adapts,
        material=plan.material,
        background=plan.background,
        arms={arm.name: arm for arm in study.arms},
        adapting=tuple(name for name, arm in plan.arms.items() if arm.adapts),
        reading=tuple(name for name, arm in plan.arms.items() if arm.reads_corpus),
        judges={judge.name: judge for judge in plan.judges},
    )


class Worker:
    """Does tasks; not for two threads at once."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.clips = ClipStore(Path(kit.clips))
        self._voice: Speaking | None = None
        self._ears: Hearing | None = None
        self._sessions: dict[str, Session] = {}
        self._sittings: dict[str, Sitting] = {}

    def do(self, task: Task) -> Done:
        """The task's result.

        What the user must mend before anything can go on (a full disk, a missing package, a wrong option) is raised; whatever
        else breaks is recorded. This handler and the judges' below are the only ones that catch everything.
        """
        try:
            match task:
                case Speak():
                    return _recordable(self._speak(task), Clip)
                case Hear():
                    return _recordable(self._hear(task), Transcript)
                case Ask():
                    return _recordable(self._ask(task), Answer)
                case Rule():
                    return self._rule(task)
        except Exception as error:
            if _for_the_user(error):
                raise
            return fault_of(error)

    def close(self) -> None:
        for opened in (self._voice, self._ears, *self._sessions.values(), *self._sittings.values()):
            if opened is not None:
                opened.close()
        self._voice = self._ears = None
        self._sessions.clear()
        self._sittings.clear()

    def _speak(self, task: Speak) -> Clip:
        clip, _ = self.clips.once(fingerprint("spoken", self.kit.voice, task.text, task.seed), lambda: self._say(task), Clip)
        if not task.perturb:
            return clip
        sound, words = self.clips.load(clip), []
        for number, choice in enumerate(task.perturb):
            perturbation = PERTURBATIONS.build(choice.name, choice.options)
            sound = perturbation.apply(sound, task.perturb_seed + number)
            words.append(perturbation.describe())
        return self.clips.keep(sound, f"{'; '.join(words)}; seed {task.perturb_seed}")

    def _say(self, task: Speak) -> Clip:
        if self._voice is None:
            self._voice = SYNTHESIZERS.build(self.kit.user.engine, self.kit.user.options).open()
        sound = self._voice.speak(task.text, seed=task.seed)
        if not len(sound.samples):
            raise EngineError("empty-audio", f"the user's voice gave no sound for {task.text!r}")
        return self.clips.keep(sound)

    def _hear(self, task: Hear) -> Transcript:
        kit = self.kit
        key = hearing_key(kit.transcriber_identity, kit.transcriber_adapts, kit.material.digest, task.dialogue, task.clip.digest)
        sound = self.clips.load(task.clip)
        peak = float(np.abs(sound.samples).max()) if len(sound.samples) else 0.0
        if peak < 10 ** (SILENCE_DBFS / 20):
            return Transcript("", note=f"no sound above {SILENCE_DBFS:.0f} dBFS", silent=True)
        if self._ears is None:
            material = kit.material if kit.transcriber_adapts else Material()
            self._ears = RECOGNIZERS.build(kit.transcriber.name, kit.transcriber.options).open(material)
        ears = self._ears
        heard, _ = self.clips.once(key, lambda: ears.hear(sound, dialogue=task.dialogue, seed=seed_of(key)), Heard)
        return Transcript(heard.text, heard.note)

    def _ask(self, task: Ask) -> Answer:
        if task.arm not in self._sessions:
            arm = self.kit.arms[task.arm]
            material = self.kit.material if task.arm in self.kit.adapting else Material()
            corpus = self.kit.background if task.arm in self.kit.reading else ()
            around = Surroundings(self.clips, material, corpus=corpus)
            self._sessions[task.arm] = AGENTS.build(arm.agent, arm.options).open(around)
        reply = self._sessions[task.arm].answer(task.view, seed=task.seed)
        text = whole_text(reply.text)
        if text != reply.text:
            note = "half characters (unpaired surrogates) were replaced"
            reply = msgspec.structs.replace(reply, text=text, notes=(*reply.notes, note))
        wrong = self.clips.check(reply.clip) if reply.clip is not None else None
        if wrong:
            raise EngineError("contract", f"the reply's clip is not in the clip store: {wrong}")
        return Answer(reply, task.view)

    def _rule(self, task: Rule) -> dict[str, Ruling | Fault]:
        rulings: dict[str, Ruling | Fault] = dict(task.known)
        for name in task.judges:
            rulings[name] = self._decide(name, task, rulings)
        return {name: rulings[name] for name in task.judges}

    def _decide(self, name: str, task: Rule, rulings: dict[str, Ruling | Fault]) -> Ruling | Fault:
        judge = self.kit.judges[name]
        known: dict[str, Any] = {}
        for need in judge.needs:
            ruling = rulings[need]
            if isinstance(ruling, Fault):
                return Fault("upstream", f"{need}: {ruling.cause}")
            known.update(ruling.verdicts)
        try:
            if name not in self._sittings:
                background = self.kit.background if judge.background else ()
                self._sittings[name] = JUDGES.build(name, judge.options).open(Bench(self.clips, background))
            verdicts = dict(self._sittings[name].decide(msgspec.structs.replace(task.exchange, verdicts=known)))
        except Exception as error:
            if _for_the_user(error):
                raise
            return fault_of(error)
        broken = next((v for v in verdicts.values() if isinstance(v, Fault)), None)
        if broken is not None:
            return broken
        missing = {c.name for c in judge.criteria} ^ verdicts.keys()
        if missing:
            return Fault("contract", f"{name} must decide on exactly its criteria; differing: {', '.join(sorted(missing))}")
        return _recordable(Ruling(verdicts), Ruling)


def _for_the_user(error: Exception) -> bool:
    return isinstance(error, TurnwiseError) and not isinstance(error, EngineError)


def whole_text(text: str) -> str:
    """Text that can be stored: halves of characters, which some tokenizers leave behind, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _recordable(result: T, type_: type[T]) -> T | Fault:
    """The result if the ledger could give it back as it is; plug-ins of others may return anything."""
    try:
        again = msgspec.json.decode(msgspec.json.encode(result), type=type_)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        return Fault("contract", whole_text(without_secrets(f"the result cannot be recorded: {error}")))
    return result if again == result else Fault("contract", "the result is not the same after it was recorded")


def fault_of(error: Exception) -> Fault:
    """An exception as a fault: what, where, and no secret."""
    place = traceback.extract_tb(error.__traceback__)
    where = f" (in {Path(place[-1].filename).name}, line {place[-1].lineno})" if place else ""
    if isinstance(error, EngineError):
        return Fault(whole_text(error.cause), whole_text(without_secrets(error.message)))
    return Fault("error", whole_text(without_secrets(f"{type(error).__name__}: {error}{where}")))
