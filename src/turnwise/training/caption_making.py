"""Training items from rated speech: a describer writes about the ratings, and what contradicts them is left out.

Captions are written in one or more samplings (temperature and top_p) of the same describer; comparisons are of two sounds of
one side of the split whose overall ratings differ by more than `tie`, and half of them, drawn by the seed, show the better one
first. A text is checked against its ratings (`listening/faithfulness.py`). One that contradicts them is written again with
another seed, and after `tries` it is set down as refused, with what it said: refused items are counted, never trained on.

Everything that was settled is a line of `<examples>.made.jsonl`: running again does what is missing and asks nothing twice. An
item whose describer failed is not settled, and is tried again by the next run. When all is done the accepted items are written
to the examples file, in an order that depends on the recipe alone.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio_files import read_sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import fingerprint, seed_of
from turnwise.foundation.place import place_of
from turnwise.foundation.whole_file import write_whole
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.faithfulness import check, check_comparison
from turnwise.listening.preference import preferred
from turnwise.listening.sound_questions import QUESTIONS, Kind
from turnwise.training.example_file import Example, Split, begun_elsewhere, held_apart, split_of
from turnwise.training.growing_file import GrowingFile
from turnwise.training.nisqa_corpus import Row, read_corpus
from turnwise.training.recipe import VARIANTS, Recipe

_DRAWS_PER_PAIR = 1000  # pairs tried for each one wanted, before the corpus is said to be too small


class Task(msgspec.Struct, frozen=True):
    """One text to be written."""

    id: str
    kind: Kind
    split: Split
    variant: str
    rows: tuple[Row, ...]
    writer: str  # fingerprint of the describer

    @property
    def sounds(self) -> tuple[str, ...]:
        return tuple(str(row.path.resolve()) for row in self.rows)

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(row.origin for row in self.rows)


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a task: an answer, or what was wrong with the last try."""

    id: str
    answer: str = ""
    refused: tuple[str, ...] = ()
    tries: int = 1


class Making(msgspec.Struct, frozen=True):
    """How a making of data ended."""

    written: int  # items in the examples file
    by_kind: dict[str, int]  # "train caption", ...
    refused: int
    failed: dict[str, int]  # by cause; to be tried again


def make_examples(recipe: Recipe, watch: Callable[[int, int], None] = lambda done, of: None) -> Making:
    """Write what is missing, then the examples file. `watch` is told how many tasks are done, and of how many."""
    tasks = tuple(plan(recipe))
    path = Path(recipe.data.examples)
    begun_elsewhere(path)
    held_apart(tasks, str(path))  # before anything is asked for
    made = GrowingFile(path.with_name(path.name.removesuffix(".jsonl") + ".made.jsonl"), Made, lambda record: record.id)
    failed = asyncio.run(_write_all(recipe, [task for task in tasks if task.id not in made], made, watch, len(tasks)))
    examples = [_example(task, made.records[task.id], path) for task in tasks if task.id in made and made.records[task.id].answer]
    if not examples:
        raise InputError(f"{path}: no text could be used", f"{_causes(failed) or 'all contradicted their ratings'}")
    encode = msgspec.json.Encoder().encode
    write_whole(path, b"".join(encode(example) + b"\n" for example in examples))
    by_kind = Counter(f"{example.split} {example.kind}" for example in examples)
    refused = sum(1 for task in tasks if task.id in made and made.records[task.id].refused)
    return Making(len(examples), dict(sorted(by_kind.items())), refused, dict(failed))


def plan(recipe: Recipe) -> Iterator[Task]:
    """Every text that the recipe asks for, in its order; the same recipe and corpus give the same plan."""
    data = recipe.data
    if not data.corpus:
        raise InputError("data.corpus is not given", "name the folder of the NISQA corpus")
    sides: dict[Split, list[Row]] = {"train": [], "validation": []}
    for row in read_corpus(Path(data.corpus), data.train):
        sides["train" if data.validation else split_of(row.origin, share=data.held_out, seed=recipe.seed)].append(row)
    if data.validation:
        sides["validation"] += read_corpus(Path(data.corpus), data.validation)
    writers = {variant: DESCRIBERS.identity(data.describer, _options(recipe, variant)) for variant in data.variants}
    for split, rows in sides.items():
        if not rows:
            raise InputError(f"data: the {split} side of the split is empty", "name more parts, or another held_out")
        drawn = _drawn(rows, data.captions, Random(seed_of("captions", recipe.seed, split)))
        for variant in data.variants:
            yield from (_task("caption", split, variant, (row,), writers[variant]) for row in drawn)
        wanted = data.comparisons if split == "train" else data.validation_comparisons
        for pair in _pairs(rows, wanted, data.tie, Random(seed_of("comparisons", recipe.seed, split)), split):
            yield _task("comparison", split, data.variants[0], pair, writers[data.variants[0]])


def _task(kind: Kind, split: Split, variant: str, rows: tuple[Row, ...], writer: str) -> Task:
    told = (value for row in rows for value in (f"{row.part}/{row.path.name}", *msgspec.structs.astuple(row.ratings)[:5]))
    return Task(fingerprint(kind, variant, writer, *told), kind, split, variant, rows, writer)


def _drawn(rows: Sequence[Row], number: int | None, draw: Random) -> list[Row]:
    if number is None or number >= len(rows):
        return list(rows)
    return [rows[place] for place in sorted(draw.sample(range(len(rows)), number))]


