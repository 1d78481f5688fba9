"""Agents of the driver in tests: the study's own hands, without processes, so that parts are found and done as in a run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from turnwise.agents.agent import Around, Reply, View
from turnwise.endpoints.remote import Remote
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material
from turnwise.study.hands import Hands
from turnwise.study.pool import InProcess
from turnwise.study.worker import Kit


class AtHand:
    """What an agent of the driver is given, in a folder."""

    def __init__(self, folder: Path, *, corpus: Any = (), remote: Remote | None = None) -> None:
        self.clips = ClipStore(folder / "clips")
        kit = Kit(str(folder / "clips"), Material(digest="m"), tuple(corpus), {})
        self.pool = InProcess(kit)
        self.remote = remote or Remote()
        self.hands = Hands(kit, self.pool, self.remote)
        self.around = Around(self.clips, self.remote, self.hands)

    def answer(self, agent: Any, view: View, *, seed: int = 1) -> Reply:
        """One turn on an event loop of its own."""

        async def work() -> Reply:
            session = agent.reach(self.around)
            try:
                reply: Reply = await session.answer(view, seed=seed)
            finally:
                await session.close()
                await self.hands.close()
                await self.remote.close()
            return reply

        return asyncio.run(work())
