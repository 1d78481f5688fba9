"""A proxy for tests that stands before an honest server and lets misfortunes befall its requests, by seed.

    chaos = Chaos()
    with chatting("openai", answer) as server, disturbed(chaos, it=server) as proxy:
        study(... proxy.endpoint("it") ...)            # an honest server so far
        chaos.seed = 7                                 # from now on misfortunes befall it
        chaos.deeds                                    # which befell whom
        chaos.seed = None                              # healed

What befalls a request is drawn from the seed and from what the request is: its content, and how often that content was seen
under this seed. Order, time and concurrency change nothing. Most requests suffer a few passing misfortunes and are then answered;
some suffer a lasting one as often as they come, also when the question is put again with a remark on the answer; some answers
arrive changed in ways that should do no harm. Whatever a study asks should come through the first and the last unchanged, and
be a fault of a known cause after the second.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from local_server import served
from servers.chat_server import ChatServer, Request, understood
from servers.misfortunes import ALOUD, HARMLESS, HEARING, JUDGE, LASTING, MUTE, PASSING, SPEECH, WORDS, Misfortune
from servers.speech_server import SpeechServer
from servers.wire import Honest, Wire
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.sound_bytes import from_bytes
from turnwise.foundation.fingerprint import canonical, digest, fingerprint, seed_of

MUTE_MODEL = "mute"  # the name of a model that is known to say nothing


@dataclass(frozen=True)
class Asked:
    """A request as its content has it: no address, no header, no boundary."""

    sort: str
    body: dict[str, Any]  # of a form its fields
    words: str  # of the last turn, of the question put to a judge, to be spoken, or to be heard
    content: str  # its name
    subject: str  # the name of what it is about: the same when a judge's question is put again


@dataclass(frozen=True)
class Deed:
    """One misfortune that befell a request."""

    seed: int
    misfortune: Misfortune
    asked: Asked
    lasting: bool


@dataclass
class Chaos:
    """What befalls whom, and what befell them."""

    seed: int | None = None  # None: nothing befalls anybody
    lasting: float = 0.04  # share of contents that a lasting misfortune strikes
    most: int = 4  # passing misfortunes of one content at most
    chosen: Callable[[Asked], Misfortune | None] | None = None  # in place of the seed: what befalls each
    times: float = math.inf  # what is chosen befalls each content so often
    deeds: list[Deed] = field(default_factory=list)
    met: list[Asked] = field(default_factory=list)  # every request, in the order of arrival
    answered: list[Asked] = field(default_factory=list)  # those that were given what they had asked for
    _seen: Counter[tuple[int | None, str]] = field(default_factory=Counter)

    def choose(self, chosen: Callable[[Asked], Misfortune | None] | None, times: float = math.inf) -> None:
        """From now on this; what was done so far is forgotten."""
        self.chosen, self.times = chosen, times
        self._seen.clear()
        for told in (self.deeds, self.met, self.answered):
            told.clear()

    def next(self, asked: Asked) -> Misfortune | None:
        """What befalls a request that has just come; None where it is left alone."""
        self.met.append(asked)
        found, lasting = None, False
        count = self._seen[self.seed, asked.content]
        self._seen[self.seed, asked.content] += 1
        if self.chosen is not None:
            found, lasting = (self.chosen(asked) if count < self.times else None), math.isinf(self.times)
        elif self.seed is not None:
            found, lasting = self._drawn(self.seed, asked, count)
        if found is not None:
            self.deeds.append(Deed(self.seed or 0, found, asked, lasting))
        if found is None or found in HARMLESS:
            self.answered.append(asked)
        return found

    def _drawn(self, seed: int, asked: Asked, count: int) -> tuple[Misfortune | None, bool]:
        chance = random.Random(seed_of("chaos", seed, asked.subject))
        if chance.random() < self.lasting:
            return _one_of(PASSING if chance.random() < 0.5 else LASTING, asked.sort, chance), True
        passing = [_one_of(PASSING, asked.sort, chance) for _ in range(chance.randint(0, self.most))]
        if count < len(passing):
            return passing[count], False
        return (_one_of(HARMLESS, asked.sort, chance) if chance.random() < 0.5 else None), False


def _one_of(kinds: tuple[Misfortune, ...], sort: str, chance: random.Random) -> Misfortune | None:
    fitting = [kind for kind in kinds if sort in kind.sorts]
    return chance.choices(fitting, [kind.weight for kind in fitting])[0] if fitting else None


@dataclass
class Proxy:
    """Where the misfortunes happen: one address before several servers, each under its name."""

    servers: Mapping[str, ChatServer | SpeechServer]
    chaos: Chaos
    url: str = ""
    _honest: dict[tuple[str, str], Honest] = field(default_factory=dict)  # by server and content: the same is answered the same

    def endpoint(self, name: str, **more: Any) -> Endpoint:
        """How the study declares one of the servers."""
        honest = self.servers[name].endpoint(**more)
        base = honest.url.removeprefix(self.servers[name].url)
        return msgspec.structs.replace(honest, url=f"{self.url}/{name}{base}")

    @property
    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/{server}/{path:.*}", self._meet)
        app.cleanup_ctx.append(self._open)
        return app

    async def _open(self, app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as self._session:
            yield

    async def _meet(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        asked = asked_of(request, data)

        async def ask() -> Honest:
            place = request.match_info["server"], asked.content
            if place not in self._honest:
                headers = {name: request.headers[name] for name in ("Content-Type", "Authorization") if name in request.headers}
                url = f"{self.servers[place[0]].url}/{request.match_info['path']}"
                async with self._session.post(url, data=data, headers=headers) as answer:
                    self._honest[place] = Honest(answer.status, answer.content_type, await answer.read())
            return self._honest[place]

        misfortune = self.chaos.next(asked)
        if misfortune is None:
            honest = await ask()
            return web.Response(body=honest.data, status=honest.status, content_type=honest.kind)
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return await misfortune.act(Wire(request, key, ask))


@contextmanager
def disturbed(chaos: Chaos, **servers: ChatServer | SpeechServer) -> Iterator[Proxy]:
    """A proxy before these servers, until the block is left."""
    proxy = Proxy(servers, chaos)
    with served(proxy.app) as at:
        proxy.url = at.url
        yield proxy


def asked_of(request: web.Request, data: bytes) -> Asked:
    if request.path.endswith("audio/transcriptions"):
        _, _, boundary = request.headers["Content-Type"].partition("boundary=")
        content = digest(data.replace(boundary.encode(), b""))
        return Asked(HEARING, {}, understood(from_bytes(_wav(data)).sound), content, content)
    body = json.loads(data)
    content = digest(canonical(body).encode())
    if request.path.endswith("audio/speech"):
        return Asked(SPEECH, body, body["input"], content, content)
    if "response_format" in body:
        system, user = (message["content"] for message in body["messages"][:2])
        question = user if isinstance(user, str) else user[0]["text"]
        return Asked(JUDGE, body, question, content, fingerprint(body["model"], body["seed"], system, question))
    sort = WORDS if "audio" not in body.get("modalities", ()) else MUTE if body["model"] == MUTE_MODEL else ALOUD
    return Asked(sort, body, Request(request.path, {}, body).said, content, content)


def _wav(form: bytes) -> bytes:
    """The only file of a form."""
    start = form.index(b"RIFF")
    return form[start : start + 8 + struct.unpack_from("<I", form, start + 4)[0]]
