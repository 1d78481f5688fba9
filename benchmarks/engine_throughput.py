"""What batches are worth: a recogniser, a voice and a chat mind given many things at once, against one thing at a time.

    python benchmarks/engine_throughput.py [--items 16] [--batch 8] [--rounds 3] [--threads 1] [--json]
    python benchmarks/engine_throughput.py --device cuda --whisper openai/whisper-large-v3 --csm sesame/csm-1b

Measured are `whisper`, `csm` and `local_chat` as a study uses them, weights loaded before. The two ways take turns, and the first
of every other round is the other one; the ratio is the median over the rounds of the time one by one divided by the time in
batches. Nothing is won by doing something else: how many results are the same in both ways is told beside it.

Without a folder or hub id an engine has tiny random weights, built by `tests/tiny_models.py`. Their ratio says what batches save
in calls and bookkeeping, and little of real models, whose arithmetic weighs more and whose answers differ in length. With
`--whisper`, `--csm` or `--chat` (folders, or ids of the hub in its cache) only the engines named are measured. Needs the local
extra: without it nothing is measured, and that is said. Last line: a JSON object.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from made_study import made_dialogues

from turnwise.agents.agent import AGENTS, Asked, Past, Surroundings, View
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS, Listening, Material, Utterance

TEXTS = (
    "what kind of food would you like",
    "i can book a table for two near the harbor",
    "your flight leaves on monday morning and the seat is by the window",
    "certainly which part of town do you prefer and for how many people",
    "there are three hotels in the centre and the cheapest of them has breakfast included",
    "the film starts at eight",
    "have you ever been to the old theatre on the river",
    "you asked me for a quiet place with a garden and i have found two of them for you",
)
CAVEAT = "random tiny weights: the ratio shows what batches save in calls and bookkeeping, and says little of real models"


class Contest(NamedTuple):
    """The same items done in two ways."""

    name: str
    unit: str
    weights: str
    items: Sequence[Any]
    single: Callable[[Any], Any]
    together: Callable[[Sequence[Any]], Sequence[Any]]
    same: Callable[[Any, Any], bool]
    close: Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--whisper", help="folder or hub id of a Whisper")
    parser.add_argument("--csm", help="folder or hub id of a CSM")
    parser.add_argument("--chat", help="folder or hub id of a chat model")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or auto")
    parser.add_argument("--items", type=int, default=16, help="sounds, utterances and turns")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU; 0 for as many as it takes")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    options = parser.parse_args()
    lacking = [package for package in ("torch", "transformers") if importlib.util.find_spec(package) is None]
    if lacking:
        print(f'left out, {" and ".join(lacking)} not installed: pip install "turnwise[local]"')
        print(json.dumps({"left_out": f"needs {', '.join(lacking)}"}))
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    say: Callable[[str], None] = (lambda line: None) if options.json else print
    result: dict[str, Any] = {
        "device": options.device, "torch_threads": torch.get_num_threads(), "items": options.items, "batch": options.batch,
    }  # fmt: skip
    say(f"torch {torch.__version__} on {options.device} with {result['torch_threads']} threads, batches of {options.batch}")
    given = {"whisper": options.whisper, "csm": options.csm, "chat": options.chat}
    chosen = [name for name in given if given[name]] or list(given)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            try:
                contest = CONTESTS[name](given[name], options, Path(folder))
            except InputError as error:
                parser.error(str(error))
            try:
                result |= outcome(contest, options, say)
            finally:
                contest.close()
    if not any(given.values()):
        say(CAVEAT)
        result["caveat"] = CAVEAT
    print(json.dumps(result))


def outcome(contest: Contest, options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Both ways, in turn."""
    pieces = [contest.items[start : start + options.batch] for start in range(0, len(contest.items), options.batch)]
    ways: dict[str, Callable[[], list[Any]]] = {
        "single": lambda: [contest.single(item) for item in contest.items],
        "together": lambda: [made for piece in pieces for made in contest.together(piece)],
    }
    contest.single(contest.items[0])  # the first of each way is the slowest and does not count
    contest.together(pieces[0])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    made: dict[str, list[Any]] = {}
    for number in range(options.rounds):
        for name in ways if number % 2 == 0 else reversed(ways):
            started = time.perf_counter()
            made[name] = ways[name]()
            seconds[name].append(time.perf_counter() - started)
    same = sum(map(contest.same, made["single"], made["together"]))
    count = len(contest.items)
    speed = {name: count / statistics.median(each) for name, each in seconds.items()}
    ratio = statistics.median(a / b for a, b in zip(seconds["single"], seconds["together"], strict=True))
    say(
        f"{contest.name:10} {speed['single']:6.2f} {contest.unit}/s one by one, {speed['together']:6.2f} in batches: "
        f"{ratio:.2f} times as fast, {same} of {count} results the same ({contest.weights})"
    )
    return {
        f"{contest.name}_weights": contest.weights,
        f"{contest.name}_single_per_second": round(speed["single"], 3),
        f"{contest.name}_batched_per_second": round(speed["together"], 3),
        f"{contest.name}_ratio_batched_to_single": round(ratio, 2),
        f"{contest.name}_same_results": f"{same} of {count}",
    }


