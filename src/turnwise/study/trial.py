"""One small question to every server of a study, put by the very plug-ins that will ask it in a run.

So a wrong address, a key without rights, a model that is gone, an unknown voice or a schema that is refused shows before the run.
The user's turn is "Hello." or a second of faint noise; the agents are told to answer in one word. Nothing is tried twice.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from turnwise.agents.agent import Around, View
from turnwise.dialogues.dialogue import Turn
from turnwise.endpoints.endpoint import resolved
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import TurnwiseError
from turnwise.foundation.place import place_of
from turnwise.foundation.plugin import naming
from turnwise.judges.judge import Bench, Exchange, Spoken
from turnwise.judges.verdict import Fault
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Listening, Utterance
from turnwise.study.readiness import CATALOGS, Used, parts_of
from turnwise.study.study import Study

PATIENCE = 60.0  # seconds for an answer
NOISE = Sound((np.random.default_rng(1).standard_normal(16000) * 0.01).astype(np.float32), 16000)


class Tried(msgspec.Struct, frozen=True):
    """What became of one question."""

    endpoint: str
    model: str
    by: str  # the plug-in that asked
    seconds: float
    failed: str = ""
    remedy: str = ""


class _Nobody:
    """The parts of an agent that is asked by itself: there are none."""


def try_servers(study: Study, told: Callable[[Tried], None], skipped: Sequence[str] = ()) -> None:
    """Ask once per endpoint, model and plug-in, and tell of each; endpoints in `skipped` are left alone."""
    asking: dict[tuple[str, str, str, str], Used] = {}
    for used in parts_of(study):
        endpoint = _endpoint(used)
        if endpoint and endpoint not in skipped:
            asking.setdefault((endpoint, str(used.options.get("model", "")), used.kind, used.name), used)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_all(study, asking, ClipStore(Path(folder)), told))


def _endpoint(used: Used) -> str:
    """The endpoint that the plug-in is given, or takes where it is given none; "" where it asks no server."""
    catalog = CATALOGS[used.kind]
    with naming(used.kind, used.name):
        if place_of(catalog.build(used.name, used.options)) != "driver":
            return ""
        parameter = inspect.signature(catalog.factory(used.name)).parameters.get("endpoint")
    endpoint = used.options.get("endpoint", parameter.default if parameter is not None else "")
    return endpoint if isinstance(endpoint, str) else ""


async def _all(
    study: Study, asking: dict[tuple[str, str, str, str], Used], clips: ClipStore, told: Callable[[Tried], None]
) -> None:
    once = {}
    for endpoint, *_ in asking:
        known = resolved(endpoint, study.endpoints)
        once[endpoint] = msgspec.structs.replace(known, retries=0, timeout=min(known.timeout, PATIENCE))
    remote = Remote(once)
    try:
        for (endpoint, model, kind, name), used in asking.items():
            began = time.perf_counter()
            failed, remedy = "", ""
            try:
                with naming(kind, name):
                    failed = await _ask(used, clips, remote)
            except TurnwiseError as error:
                failed, remedy = error.message, error.hint
            told(Tried(endpoint, model, f"{kind} {name}", time.perf_counter() - began, failed, remedy))
    finally:
        await remote.close()


async def _ask(used: Used, clips: ClipStore, remote: Remote) -> str:
    """What is wrong with the answer, "" where nothing is."""
    built: Any = CATALOGS[used.kind].build(used.name, used.options)
    clip = clips.keep(NOISE)
    match used.kind:
        case "agent":
            hears = used.user == "audio"
            view = View("trial", 1, "Answer in one word.", (), None if hears else "Hello.", clip if hears else None)
            session = built.reach(Around(clips, remote, _Nobody()))  # type: ignore[arg-type]
            await session.answer(view, seed=1)
        case "synthesizer":
            session = built.reach(remote)
            await session.speak(Utterance("Hello.", 1))
        case "recognizer":
            session = built.reach(remote)
            await session.hear(Listening(NOISE, "", 1))
        case _:
            session = built.reach(Bench(clips, (), remote))
            turns = [Spoken(n, Turn("user", "Hello."), None, None, "Hello, what can I do for you?", "", clip) for n in (1, 2)]
            verdicts = await session.decide(Exchange("trial", "", (), tuple(turns), last=True), seed=1)
            wrong = {verdict.cause: verdict.detail for verdict in verdicts.values() if isinstance(verdict, Fault)}
            await session.close()
            return "; ".join(f"{cause}: {detail}" for cause, detail in wrong.items())
    await session.close()
    return ""