def _pairs(rows: Sequence[Row], number: int, tie: float, draw: Random, split: str) -> Iterator[tuple[Row, Row]]:
    """Pairs of different sounds, each once, which the ratings tell apart; either order is as likely."""
    seen: set[frozenset[int]] = set()
    most = len(rows) * (len(rows) - 1) // 2
    if number > most:
        raise InputError(f"data: the {split} side has {len(rows)} sounds and so {most} pairs, {number} comparisons are asked for")
    for _ in range(number * _DRAWS_PER_PAIR):
        if len(seen) == number:
            return
        a, b = draw.randrange(len(rows)), draw.randrange(len(rows))
        if a == b or frozenset((a, b)) in seen:
            continue
        if preferred(rows[a].ratings, rows[b].ratings, tie).winner in ("first", "second"):
            seen.add(frozenset((a, b)))
            yield rows[a], rows[b]
    if len(seen) < number:
        raise InputError(f"data: the {split} side has too few pairs that differ by more than {tie:g}: {len(seen)} of {number}")


def _options(recipe: Recipe, variant: str) -> dict[str, Any]:
    """The describer's options for a sampling; a describer that draws nothing has the first sampling alone."""
    data = recipe.data
    parameters = inspect.signature(DESCRIBERS.factory(data.describer)).parameters
    if {"temperature", "top_p"} <= parameters.keys():
        temperature, top_p = VARIANTS[variant]
        return {**data.options, "temperature": temperature, "top_p": top_p}
    if len(data.variants) > 1:
        raise InputError(
            f"data.variants: the describer {data.describer!r} has no temperature and top_p, so that its samplings would be one",
            'variants = ["base"]',
        )
    return dict(data.options)


async def _write_all(
    recipe: Recipe, tasks: Sequence[Task], made: GrowingFile[Made], watch: Callable[[int, int], None], total: int
) -> Counter[str]:
    """Every task once: those of a server many at a time, within its limits, others one after the other."""
    failed: Counter[str] = Counter()
    remote = Remote(recipe.data.endpoints)
    writers: dict[str, Any] = {}
    at_once = asyncio.Semaphore(256)  # tasks in hand; the endpoint's own limits decide how many are asked

    async def settle(task: Task) -> None:
        async with at_once:
            try:
                made.add(await _settled(recipe, task, writers[task.variant]))
            except EngineError as error:
                failed[error.cause] += 1
        watch(len(made.records) + sum(failed.values()), total)

    watch(total - len(tasks), total)
    try:
        remote_ones = []
        for variant in dict.fromkeys(task.variant for task in tasks):
            built = DESCRIBERS.build(recipe.data.describer, _options(recipe, variant))
            is_remote = place_of(built) == "driver"
            writers[variant] = built.reach(remote) if is_remote else built.open()
            mine = [task for task in tasks if task.variant == variant]
            if is_remote:
                remote_ones += mine
                continue
            for task in mine:
                await settle(task)
            writers.pop(variant).close()
        async with asyncio.TaskGroup() as group:
            for task in remote_ones:
                group.create_task(settle(task))
    except* InputError as errors:
        raise _first(errors) from None
    finally:
        for writer in writers.values():
            closing = writer.close()
            if inspect.isawaitable(closing):
                await closing
        await remote.close()
    return failed


def _first(errors: BaseExceptionGroup[InputError]) -> InputError:
    """What is for the user to mend, once."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _settled(recipe: Recipe, task: Task, writer: Any) -> Made:
    """A text that agrees with its ratings, or after all tries what the last one said against them."""
    wrong: tuple[str, ...] = ()
    for number in range(1, recipe.data.tries + 1):
        text = await _text(task, writer, seed_of("text", recipe.seed, task.id, number))
        wrong = _contradictions(task, text)
        if not wrong:
            return Made(task.id, answer=text, tries=number)
    return Made(task.id, refused=wrong, tries=recipe.data.tries)


async def _text(task: Task, writer: Any, seed: int) -> str:
    sounds = [read_sound(row.path) for row in task.rows] if getattr(writer, "listens", False) else []
    ratings = [row.ratings for row in task.rows]
    if task.kind == "caption":
        told = writer.describe(ratings[0], sounds[0] if sounds else None, seed=seed)
    else:
        told = writer.compare(ratings[0], ratings[1], tuple(sounds) or None, seed=seed)
    text: str = (await told if inspect.isawaitable(told) else told).strip()
    if not text:
        raise EngineError("empty-answer", "the describer wrote nothing")
    return text


def _contradictions(task: Task, text: str) -> tuple[str, ...]:
    if task.kind == "comparison":
        first, second = (row.ratings for row in task.rows)
        return tuple(str(wrong) for wrong in check_comparison(text, first, second))
    found = check(text, task.rows[0].ratings)
    wrong = [str(each) for each in found.contradictions]
    if found.rating.value is None:
        wrong.append(f"states no overall rating: {found.rating.reason}")
    return tuple(wrong)


def _example(task: Task, made: Made, path: Path) -> Example:
    return Example(
        id=task.id,
        kind=task.kind,
        split=task.split,
        sounds=task.sounds,
        origins=task.origins,
        ratings=tuple(row.ratings for row in task.rows),
        question=QUESTIONS[task.kind],
        answer=made.answer,
        variant=task.variant,
        writer=task.writer,
    )


def _causes(failed: Counter[str]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in sorted(failed.items()))
