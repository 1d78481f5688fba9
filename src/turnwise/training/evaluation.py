"""How good a describer's texts are, on sounds that were held out: what it measures against the ratings of listeners.

Of descriptions: Pearson's and Spearman's correlation (LCC, SRCC) and the mean squared error of the ratings read from them, for
the overall rating and for every other dimension of which numbers are stated; how many texts had no readable rating, which is a
rate of its own and never a number in the others. Of comparisons: how often the side with the higher overall rating is named (a
text that names none is wrong), and asked in the other order, whether the same sound is meant. Of both: BLEU (sacrebleu) against
the expert's texts, all those of a sound being its references.

A text that ran into the limit of tokens states no rating and names no side, with that as the reason; BLEU takes it as it is.
Intervals are of 95 %, by bootstrap: over the recordings that the described sounds were made from, over pairs for comparisons (two
pairs with a recording in common count as independent). Every text is kept in a file and is not asked for again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.fingerprint import fingerprint, seed_of
from turnwise.listening.preference import both_orders, preferred
from turnwise.listening.rating_reading import read_rating, stated
from turnwise.listening.ratings import ASPECTS, Dimension
from turnwise.listening.sound_model import INSTALL, Answering
from turnwise.listening.sound_questions import Kind
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.correlation import pearson, spearman
from turnwise.statistics.estimate import number
from turnwise.statistics.grid import Floats
from turnwise.training.example_file import Example
from turnwise.training.growing_file import GrowingFile
from turnwise.training.resampling import correlation_interval, rank_correlation_interval, ratio_interval

# Of the abstract of the ALLD paper (ICLR 2025), on its own test sets; the full tables were not at hand.
PUBLISHED: dict[str, str] = {"mse mos": "0.17", "accuracy": "98.6 %", "bleu": "25.8 and 30.2 on its two tasks"}
CUT = "cut short"  # the reason why a text that ran into the limit states nothing
Order = Literal["straight", "swapped"]


class Item(msgspec.Struct, frozen=True):
    """One held-out sound or pair, with every text that experts wrote about it."""

    id: str
    kind: Kind
    example: Example
    references: tuple[str, ...]


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the describer said of an item."""

    item: str
    order: Order
    text: str = ""
    whole: bool = True

    @property
    def key(self) -> str:
        return f"{self.item} {self.order}"


