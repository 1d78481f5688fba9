"""What calls used and cost, and the budget that stops them."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest

from scripted import Seen, Told, asked, scripted
from turnwise.endpoints.calls import Usage
from turnwise.endpoints.endpoint import Price
from turnwise.endpoints.remote import BudgetSpent, Line
from turnwise.endpoints.spending import Purse, added, answerer_of, cost, expected, sent_length, told, written_length
from turnwise.foundation.errors import InputError, RunStopped


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}}, Usage(10, 4)),
        (
            {
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 50,
                    "prompt_tokens_details": {"audio_tokens": 80, "cached_tokens": 0},
                    "completion_tokens_details": {"audio_tokens": 30, "reasoning_tokens": 5},
                }
            },
            Usage(20, 20, 80, 30),
        ),
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 0, "prompt_tokens_details": None}}, Usage(3)),  # vLLM
        ({"usage": {"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}}, Usage(9, 2)),
        (  # a Realtime event
            {
                "type": "response.done",
                "response": {
                    "usage": {
                        "input_tokens": 90,
                        "output_tokens": 60,
                        "input_token_details": {"text_tokens": 20, "audio_tokens": 70},
                        "output_token_details": {"text_tokens": 15, "audio_tokens": 45},
                    }
                },
            },
            Usage(20, 15, 70, 45),
        ),
        ({"text": "hi", "usage": {"type": "duration", "seconds": 12}}, Usage(seconds=12.0)),
        (
            {
                "usageMetadata": {
                    "promptTokenCount": 100,
                    "candidatesTokenCount": 20,
                    "thoughtsTokenCount": 300,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 36}, {"modality": "AUDIO", "tokenCount": 64}],
                    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 15}],
                }
            },
            Usage(36, 305, 64, 15),
        ),
        ({"usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}, Usage(7)),
        ({"usage": None}, None),
        ({"choices": []}, None),
        ({"response": {"id": "x"}}, None),
        ([{"usage": {}}], None),
        ("text", None),
        ({"usage": {"prompt_tokens": "many", "completion_tokens": -3, "prompt_tokens_details": [1]}}, Usage()),
    ],
)
def test_what_servers_say_that_was_used(answer: Any, usage: Usage | None) -> None:
    assert told(answer) == usage


def test_who_answered() -> None:
    assert answerer_of({"model": "gpt-x-2026", "system_fingerprint": "fp_1"}) == "gpt-x-2026 fp_1"
    assert answerer_of({"model": "qwen", "system_fingerprint": None}) == "qwen"
    assert answerer_of({"modelVersion": "gemini-3", "candidates": []}) == "gemini-3"
    assert answerer_of({"type": "session.created", "session": {"model": "rt"}}) == "rt"
    assert answerer_of(["x"]) == answerer_of({"model": 3}) == ""


def test_prices() -> None:
    usage = Usage(input=1000, output=200, audio_input=300, audio_output=40, seconds=90.0, characters=500)
    assert cost(usage, Price()) == 0.0
    assert cost(usage, Price(2.5, 10.0)) == pytest.approx((1300 * 2.5 + 240 * 10) / 1e6)
    assert cost(usage, Price(2.5, 10.0, audio_input=40.0, audio_output=80.0)) == pytest.approx(
        (1000 * 2.5 + 200 * 10 + 300 * 40 + 40 * 80) / 1e6
    )
    assert cost(usage, Price(1.0, 1.0, audio_input=0.0, audio_output=0.0)) == pytest.approx(1200 / 1e6)  # nought is a price
    assert cost(usage, Price(minute=0.006)) == pytest.approx(0.009)
    assert cost(usage, Price(character=15.0)) == pytest.approx(0.0075)
    assert added(usage, Usage(1, 2, 3, 4, 5.0, 6)) == Usage(1001, 202, 303, 44, 95.0, 506)


def test_text_is_counted_and_sound_is_not() -> None:
    sound = base64.b64encode(bytes(range(256)) * 40).decode()
    body = {
        "model": "abc",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "x " * 500}, {"type": "input_audio", "input_audio": {"data": sound}}],
            },
            {"role": "user", "content": [{"audio_url": {"url": f"data:audio/wav;base64,{sound}"}}]},
        ],
        "n": 3,
    }
    words = ["abc", "user", "text", "x " * 500, "input_audio", "user"]
    assert sent_length(body) == sum(map(len, words))
    assert sent_length("对话" * 300) == 600  # long, without blanks, and text
    answer = {
        "id": "chatcmpl-123",
        "choices": [{"message": {"role": "assistant", "content": "12345", "audio": {"transcript": "678", "data": sound}}}],
    }
    assert written_length(answer) == 8
    assert written_length({"candidates": [{"content": {"parts": [{"text": "1234"}], "role": "model"}}]}) == 4
    assert written_length({"type": "response.output_audio.delta", "delta": sound}) == 0
    assert written_length({"type": "response.output_text.delta", "delta": "ab"}) == 2


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"p": "12345"}, Usage(2)),
        ({"p": "1234", "max_tokens": 50}, Usage(1, 50)),
        ({"max_completion_tokens": 70, "max_tokens": 50}, Usage(0, 70)),
        ({"max_output_tokens": 5}, Usage(0, 5)),
        ({"generationConfig": {"maxOutputTokens": 30}}, Usage(0, 30)),
        ({"max_tokens": None, "generationConfig": None}, Usage()),
    ],
)
def test_what_a_request_will_use_at_most(body: dict[str, Any], usage: Usage) -> None:
    assert expected(body) == usage


# The budget.


def test_a_purse_waits_for_those_under_way_before_it_refuses() -> None:
    async def work() -> list[Any]:
        purse = Purse(2.2, 0.0)
        for price in (0.1, 0.1, 0.2):  # three of the kind have ended, so that three may be under way
            purse.settle(await purse.hold(0.4), price)
        first, second = await purse.hold(0.4), await purse.hold(0.4)
        third = asyncio.create_task(purse.hold(0.4))
        await asyncio.sleep(0)
        assert not third.done()  # 0.4 are spent, and twice 1.2 is more than what is left
        purse.settle(first, 0.1)  # less than was held
        third_number = await third
        fourth, fifth = asyncio.create_task(purse.hold(0.4)), asyncio.create_task(purse.hold(0.4))
        await asyncio.sleep(0)
        fourth.cancel()
        purse.settle(second, 0.4)
        await asyncio.sleep(0)
        assert not fifth.done()  # 0.9 spent, 0.4 held
        purse.settle(third_number, 0.8)
        with pytest.raises(BudgetSpent, match=r"budget of 2\.2 is spent: 1\.7 so far, and 0\.8 for the next call"):
            await fifth  # which is now expected to cost as much as the third
        return [purse.spent, purse.exhausted]

    assert asyncio.run(work()) == [pytest.approx(1.7), True]


def test_of_what_is_not_known_one_goes_first() -> None:
    async def work() -> None:
        purse = Purse(100.0, 0.0)
        first = await purse.hold(0.0, "a")
        others = [asyncio.create_task(purse.hold(0.0, kind)) for kind in ("a", "b", "a")]
        await asyncio.sleep(0)
        assert not any(one.done() for one in others)
        purse.settle(first, 0.0, ended=False)  # it failed: still nothing is known of its kind
        await asyncio.sleep(0)
        assert sum(one.done() for one in others) == 1
        purse.settle(await others[0], 7.0)
        b, a = await others[1], await others[2]  # "a" is known to cost 7 more than it says, and "b" goes first of its own
        purse.settle(b, 1.0)
        purse.settle(a, 6.0)
        assert purse.spent == 14.0
        with pytest.raises(BudgetSpent, match="97 for the next call"):
            await purse.hold(90.0, "a")

    asyncio.run(work())


def test_a_budget_that_is_exactly_reached() -> None:
    async def work() -> None:
        purse = Purse(0.3, 0.0)
        for _ in range(3):
            assert not purse.exhausted
            purse.settle(await purse.hold(0.1), 0.1)  # 0.1 + 0.1 + 0.1 is more than 0.3 in floating point
        assert purse.exhausted
        with pytest.raises(BudgetSpent):
            await purse.hold(0.0)
        purse = Purse(0.8, 0.7)
        purse.settle(await purse.hold(0.1), 0.1)  # and 0.7 + 0.1 is less than 0.8
        assert purse.exhausted
        with pytest.raises(BudgetSpent):
            await purse.hold(0.0)

    asyncio.run(work())


def used(tokens: int) -> Told:
    return Told(body={"usage": {"prompt_tokens": tokens, "completion_tokens": 0}})


async def one(line: Line, model: str = "m") -> Any:
    return await line.post("/chat", {"p": "1234"}, model=model)


def in_turn(number: int) -> Any:
    async def work(line: Line) -> list[Any]:
        made: list[Any] = []
        for _ in range(number):
            try:
                made.append(await one(line))
            except BudgetSpent as error:
                made.append(error)
        return made

    return work


def test_calls_stop_when_the_budget_is_spent() -> None:
    prices = {"m": Price(1e6)}  # one for each token
    with scripted(used(3)) as server:
        outcome = asked(server.url, in_turn(6), budget=20.0, spent=11.0, prices=prices)
    assert [type(made) for made in outcome.result] == [dict] * 3 + [BudgetSpent] * 3
    assert len(server.seen) == 3 == len(outcome.calls)
    assert outcome.remote.spent == 20.0 and outcome.remote.exhausted
    error = outcome.result[-1]
    assert error.cause == "budget" and isinstance(error, RunStopped)


def test_a_budget_is_not_overrun_by_many_at_once() -> None:
    async def work(line: Line) -> Any:
        body = {"p": "1234", "max_tokens": 9}  # ten at most
        return await asyncio.gather(*(line.post("/c", body, model="m") for _ in range(50)), return_exceptions=True)

    with scripted(Told(body=used(4).body, delay=0.01)) as server:
        outcome = asked(server.url, work, budget=100.0, prices={"m": Price(1e6, 1e6)}, connections=16)
    assert {type(made) for made in outcome.result} == {dict, BudgetSpent}
    assert 90.0 < outcome.remote.spent <= 100.0  # four of each ten held come back, and are used
    assert server.most_at_once <= 10
    assert len(server.seen) == outcome.remote.spent / 4


def test_no_more_are_under_way_than_have_ended() -> None:
    async def work() -> list[int]:
        purse, seen = Purse(1e9, 0.0), []
        for _ in range(4):
            calls = [asyncio.create_task(purse.hold(1.0)) for _ in range(30)]
            await asyncio.sleep(0)
            admitted = [call for call in calls if call.done()]
            for call in calls:
                call.cancel()
            await asyncio.sleep(0)
            seen.append(len(admitted))
            for call in admitted:
                purse.settle(call.result(), 1.0)
        return seen

    assert asyncio.run(work()) == [1, 1, 2, 4]


@pytest.mark.parametrize(("budget", "spent"), [(120.0, 100.0), (40.0, 50.0), (1000.0, 1000.0)])
def test_answers_longer_than_said_do_not_overrun_it_together(budget: float, spent: float) -> None:
    """Every answer costs 50 where a call says 1: sent all at once, sixteen would cost 800."""
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 49}}

    async def work(line: Line) -> Any:
        return await asyncio.gather(*(one(line) for _ in range(40)), return_exceptions=True)

    with scripted(Told(body=usage, delay=0.005)) as server:
        outcome = asked(server.url, work, budget=budget, prices={"m": Price(1e6, 1e6)}, connections=16)
    assert outcome.remote.spent == spent  # beyond the budget by no more than the first call costs more than it said
    assert {type(made) for made in outcome.result} == {dict, BudgetSpent}
    assert len(server.seen) == spent / 50
    assert server.most_at_once in {120.0: (1,), 40.0: (1,), 1000.0: range(3, 10)}[budget]


def test_answers_of_any_length_overrun_it_by_one_at_most() -> None:
    for seed in range(6):
        draw = random.Random(seed)

        def answer(seen: Seen, draw: random.Random = draw) -> Told:
            tokens = {"prompt_tokens": 1, "completion_tokens": draw.randint(5, 60)}
            return Told(body={"usage": tokens}, delay=draw.uniform(0, 0.01))

        async def work(line: Line) -> Any:
            calls = (one(line, draw.choice("mn")) for _ in range(60))  # noqa: B023
            return await asyncio.gather(*calls, return_exceptions=True)

        with scripted(answer) as server:
            prices = {"m": Price(1e6, 1e6), "n": Price(2e6, 2e6)}
            outcome = asked(server.url, work, budget=900.0, prices=prices, connections=16)
        assert 900 - 122 <= outcome.remote.spent <= 900 + 122  # the dearest call of the dearer model


def test_calls_without_money_do_not_wait_for_one_another() -> None:
    async def work(line: Line) -> Any:
        return await asyncio.gather(*(one(line) for _ in range(30)), return_exceptions=True)

    with scripted(used(1)) as server:
        outcome = asked(server.url, work, budget=1.0, prices={"m": Price(1e6)}, requests_per_minute=60, tokens_per_minute=60)
    assert sum(isinstance(made, BudgetSpent) for made in outcome.result) == 29
    assert len(server.seen) == 1 and outcome.seconds < 5  # half a minute if each took its turn


def test_what_is_free_goes_on_and_what_has_no_price_does_not_begin() -> None:
    async def work(line: Line) -> Any:
        await one(line, "free")
        with pytest.raises(BudgetSpent):
            await one(line, "dear")
        await one(line, "free")
        with pytest.raises(InputError) as caught:
            await one(line, "new/model.1")
        return caught.value.message

    with scripted(used(5)) as server:
        outcome = asked(server.url, work, budget=1.0, spent=1.0, prices={"free": Price(), "dear": Price(1.0)})
    assert '[endpoints.it.prices."new/model.1"]' in outcome.result
    assert [call.cost for call in outcome.calls] == [0.0, 0.0] and len(server.seen) == 2


def test_without_a_budget_a_price_is_not_needed() -> None:
    with scripted(used(5)) as server:
        outcome = asked(server.url, one)
    assert outcome.call.cost is None and outcome.remote.spent == 0.0 and not outcome.remote.exhausted


def test_what_is_not_told_is_estimated_and_paid() -> None:
    def answer(seen: Seen) -> Told:
        return Told(body={"choices": [{"message": {"role": "assistant", "content": "one two three"}}]})

    with scripted(answer) as server:
        outcome = asked(server.url, one, prices={"m": Price(1e6, 1e6)})
    assert (outcome.call.usage, outcome.call.estimated, outcome.call.cost) == (Usage(1, 4), True, 5.0)
    assert outcome.remote.spent == 5.0
    assert json.loads(server.seen[0].body) == {"p": "1234"}


def test_failed_attempts_are_not_paid() -> None:
    with scripted(Told(500), used(2), Told(400)) as server:
        outcome = asked(server.url, in_turn(1), prices={"m": Price(1e6)}, budget=10.0)
        assert outcome.remote.spent == 2.0
        refused = asked(server.url, one, prices={"m": Price(1e6)}, budget=10.0)
    assert refused.remote.spent == 0.0 and refused.call.cost == 0.0
