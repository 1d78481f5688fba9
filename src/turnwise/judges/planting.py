"""Known failures planted at known turns of good dialogues, to see what a judge says of them.

A plant is a whole `Exchange`: the written conversation as it was, and in place of the last reply one that fails in one known
way. What is planted comes from the dialogue itself, from other dialogues of the corpus, or from phrases of this file that no
judge's lexicon may hold. Nothing here uses what the judges have learned.

- repetition: an earlier sentence again before the right reply (mild), an earlier reply reworded (clear) or verbatim (gross).
- generic: a long vague stock phrase (mild), a short one (clear), a bare acknowledgement (gross).
- topic_drift: the first sentence right, then another subject (mild); a reply of a nearer (clear) or farther (gross) intent.
- misunderstanding: right but for a wrong value of what was just stated (mild); a reply from another place of the same intent
  (clear), also where the user has just asked for something (gross).
- memory: right but for a wrong value of what was stated earlier (mild); a question for a slot already answered (clear); unable
  to tell what was stated, though asked (gross).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from turnwise.dialogues.dialogue import Dialogue, Round
from turnwise.foundation.fingerprint import seed_of
from turnwise.judges.judge import Exchange, Spoken
from turnwise.judges.severity import FAILURES
from turnwise.judges.surfaces import replaced
from turnwise.judges.wording import content, sentences, tokens

Level = Literal["mild", "clear", "gross"]
LEVELS: tuple[Level, ...] = ("mild", "clear", "gross")
Hear = Callable[[str, int], str]  # a text and a seed -> the text as heard

VAGUE: dict[Level, tuple[str, ...]] = {
    "mild": (
        "Well, everybody has their own preferences, and in the end it really comes down to whatever feels best to you.",
        "There is certainly a lot out there these days, so I am confident that something nice will turn up before long.",
        "That is a very good point, and it is always worth thinking about such things carefully before going any further.",
        "I completely see where you are coming from, and many of our customers have told us much the same thing.",
    ),
    "clear": (
        "That is interesting, please tell me more.",
        "I am always happy to be of service.",
        "Thank you for sharing that with me.",
        "Your satisfaction is very important to us.",
    ),
    "gross": ("I see.", "Alright then.", "Sounds good to me.", "Mm, I understand."),
}
FORGOTTEN = (
    "I'm afraid I have no record of that, would you mind repeating it?",
    "Hmm, that has slipped my mind, could you tell me once more?",
    "I am sorry, I did not write that down.",
    "You have not mentioned that to me so far.",
)
_REWORDINGS = (
    ("would you like", "do you want"),
    ("i'd suggest", "i would recommend"),
    ("what time", "at what hour"),
    ("which", "what"),
    ("great", "good"),
    ("there is", "there's"),
    ("i have", "i've got"),
    ("how many", "what number of"),
    ("certainly", "of course"),
    ("please confirm", "kindly confirm"),
    ("is it", "would it be"),
)
_OPENINGS = ("So,", "Well,", "Alright,", "As I said,", "Now then,")
SHORTEST_COPY = 6  # words; shorter replies are courtesies that anyone may repeat


class _Unfit(Exception):
    """This failure cannot be planted here."""


@dataclass(frozen=True)
class Plant:
    """One failure at one turn."""

    failure: str
    level: Level
    exchange: Exchange
    text: str  # the reply as planted, before any mishearing


def rendered(dialogue: Dialogue, number: int, reply: str, hear: Hear, seed: int, kind: str = "") -> Exchange:
    """The written dialogue up to round `number`, answered there with `reply`; `kind` keeps the mishearings of plants apart."""
    rounds = dialogue.rounds()
    opening = tuple(turn for turn in dialogue.turns[: rounds[0].position] if turn.speaker == "agent")
    spoken: list[Spoken] = []
    for each in rounds[:number]:
        text = reply if each.number == number else (each.written.text if each.written else "")
        key = (seed, dialogue.id, each.number, kind if each.number == number else "")
        spoken.append(Spoken(each.number, each.user, None, None, hear(text, seed_of(*key)), text, None))
    return Exchange(dialogue.id, dialogue.intent, opening, tuple(spoken))


class Planter:
    """Plants from one corpus."""

    def __init__(self, corpus: Sequence[Dialogue], seed: int) -> None:
        self._corpus = sorted(corpus, key=lambda d: d.id)
        self._seed = seed
        self._near = _intent_distances(self._corpus)
        values: dict[str, set[str]] = {}
        for dialogue in self._corpus:
            for turn in dialogue.turns:
                for fact in turn.facts:
                    values.setdefault(fact.slot, set()).add(fact.value)
        self._values = {slot: tuple(sorted(found)) for slot, found in values.items()}

    def plants(self, dialogue: Dialogue, hear: Hear, per_failure: int = 3) -> Iterator[Plant]:
        """Up to `per_failure` of every failure, spread over early, middle and late turns and over the levels."""
        rounds = [r for r in dialogue.rounds() if r.written is not None and r.written.text.strip()]
        for failure in FAILURES:
            draw = random.Random(seed_of(self._seed, dialogue.id, failure))
            shift = draw.randrange(3)
            for i, third in enumerate(_thirds(rounds)):
                if i >= per_failure:
                    break
                draw.shuffle(third)
                plant = self._first(dialogue, third, failure, LEVELS[(i + shift) % 3], draw, hear)
                if plant is not None:
                    yield plant

    def _first(
        self, dialogue: Dialogue, rounds: list[Round], failure: str, level: Level, draw: random.Random, hear: Hear
    ) -> Plant | None:
        """At the first of these rounds where it can be done; the wished level first, then the others."""
        order = [level, *(other for other in LEVELS if other != level)]
        for wished in order:
            for each in rounds:
                try:
                    text = getattr(self, f"_{failure}")(dialogue, each, wished, draw)
                except _Unfit:
                    continue
                exchange = rendered(dialogue, each.number, text, hear, self._seed, f"{failure}-{wished}")
                return Plant(failure, wished, exchange, text)
        return None

    def _repetition(self, dialogue: Dialogue, at: Round, level: Level, draw: random.Random) -> str:
        earlier = [t.text for t in dialogue.turns[: at.position] if t.speaker == "agent"]
        if level == "mild":
            earlier = [s for text in earlier for s in sentences(text)]
        earlier = [text for text in earlier if len(tokens(text)) >= SHORTEST_COPY and len(content(tokens(text))) >= 3]
        if not earlier:
            raise _Unfit
        text = draw.choice(earlier)
        if level == "gross":
            return text
        if level == "clear":
            return reworded(text, draw)
        return f"{text} {_written(at)}"

    def _generic(self, dialogue: Dialogue, at: Round, level: Level, draw: random.Random) -> str:
        if not (at.user.facts or at.user.asks or len(content(tokens(at.user.text))) >= 5):
            raise _Unfit  # after "Thanks, bye" a stock phrase is a good reply
        return draw.choice(VAGUE[level])

    def _topic_drift(self, dialogue: Dialogue, at: Round, level: Level, draw: random.Random) -> str:
        others = self._near.get(dialogue.intent, ())
        half = (len(others) + 1) // 2
        intents = others[:half] if level == "clear" else others[len(others) // 2 :]
        donors = [d for d in self._corpus if d.intent in intents]
        if not donors:
            raise _Unfit
        own = self._words_of(dialogue.intent)
        for _ in range(40):
            donor = draw.choice(donors)
            theirs = self._words_of(donor.intent)
            text = _written(draw.choice([r for r in donor.rounds() if r.written is not None] or [at]))
            telling = [w for w in content(tokens(text)) if theirs[w] > 4 * own[w] + 0.002]
            if len(tokens(text)) >= 6 and len(set(telling)) >= 2:
                return f"{sentences(_written(at))[0]} {text}" if level == "mild" else text
        raise _Unfit

    def _misunderstanding(self, dialogue: Dialogue, at: Round, level: Level, draw: random.Random) -> str:
        if level == "mild":
            return self._wrong_value(_written(at), [(f.slot, f.value) for f in at.user.facts], draw)
        if level == "gross" and not at.user.asks:
            raise _Unfit
        if level == "clear" and at.user.asks:
            raise _Unfit
        donors = [d for d in self._corpus if d.intent == dialogue.intent and d.id != dialogue.id]
        known = {f.slot for t in dialogue.turns[: at.position + 1] for f in t.facts}
        own = set(content(tokens(_written(at))))
        for _ in range(40 if donors else 0):
            donor = draw.choice([r for r in draw.choice(donors).rounds() if r.written is not None] or [at])
            text = _written(donor)
            theirs = set(content(tokens(text)))
            asks = donor.written.asks if donor.written else ()
            fitting = bool(asks) and (not at.user.asks or bool(known & set(asks)))  # a fair question, or one about memory
            if abs(donor.number - at.number) >= 2 and len(theirs) >= 3 and not fitting and len(own & theirs) <= 0.2 * len(theirs):
                return text
        raise _Unfit

    def _memory(self, dialogue: Dialogue, at: Round, level: Level, draw: random.Random) -> str:
        past = {f.slot: f.value for t in dialogue.turns[: at.position] for f in t.facts}
        for fact in at.user.facts:
            past.pop(fact.slot, None)
        if not past:
            raise _Unfit
        if level == "mild":
            return self._wrong_value(_written(at), list(past.items()), draw)
        if level == "gross":
            if not set(at.user.asks) & set(past):
                raise _Unfit
            return draw.choice(FORGOTTEN)
        questions = [
            t.text
            for d in self._corpus
            if d.id != dialogue.id and d.intent == dialogue.intent
            for t in d.turns
            if t.speaker == "agent" and t.asks and set(t.asks) <= set(past) and "?" in t.text
        ]
        asked_alone = [sentences(text)[-1] for text in questions if sentences(text)[-1].endswith("?")]
        if not asked_alone:
            raise _Unfit
        return draw.choice(asked_alone)

    def _wrong_value(self, text: str, facts: list[tuple[str, str]], draw: random.Random) -> str:
        """The reply with the value of one of these slots replaced by another of the same slot."""
        facts = list(facts)
        draw.shuffle(facts)
        said = {value for _, value in facts}
        for slot, value in facts:
            others = [other for other in self._values[slot] if other not in said]
            draw.shuffle(others)
            for other in others[:20]:
                changed = replaced(text, value, other)
                if changed is not None:
                    return changed
        raise _Unfit

    def _words_of(self, intent: str) -> dict[str, float]:
        return self._shares[intent]

    @property
    def _shares(self) -> dict[str, dict[str, float]]:
        if not hasattr(self, "_shares_kept"):
            self._shares_kept = _shares(self._corpus)
        return self._shares_kept


def reworded(text: str, draw: random.Random) -> str:
    """The same said a little differently: another opening, a few other words."""
    lowered = text.lower()
    for old, new in _REWORDINGS:
        lowered = lowered.replace(old, new)
    return f"{draw.choice(_OPENINGS)} {lowered}"


def _written(at: Round) -> str:
    assert at.written is not None  # rounds without a reply are not planted in
    return at.written.text


def _thirds(rounds: list[Round]) -> list[list[Round]]:
    n = len(rounds)
    return [rounds[n * i // 3 : n * (i + 1) // 3] for i in range(3)]


def _shares(corpus: Sequence[Dialogue]) -> dict[str, dict[str, float]]:
    """For each intent, how large a share of the agent's content words each word is."""
    counts: dict[str, Counter[str]] = {}
    for dialogue in corpus:
        counter = counts.setdefault(dialogue.intent, Counter())
        for turn in dialogue.turns:
            if turn.speaker == "agent":
                counter.update(content(tokens(turn.text)))
    shares: dict[str, dict[str, float]] = {}
    for intent, counter in counts.items():
        total = counter.total() or 1
        shares[intent] = Counter({word: n / total for word, n in counter.items()})  # type: ignore[assignment]
    return shares


def _intent_distances(corpus: Sequence[Dialogue]) -> dict[str, tuple[str, ...]]:
    """For each intent the others, most alike first, without those of the same subject (cosine of word shares above 0.6)."""
    shares = _shares(corpus)

    def cosine(a: str, b: str) -> float:
        x, y = shares[a], shares[b]
        dot = sum(v * y.get(w, 0.0) for w, v in sorted(x.items()))
        return float(dot / ((sum(v * v for v in x.values()) * sum(v * v for v in y.values())) ** 0.5 or 1.0))

    out: dict[str, tuple[str, ...]] = {}
    for intent in sorted(shares):
        ranked = sorted((-cosine(intent, other), other) for other in sorted(shares) if other != intent)
        out[intent] = tuple(other for score, other in ranked if -score <= 0.6)
    return out