def hearing(given: str | None, options: argparse.Namespace, folder: Path) -> Contest:
    # Random weights write nonsense, all of which would be heard again, one by one.
    settings = {"fallback": []} if given is None else {}
    model = given or str(tiny("whisper", folder))
    kind, sounds = spoken(options.items)
    built = RECOGNIZERS.build("whisper", {"model": model, "device": options.device, "batch": options.batch, **settings})
    ears = built.open(Material())
    return Contest(
        "whisper",
        "sounds",
        f"{given or 'random, tiny'}; sounds: {kind}",
        [Listening(sound, "", seed) for seed, sound in enumerate(sounds)],
        lambda one: ears.hear(one.sound, dialogue=one.dialogue, seed=one.seed).text,
        lambda some: [heard.text for heard in ears.hear_many(some)],
        lambda one, other: bool(one == other),
        ears.close,
    )


def speaking(given: str | None, options: argparse.Namespace, folder: Path) -> Contest:
    model = given or str(tiny("csm", folder))
    settings = {"model": model, "device": options.device, "batch": options.batch, "most_seconds": 10.0 if given else 2.0}
    voice = SYNTHESIZERS.build("csm", settings).open()
    return Contest(
        "csm",
        "utterances",
        given or "random, tiny; 2 s at most",
        [Utterance(TEXTS[number % len(TEXTS)], seed=number) for number in range(options.items)],
        lambda one: voice.speak(one.text, seed=one.seed),
        voice.speak_many,
        alike,
        voice.close,
    )


def answering(given: str | None, options: argparse.Namespace, folder: Path) -> Contest:
    model = given or str(tiny("chat", folder))
    settings = {"model": model, "device": options.device, "batch": options.batch, "most_tokens": 128 if given else 32}
    mind = AGENTS.build("local_chat", settings).open(Surroundings(ClipStore(folder / "clips"), Material()))
    return Contest(
        "local_chat",
        "turns",
        f"{given or 'random, tiny'}; {settings['most_tokens']} tokens at most",
        [Asked(view, seed) for seed, view in enumerate(views(options.items))],
        lambda one: mind.answer(one.view, seed=one.seed).text,
        lambda some: [reply.text for reply in mind.answer_many(some)],
        lambda one, other: bool(one == other),
        mind.close,
    )


CONTESTS = {"whisper": hearing, "csm": speaking, "chat": answering}


def builders() -> Any:
    """The module of the tests that builds tiny models."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import tiny_models

    return tiny_models


def tiny(name: str, folder: Path) -> Path:
    """A checkpoint with random weights."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # The chat mind reads bytes, so its conversations need more positions than those of the tests.
    made: Path = getattr(builders(), name)(folder / name, **({"limit": 2048} if name == "chat" else {}))
    return made


def spoken(count: int) -> tuple[str, list[Sound]]:
    """Sentences of 2 to 6 s, or tones where no voice is installed."""
    try:
        voice = SYNTHESIZERS.build("espeak").open()
    except MissingDependency:
        tone = builders().tone
        return "tones", [tone(2.0 + number % 5, seed=number) for number in range(count)]
    try:
        return "espeak", [voice.speak(TEXTS[number % len(TEXTS)], seed=1) for number in range(count)]
    finally:
        voice.close()


def views(count: int) -> list[View]:
    """Turns of conversations with two to four rounds behind them."""
    made = []
    for number, dialogue in enumerate(made_dialogues(count, 5)):
        *past, now = dialogue.turns[: 2 * (2 + number % 3) + 1]
        shown = tuple(Past(turn.speaker, turn.text) for turn in past)
        made.append(View(dialogue.id, len(past) // 2 + 1, "You are a helpful assistant.", shown, now.text, None))
    return made


def alike(one: Sound, other: Sound) -> bool:
    """Sounds that nobody could tell apart: sums are rounded otherwise in a batch."""
    return len(one.samples) == len(other.samples) and float(abs(one.samples - other.samples).max()) < 1e-3


if __name__ == "__main__":
    main()
