"""A trigram language model of some sentences, written in the ARPA form that recognisers read.

Interpolated Witten-Bell: a context that was followed by many different words leaves more room for words never seen there.

    p(w | h) = (count(h w) + kinds(h) * p(w | h')) / (count(h) + kinds(h))        h' is h without its first word

Below the single words lies a background, the words' probabilities in general speech, so that a word outside the sentences can
be heard at all.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

START, END = "<s>", "</s>"
_NEVER = -99.0  # log10 probability of the start mark, which is never spoken

Gram = tuple[str, ...]


def arpa(sentences: Iterable[Sequence[str]], background: Mapping[str, float], weight: float = 1.0) -> str:
    """The model as ARPA text.

    `background` gives the general probability of every word the model shall know beside those of the sentences (END need not
    be among them); it is scaled to sum 1. `weight` multiplies the room it gets.
    """
    counts: list[Counter[Gram]] = [Counter(), Counter(), Counter()]
    for sentence in sentences:
        words = (START, *sentence, END)
        for order in (1, 2, 3):
            for start in range(len(words) - order + 1):
                gram = words[start : start + order]
                if gram != (START,):
                    counts[order - 1][gram] += 1
    one = _unigrams(counts[0], background, weight)
    tables: list[dict[Gram, float]] = [one]
    rooms: list[dict[Gram, float]] = []
    for order in (2, 3):
        table, room = _higher(counts[order - 1], tables[-1])
        tables.append(table)
        rooms.append(room)
    return _write(tables, rooms)


def _unigrams(counts: Counter[Gram], background: Mapping[str, float], weight: float) -> dict[Gram, float]:
    total = sum(counts.values())
    kinds = len(counts) * weight
    general: dict[Gram, float] = {(word,): p for word, p in background.items() if word != START}
    # A word of the sentences that general speech does not know gets the background's smallest probability.
    least = min(general.values(), default=1.0)
    for gram in counts:
        general.setdefault(gram, least)
    general.setdefault((END,), least)
    mass = sum(general.values())
    if total + kinds == 0:
        return {gram: p / mass for gram, p in general.items()}
    return {gram: (counts[gram] + kinds * p / mass) / (total + kinds) for gram, p in general.items()}


def _higher(counts: Counter[Gram], lower: Mapping[Gram, float]) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """Probabilities of seen grams, and per context the share that is left to the shorter context."""
    total: Counter[Gram] = Counter()
    kinds: Counter[Gram] = Counter()
    for gram, count in counts.items():
        total[gram[:-1]] += count
        kinds[gram[:-1]] += 1
    room = {context: kinds[context] / (total[context] + kinds[context]) for context in total}
    table = {
        gram: (count + kinds[gram[:-1]] * lower[gram[1:]]) / (total[gram[:-1]] + kinds[gram[:-1]])
        for gram, count in counts.items()
    }
    return table, room


def _write(tables: Sequence[Mapping[Gram, float]], rooms: Sequence[Mapping[Gram, float]]) -> str:
    lines = ["\\data\\"]
    sections: dict[int, list[str]] = defaultdict(list)
    for order, table in enumerate(tables, start=1):
        if not table:  # readers refuse a model with an empty section
            continue
        room = rooms[order - 1] if order <= len(rooms) else {}
        grams = sorted({*table, *room} if order == 1 else table)
        for gram in grams:
            log = math.log10(table[gram]) if gram in table else _NEVER
            left = f" {math.log10(room[gram]):.4f}" if gram in room else ""
            sections[order].append(f"{log:.4f} {' '.join(gram)}{left}")
        lines.append(f"ngram {order}={len(grams)}")
    for order, section in sections.items():
        lines += ["", f"\\{order}-grams:", *section]
    return "\n".join([*lines, "", "\\end\\", ""])
