"""Judges that ask a model, put to a real server of this machine that says what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from servers.chat_server import Answering, ChatServer, Given, Request
from turnwise.dialogues.dialogue import Turn
from turnwise.endpoints.calls import Call, recording
from turnwise.endpoints.remote import Remote
from turnwise.judges.judge import JUDGES, Bench, Exchange, Judge, Spoken
from turnwise.judges.verdict import Verdict
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

NOWHERE = Path("no clips")
SEED = (5 << 31) + 7


def in_turn(*answers: str | Given) -> Answering:
    """One answer after the other, the last again and again."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def exchange(
    *said: tuple[str, str],
    opening: Sequence[str] = (),
    heard: Sequence[str | None] = (),
    clips: Sequence[Clip | None] = (),
    last: bool = False,
) -> Exchange:
    """Rounds of a user's words and the agent's."""
    rounds = tuple(
        Spoken(
            number=n,
            user=Turn("user", user),
            user_clip=None,
            user_heard=heard[n - 1] if heard else None,
            agent=agent,
            agent_text=f"own text of {agent}",
            agent_clip=clips[n - 1] if clips else None,
        )
        for n, (user, agent) in enumerate(said, start=1)
    )
    return Exchange("d-1", "FindMovie", tuple(Turn("agent", words) for words in opening), rounds, last=last)


def decided(
    server: ChatServer, judge: Judge | str, given: Exchange, clips: Path = NOWHERE, **options: Any
) -> tuple[Mapping[str, Verdict], list[Call]]:
    """The verdicts of a judge that asks this server, and the calls it made."""
    built: Judge = JUDGES.build(judge, {"model": "m", "endpoint": "it", **options}) if isinstance(judge, str) else judge
    assert built.reach is not None
    reach = built.reach

    async def decide() -> Mapping[str, Verdict]:
        remote = Remote({"it": server.endpoint()})
        sitting = reach(Bench(ClipStore(clips), remote=remote))
        try:
            return await sitting.decide(given, seed=SEED)
        finally:
            await sitting.close()
            await remote.close()

    with recording() as calls:
        verdicts = asyncio.run(decide())
    return verdicts, calls


def texts(request: Request) -> list[tuple[str, ...]]:
    """What was sent, turn by turn, without the word that says it is text."""
    return [(turn[0], *(part.removeprefix("text: ") for part in turn[1:])) for turn in request.turns]
