"""What a call used, what that costs, and whether the run may go on spending.

Servers tell what they used in three families of words: OpenAI's chat, its newer interfaces, and Gemini's. Where a server says
nothing, tokens are taken as a quarter of the characters of the text; sound and pictures, which are long strings of base64, are
left out of that. Attempts that failed without a word about usage cost nothing here: servers seldom charge them.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Price
from turnwise.foundation.errors import RunStopped

CHARACTERS_PER_TOKEN = 4
_ROUNDING = 1e-9  # of a budget: sums of many small prices are not exact
_BASE64 = re.compile(r"(data:[^,]{0,100},)?[A-Za-z0-9+/_-]{200}")  # what no text begins with
_MOST_ASKED = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens")
_WRITTEN = frozenset(  # names under which servers send what a model wrote
    ("arguments", "content", "delta", "output_text", "reasoning", "reasoning_content", "refusal", "text", "transcript")
)


class BudgetSpent(RunStopped):
    """The run may spend no more: not a fault of the cell, which is left for the next run."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.cause = "budget"


def told(answer: Any) -> Usage | None:
    """What the server says in this answer or event that was used; None where it says nothing."""
    if not isinstance(answer, dict):
        return None
    usage = answer.get("usage")
    if usage is None and isinstance(response := answer.get("response"), dict):
        usage = response.get("usage")
    if isinstance(usage, dict):
        return _openai(usage)
    usage = answer.get("usageMetadata")
    return _gemini(usage) if isinstance(usage, dict) else None


def answerer_of(answer: Any) -> str:
    """What the server calls the model that answered: its name and the fingerprint of its system."""
    if not isinstance(answer, dict):
        return ""
    inner = answer.get("response") or answer.get("session")  # of newer interfaces' events
    named = inner if isinstance(inner, dict) and "model" in inner else answer
    names = (named.get("model") or named.get("modelVersion"), named.get("system_fingerprint"))
    told = " ".join(name for name in names if isinstance(name, str) and name)
    return told.encode("utf-8", "replace").decode()  # it is recorded, which half a character cannot be


def _openai(usage: Mapping[str, Any]) -> Usage:
    given = _count(usage.get("prompt_tokens")) or _count(usage.get("input_tokens"))
    made = _count(usage.get("completion_tokens")) or _count(usage.get("output_tokens"))
    heard = _within(usage, "prompt_tokens_details", "input_token_details", "input_tokens_details")
    said = _within(usage, "completion_tokens_details", "output_token_details", "output_tokens_details")
    seconds = usage.get("seconds")
    return Usage(
        input=max(0, given - heard),
        output=max(0, made - said),
        audio_input=heard,
        audio_output=said,
        seconds=float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 0.0,
    )


def _gemini(usage: Mapping[str, Any]) -> Usage:
    given = _count(usage.get("promptTokenCount")) + _count(usage.get("toolUsePromptTokenCount"))
    made = _count(usage.get("candidatesTokenCount")) or _count(usage.get("responseTokenCount"))
    heard = _audio(usage.get("promptTokensDetails"))
    said = _audio(usage.get("candidatesTokensDetails") or usage.get("responseTokensDetails"))
    thought = _count(usage.get("thoughtsTokenCount"))
    return Usage(max(0, given - heard), max(0, made - said) + thought, heard, said)


def _within(usage: Mapping[str, Any], *names: str) -> int:
    """Tokens of audio in the first of these details that is there."""
    for name in names:
        if isinstance(details := usage.get(name), dict):
            return _count(details.get("audio_tokens"))
    return 0


def _audio(details: Any) -> int:
    listed = details if isinstance(details, list) else ()
    return sum(_count(one.get("tokenCount")) for one in listed if isinstance(one, dict) and one.get("modality") == "AUDIO")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def added(one: Usage, other: Usage) -> Usage:
    """Both together."""
    return Usage(
        one.input + other.input,
        one.output + other.output,
        one.audio_input + other.audio_input,
        one.audio_output + other.audio_output,
        one.seconds + other.seconds,
        one.characters + other.characters,
    )


def expected(body: Mapping[str, Any]) -> Usage:
    """What a request will use at most, as far as it says: its text, and the tokens it allows for the answer."""
    asked = 0
    for place in (body, body.get("generationConfig")):
        if isinstance(place, Mapping):
            asked = max([asked, *(_count(place.get(name)) for name in _MOST_ASKED)])
    return Usage(input=tokens_of(sent_length(body)), output=asked)


