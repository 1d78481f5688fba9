"""What a run cost: sums by purpose, per turn, and what has no price."""

from __future__ import annotations

import json

import msgspec
import pytest

from made_panel import GPT, QWEN, expenses, panel_results
from made_results import made_results
from turnwise.endpoints.calls import Usage
from turnwise.statistics.findings import findings
from turnwise.statistics.spending import spending
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.summary_json import summary_bytes
from turnwise.statistics.wording import money
from turnwise.study.results import Expense

QUICK = Options(draws=200, flips=200)


def test_bills_by_purpose_in_the_order_of_the_study() -> None:
    found = spending(panel_results(dialogues=4, rounds=5, mute=("retrieval",)))
    assert found is not None
    assert [b.purpose for b in found.bills] == [
        "arm frame",
        "judge gpt/dialogue_quality",
        "judge qwen/dialogue_quality",
        "transcriber",
    ]
    judge = found.bills[1]
    assert (judge.calls, judge.attempts, judge.failed) == (300, 312, 2)
    assert judge.failures == {"rate-limit": 10, "timeout": 4}
    assert judge.turns == 3 * 4 * 5  # the mute arm's turns are not judged
    assert judge.per_turn == pytest.approx(0.048 / 60)
    assert judge.answered_by == ("gpt-4o-mini-2024-07-18 fp_1",)
    assert found.bills[0].turns == 20
    total = found.total
    assert (total.calls, total.attempts, total.failed) == (500, 513, 2)
    assert total.usage == Usage(input=310_000, output=45_000, seconds=60.0)
    assert list(total.failures) == ["rate-limit", "timeout", "http-500"]
    assert total.cost == pytest.approx(0.0636)
    assert total.models == ("gpt-4o-mini", GPT, QWEN, "whisper-1")


def test_no_price_is_not_a_price_of_zero() -> None:
    found = spending(panel_results(dialogues=2, rounds=3))
    assert found is not None
    local = found.bills[2]
    assert (local.cost, local.per_turn, local.unpriced) == (None, None, (QWEN,))
    assert found.total.unpriced == (QWEN,)
    free = Expense("local", "m", "arm frame", 1, 1, 0, {}, Usage(1), 0.0, 1.0, 0.0)
    results = msgspec.structs.replace(panel_results(dialogues=2, rounds=3), expenses=(free,))
    bill = spending(results)
    assert bill is not None
    assert (bill.total.cost, bill.bills[0].per_turn) == (0.0, 0.0)


def test_a_bill_with_one_unpriced_model_has_no_cost_per_turn() -> None:
    first = Expense("a", "m", "arm frame", 1, 1, 0, {}, Usage(1), 0.5, 1.0, 0.0)
    second = Expense("a", "n", "arm frame", 1, 1, 0, {}, Usage(1), None, 1.0, 0.0)
    found = spending(msgspec.structs.replace(panel_results(dialogues=2, rounds=3), expenses=(second, first)))
    assert found is not None
    assert (found.bills[0].cost, found.bills[0].per_turn, found.bills[0].unpriced) == (0.5, None, ("n",))
    assert [line.model for line in found.lines] == ["m", "n"]


def test_nothing_asked_nothing_said() -> None:
    summary = summarise(made_results(dialogues=2, rounds=3), QUICK)
    assert summary.spending is None
    assert not [f for f in findings(summary) if f.kind == "cost"]
    assert json.loads(summary_bytes(summary))["spending"] is None


def test_the_sentence_and_the_json() -> None:
    summary = summarise(panel_results(dialogues=2, rounds=3), QUICK)
    (cost,) = [f.text for f in findings(summary) if f.kind == "cost"]
    assert cost == (
        "500 calls to servers took 355,000 tokens and 513 attempts (failed: rate-limit 10, timeout 4, http-500 1); 2 calls never "
        f"succeeded; 0.0636 at the declared prices, without {QWEN}, for which no price is declared."
    )
    made = json.loads(summary_bytes(summary))
    assert made["spending"]["total"]["cost"] == 0.0636
    assert made["spending"]["lines"][2]["cost"] is None
    assert made["spending"]["bills"][1]["usage"] == {
        "input": 200_000,
        "output": 30_000,
        "audio_input": 0,
        "audio_output": 0,
        "seconds": 0.0,
        "characters": 0,
    }
    gpt = made["judges"]["gpt/consistency"]
    assert (gpt["judge"], gpt["models"], gpt["repeats"]) == ("gpt/dialogue_quality", [GPT], 3)
    assert {"pairs", "together", "repeats"} == made["agreement"].keys()
    assert {"alpha", "alpha_ci", "spearman", "ci", "n"} <= made["agreement"]["pairs"][0].keys()
    assert made["kinship"][0]["leans"][0]["ci"] is not None
    unpriced = msgspec.structs.replace(panel_results(dialogues=2, rounds=3), expenses=expenses()[1:2])
    (cost,) = [f.text for f in findings(summarise(unpriced, QUICK)) if f.kind == "cost"]
    assert cost == "100 calls to servers took 79,000 tokens and 100 attempts; no price is declared."


@pytest.mark.parametrize(
    ("amount", "said"), [(1234.5, "1,234.50"), (0.0, "0.00"), (0.048, "0.048"), (12.3456, "12.35"), (0.00001234, "0.0000123")]
)
def test_money(amount: float, said: str) -> None:
    assert money(amount) == said
