"""Plays annotated dialogues to a text agent and counts what it kept: used by tests, and by hand:

PYTHONPATH=src:tests python -m agents.rehearsal [--past N] [--errors 0.15]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence

import msgspec

from turnwise.agents.acts import asks_for
from turnwise.agents.agent import Past, Reply, View
from turnwise.agents.cues import plain
from turnwise.agents.domains import Intent, load_domains
from turnwise.agents.frame_state import derive
from turnwise.agents.policy import BOOKED
from turnwise.agents.roster.frame import FrameSession, agent
from turnwise.dialogues.corpora.demo import corpus
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.fingerprint import seed_of
from turnwise.speech.spoken_words import cardinal

Mangle = Callable[[str, int], str]


class Tally(msgspec.Struct):
    """Counts over all dialogues played."""

    dialogues: int = 0
    replies: int = 0
    slots: int = 0
    slots_right: int = 0
    probes: int = 0
    probes_right: int = 0
    questions: int = 0  # slots asked for
    asked_again: int = 0  # slots asked for although the user had stated them
    intents_right: int = 0
    repeated: int = 0  # replies that equal an earlier one of the dialogue
    repeated_sentences: int = 0
    too_short: int = 0
    too_long: int = 0
    wrong: list[str] = msgspec.field(default_factory=list)

    def share(self, right: int, total: int) -> float:
        return right / total if total else float("nan")

    def lines(self) -> str:
        return (
            f"dialogues {self.dialogues}, replies {self.replies}, intents {self.intents_right}\n"
            f"slots at the end {self.slots_right}/{self.slots} = {self.share(self.slots_right, self.slots):.3f}\n"
            f"values asked back {self.probes_right}/{self.probes} = {self.share(self.probes_right, self.probes):.3f}\n"
            f"questions {self.questions}, for what was known {self.asked_again}\n"
            f"repeated replies {self.repeated}, repeated sentences {self.repeated_sentences}, "
            f"below 8 words {self.too_short}, above 30 {self.too_long}"
        )


def rehearse(
    dialogues: Sequence[Dialogue], session: FrameSession, *, past: int | None = None, mangle: Mangle | None = None, seed: int = 1
) -> Tally:
    """Play every user turn; `past` rounds are shown (None: all), `mangle` stands for the recogniser's errors."""
    tally = Tally()
    domains = load_domains()
    for dialogue in dialogues:
        intent = domains.intent(dialogue.intent)
        shown: list[Past] = []
        stated: dict[str, str] = {}
        said: list[str] = []
        view = View(dialogue.id, 0, "", (), "", None)
        for step in dialogue.rounds():
            words = step.user.text if mangle is None else mangle(step.user.text, seed_of(seed, dialogue.id, step.number))
            cut = tuple(shown) if past is None else tuple(shown[len(shown) - 2 * past :])
            view = View(dialogue.id, step.number, "", cut, words, None)
            reply: Reply = session.answer(view, seed=seed_of(seed, dialogue.id, step.number))
            for fact in step.user.facts:
                stated[fact.slot] = fact.value
            _count(tally, dialogue, intent, reply.text, stated, step.user.asks, said, step.number)
            said.append(reply.text)
            shown += [Past("user", words), Past("agent", reply.text)]
        state = derive(view, domains, session.catalogue, BOOKED)
        tally.dialogues += 1
        tally.intents_right += state.intent is not None and state.intent.name == dialogue.intent
        for slot, value in stated.items():
            tally.slots += 1
            if state.known.get(slot) == value:
                tally.slots_right += 1
            else:
                tally.wrong.append(f"{dialogue.id} {slot}: {state.known.get(slot)} for {value}")
    return tally


def _count(
    tally: Tally,
    dialogue: Dialogue,
    intent: Intent,
    text: str,
    stated: dict[str, str],
    probes: Sequence[str],
    said: list[str],
    number: int,
) -> None:
    tally.replies += 1
    length = len(text.split())
    tally.too_short += length < 8
    tally.too_long += length > 30
    tally.repeated += plain(text) in [plain(s) for s in said]
    earlier = {plain(p) for s in said for p in s.replace("!", ".").replace("?", ".").split(".") if len(p.split()) > 2}
    again = [p for p in text.replace("!", ".").replace("?", ".").split(".") if len(p.split()) > 2 and plain(p) in earlier]
    tally.repeated_sentences += len(again)
    tally.wrong += [f"{dialogue.id} round {number} says again: {p}" for p in again]
    for slot in probes:
        tally.probes += 1
        if says(intent, slot, stated[slot], text):
            tally.probes_right += 1
        else:
            tally.wrong.append(f"{dialogue.id} round {number} asked back {slot}={stated[slot]}: {text}")
    for slot in asks_for(text, intent.names):
        tally.questions += 1
        if slot in stated:
            tally.asked_again += 1
            tally.wrong.append(f"{dialogue.id} round {number} asks again for {slot}: {text}")


def says(intent: Intent, slot: str, value: str, text: str) -> bool:
    """Whether a reply holds a value in words a listener would accept."""
    line = f" {plain(text)} "
    if value.isdigit():
        return f" {' '.join(cardinal(int(value)))} " in line
    if ":" in value:
        hour, _, minute = value.partition(":")
        forms = (
            [" ".join(cardinal(int(hour)))]
            if minute == "00"
            else [f"{' '.join(cardinal(int(hour)))} {' '.join(cardinal(int(minute)))}"]
        )
        forms += ["noon"] if value == "12:00" else []
        return any(f" {form} " in line for form in forms)
    return any(
        f" {plain(form)} " in line or f" {plain(form)}s " in line for form in (value, *intent.slot(slot).values.get(value, ()))
    )


def errors(rate: float, vocabulary: Sequence[str]) -> Mangle:
    """A recogniser's errors, roughly: a third of the wrong words dropped, the others replaced by any word of the corpus."""

    def mangle(text: str, seed: int) -> str:
        draw = random.Random(seed)
        kept = []
        for word in plain(text).split():
            chance = draw.random()
            if chance < rate / 3:
                continue
            kept.append(draw.choice(vocabulary) if chance < rate else word)
        return " ".join(kept)

    return mangle


def vocabulary(dialogues: Sequence[Dialogue]) -> list[str]:
    return [word for d in dialogues for t in d.turns if t.speaker == "user" for word in plain(t.text).split()]


def demo() -> tuple[Dialogue, ...]:
    return corpus().read(None).dialogues


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--past", type=int)
    options.add_argument("--errors", type=float, default=0.0)
    options.add_argument("--show", action="store_true")
    chosen = options.parse_args()
    dialogues = demo()
    mangle = errors(chosen.errors, vocabulary(dialogues)) if chosen.errors else None
    tally = rehearse(dialogues, agent().open(None), past=chosen.past, mangle=mangle)  # type: ignore[arg-type]
    print(tally.lines())
    if chosen.show:
        print("\n".join(tally.wrong))


if __name__ == "__main__":
    main()