def sent_length(value: Any) -> int:
    """Characters of text in a request."""
    return sum(map(len, _texts(value)))


def written_length(value: Any) -> int:
    """Characters that a model wrote, in an answer or one event of it."""
    return sum(map(len, _texts(value, _WRITTEN)))


def tokens_of(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def _texts(value: Any, names: frozenset[str] | None = None, named: bool = True) -> Iterator[str]:
    """Strings that are text; with `names`, only those directly under one of them."""
    if isinstance(value, str):
        if named and not (len(value) >= 200 and _BASE64.match(value)):
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, names, names is None or name in names)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, names, named)


def cost(usage: Usage, price: Price) -> float:
    """In the currency of the prices."""
    audio_input = price.input if price.audio_input is None else price.audio_input
    audio_output = price.output if price.audio_output is None else price.audio_output
    by_token = (
        usage.input * price.input
        + usage.output * price.output
        + usage.audio_input * audio_input
        + usage.audio_output * audio_output
    )
    return by_token / 1e6 + usage.seconds / 60 * price.minute + usage.characters / 1e6 * price.character


class _Hold(NamedTuple):
    """What is put aside for a call under way."""

    kind: Hashable
    told: float  # as the request says
    expected: float  # with what calls of its kind cost beyond that


class Purse:
    """What the run has spent, what is held for calls under way, and the most it may come to.

    A call says what it will cost, as far as that can be known: what it sends, and the longest answer it allows. Calls of a kind
    that have cost more than that are expected to go on so. Until one of a kind has ended nothing is known of it, and no other
    such call is sent meanwhile; then no more of it are under way at a time than have ended. Calls go side by side only while the
    budget would last if all of them cost twice as much as expected; near its end they go one by one. So what is spent passes the
    budget by no more than what one call costs beyond expectation, unless many at the same time cost more than twice of what any
    before them did.
    """

    def __init__(self, budget: float | None, spent: float) -> None:
        self.budget = budget
        self.spent = spent
        self._refused = False
        self._held: dict[int, _Hold] = {}
        self._beyond: dict[Hashable, float] = {}  # by kind: the most that a call has cost beyond what it said
        self._ended: Counter[Hashable] = Counter()  # calls by kind
        self._waiting: list[asyncio.Future[None]] = []
        self._next = 0

    @property
    def exhausted(self) -> bool:
        return self._refused or (self.budget is not None and self.spent >= self.budget * (1 - _ROUNDING))

    def expected(self, amount: float, kind: Hashable = "") -> float:
        """What a call will cost that says it will cost so much."""
        return amount + self._beyond.get(kind, 0.0)

    async def hold(self, amount: float, kind: Hashable = "") -> int:
        """Put so much aside for a call; it is settled by the number given. Where only what is held for others stands in the
        way, wait for them: most calls cost less than was held.
        """
        expected = amount
        if self.budget is not None:
            while True:
                expected = self.expected(amount, kind)
                if self.spent >= self.budget * (1 - _ROUNDING) or self.spent + expected > self.budget * (1 + _ROUNDING):
                    self._refused = True
                    raise BudgetSpent(
                        f"the budget of {self.budget:g} is spent: {self.spent:.6g} so far, and {expected:.2g} for the next call"
                    )
                if not self._held or self._room_beside(expected, kind):
                    break
                settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(settled)
                await settled
        self._next += 1
        self._held[self._next] = _Hold(kind, amount, expected)
        return self._next

    def settle(self, number: int, amount: float, *, ended: bool = True) -> None:
        """What the call really cost; `ended` says whether it came to its end, so that others of its kind can be judged by it."""
        hold = self._held.pop(number)
        self.spent += amount
        if ended or amount > 0:
            self._ended[hold.kind] += 1
            self._beyond[hold.kind] = max(self._beyond.get(hold.kind, 0.0), amount - hold.told)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _room_beside(self, expected: float, kind: Hashable) -> bool:
        """Whether a call may go beside those under way."""
        assert self.budget is not None  # it is asked only where there is one
        holds = self._held.values()
        if kind not in self._ended:
            known = all(hold.kind in self._ended for hold in holds)
        else:
            known = sum(hold.kind == kind for hold in holds) < self._ended[kind]
        return known and self.spent + 2 * (sum(hold.expected for hold in holds) + expected) <= self.budget