class Measure(msgspec.Struct, frozen=True):
    """A number with its interval; None where it cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0  # texts it rests on


class Fit(msgspec.Struct, frozen=True):
    """Ratings read from texts against those of listeners, in one dimension."""

    lcc: Measure
    srcc: Measure
    mse: Measure
    failures: Measure  # share of the texts from which no rating could be read
    missing: dict[str, int]  # by reason


class Choices(msgspec.Struct, frozen=True):
    """Comparisons."""

    accuracy: Measure  # asked in the order of the examples
    agreed: Measure  # the same sound is preferred in both orders
    no_choice: int  # texts that name no side, or both
    first_place: int  # pairs of which the one shown first was preferred in both orders
    second_place: int


class Evaluation(msgspec.Struct, frozen=True):
    """All of it."""

    fits: dict[Dimension, Fit]
    choices: Choices | None
    bleu: dict[Kind, Measure]
    references: dict[Kind, float]  # texts of experts per item, on average
    bleu_signature: str
    texts: int
    cut: int  # of them, at the limit of tokens
    seed: int  # of the intervals


def items_of(examples: Sequence[Example]) -> tuple[Item, ...]:
    """Each sound or pair once, in the order of the examples."""
    grouped: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        grouped[fingerprint(example.kind, *example.sounds)].append(example)
    return tuple(Item(key, group[0].kind, group[0], tuple(e.answer for e in group)) for key, group in grouped.items())


def ask(
    items: Sequence[Item], answering: Answering, file: Path, *, seed: int, batch: int, watch: Callable[[int, int], None]
) -> dict[str, Said]:
    """What the model says of every item, comparisons in both orders; what the file holds is not asked again."""
    kept: GrowingFile[Said] = GrowingFile(file, Said, lambda said: said.key)
    asked: list[tuple[Item, Order]] = [(item, "straight") for item in items]
    asked += [(item, "swapped") for item in items if item.kind == "comparison"]
    wanted = {f"{item.id} {order}" for item, order in asked}
    done = wanted & kept.records.keys()
    for kind in ("caption", "comparison"):
        left = [(item, order) for item, order in asked if item.kind == kind and f"{item.id} {order}" not in done]
        for first in range(0, len(left), batch):
            part = left[first : first + batch]
            sounds = [[read_sound(Path(sound)) for sound in item.example.sounds] for item, _ in part]
            ordered = [pair[::-1] if order == "swapped" else pair for pair, (_, order) in zip(sounds, part, strict=True)]
            seeds = [seed_of("evaluation", seed, item.id, order) for item, order in part]
            answers = answering.write_many(kind, ordered, seeds)
            kept.add(
                *(Said(item.id, order, answer.text, answer.whole) for (item, order), answer in zip(part, answers, strict=True))
            )
            done |= {f"{item.id} {order}" for item, order in part}
            watch(len(done), len(asked))
    return {key: said for key, said in kept.records.items() if key in wanted}


def evaluate(items: Sequence[Item], said: dict[str, Said], *, seed: int) -> Evaluation:
    """Every measure, of what was said."""
    if not items:
        raise InputError("there is nothing held out to evaluate on")
    captions = [item for item in items if item.kind == "caption"]
    comparisons = [item for item in items if item.kind == "comparison"]
    fits = {d: _fit(captions, said, d, seed) for d in ("mos", *ASPECTS)} if captions else {}
    kinds: dict[Kind, list[Item]] = {"caption": captions, "comparison": comparisons}
    bleu = {kind: _bleu(of, said, seed) for kind, of in kinds.items() if of}
    return Evaluation(
        fits={d: fit for d, fit in fits.items() if d == "mos" or fit.mse.n},
        choices=_choices(comparisons, said, seed) if comparisons else None,
        bleu=bleu,
        references={kind: sum(len(item.references) for item in of) / len(of) for kind, of in kinds.items() if of},
        bleu_signature=_signature(),
        texts=len(said),
        cut=sum(not each.whole for each in said.values()),
        seed=seed,
    )


def _of(said: dict[str, Said], item: Item, order: Order = "straight") -> Said:
    return said[f"{item.id} {order}"]


def _fit(items: Sequence[Item], said: dict[str, Said], dimension: Dimension, seed: int) -> Fit:
    read = [_read(_of(said, item), dimension) for item in items]
    true = [item.example.ratings[0].value(dimension) for item in items]
    origins = [item.example.origins[0] for item in items]
    missing = Counter(value for value in read if isinstance(value, str))
    pairs = [(r, t, o) for r, t, o in zip(read, true, origins, strict=True) if isinstance(r, float) and t is not None]
    x, y = np.array([r for r, _, _ in pairs]), np.array([t for _, t, _ in pairs], dtype=np.float64)
    groups = _numbered([o for _, _, o in pairs])
    bootstrap = Bootstrap(int(groups.max(initial=-1)) + 1, seed)
    errors = (x - y) ** 2
    failed = np.array([isinstance(value, str) for value in read], dtype=np.float64)
    everyone = _numbered(origins)
    return Fit(
        lcc=_measure(pearson(x, y), correlation_interval(bootstrap, groups, x, y), len(x)),
        srcc=_measure(spearman(x, y), rank_correlation_interval(bootstrap, groups, x, y), len(x)),
        mse=_measure(float(errors.mean()) if len(x) else None, ratio_interval(bootstrap, groups, errors), len(x)),
        failures=_measure(
            float(failed.mean()), ratio_interval(Bootstrap(int(everyone.max()) + 1, seed), everyone, failed), len(failed)
        ),
        missing=dict(sorted(missing.items())),
    )


def _read(said: Said, dimension: Dimension) -> float | str:
    """The rating that a text states, or the reason why there is none."""
    if not said.whole:
        return CUT
    if dimension == "mos":
        read = read_rating(said.text)
        return read.reason if read.value is None else read.value
    values = {each.value for each in stated(said.text) if each.of == dimension}
    return values.pop() if len(values) == 1 else "ambiguous" if values else "no number"


def _choices(items: Sequence[Item], said: dict[str, Said], seed: int) -> Choices:
    right, agreed = [], []
    no_choice = 0
    places: Counter[str] = Counter()
    for item in items:
        first, second = item.example.ratings
        better = preferred(first, second, 0.0).winner
        straight, swapped = (each.text if each.whole else "" for each in (_of(said, item), _of(said, item, "swapped")))
        both = both_orders(straight, swapped)
        if better is not None:  # where an overall rating is not known, nobody can be wrong
            right.append(both.choices[0] == better)
        no_choice += both.choices[0] is None
        agreed.append(both.agreed)
        places[both.position_bias] += 1
    return Choices(
        accuracy=_share(right, seed),
        agreed=_share(agreed, seed),
        no_choice=no_choice,
        first_place=places["the one shown first"],
        second_place=places["the one shown second"],
    )


def _share(values: Sequence[bool], seed: int) -> Measure:
    if not values:
        return Measure(None)
    shares = np.array(values, dtype=np.float64)
    interval = ratio_interval(Bootstrap(len(shares), seed), np.arange(len(shares)), shares)
    return _measure(float(shares.mean()), interval, len(shares))


def _bleu(items: Sequence[Item], said: dict[str, Said], seed: int) -> Measure:
    """BLEU of the corpus; a resampled corpus has the counts of its texts."""
    metric = _metric()
    parts = []
    for item in items:
        score = metric.sentence_score(_of(said, item).text, list(item.references))
        parts.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    counts = np.array(parts, dtype=np.float64)
    groups = _numbered([item.example.origins[0] if item.kind == "caption" else item.id for item in items])
    bootstrap = Bootstrap(int(groups.max()) + 1, seed)
    drawn = np.array([[_bleu_of(metric, row)] for row in bootstrap.totals(_grouped(groups, counts))])
    low, high = bootstrap.interval(drawn, np.array([bootstrap.dialogues]))
    return _measure(_bleu_of(metric, counts.sum(axis=0)), (float(low[0]), float(high[0])), len(items))


def _bleu_of(metric: Any, row: Floats) -> float:
    whole = [round(value) for value in row]
    counts, totals, said, asked = whole[:4], whole[4:8], whole[8], whole[9]
    return float(metric.compute_bleu(counts, totals, said, asked, smooth_method=metric.smooth_method).score)


def _metric() -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise MissingDependency("sacrebleu", INSTALL) from None
    metric: Any = BLEU
    # Without this the library remarks on every single sentence, of which we take the counts alone.
    return metric(effective_order=True)


def _signature() -> str:
    """What of BLEU it is, in the form of sacrebleu."""
    import sacrebleu

    return f"nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"


def _numbered(names: Sequence[str]) -> Any:
    """Names as numbers from 0, in the order of their first appearance."""
    places: dict[str, int] = {}
    return np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int64)


def _grouped(groups: Any, values: Floats) -> Floats:
    summed = np.zeros((int(groups.max()) + 1, values.shape[1]))
    np.add.at(summed, groups, values)
    return summed


def _measure(value: float | None, interval: tuple[float, float], n: int) -> Measure:
    if value is None:
        return Measure(None, n=n)
    return Measure(value, number(interval[0]), number(interval[1]), n)
