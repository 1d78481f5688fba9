"""How often, and by how much, what is spent passes a budget, where calls cost more than they say.

    python benchmarks/budget_overrun.py [--runs 300]

The purse of a run (`endpoints/spending.py`) is asked by 400 calls, 16 at a time, that each say they will cost 0.1 and cost what
is drawn. Nothing is sent. A line per distribution and budget: in how many runs the budget was passed, in how many by more than
the largest amount that one call of the run cost beyond what was put aside for it, by how much at most, and how much was left
over on average where it was not passed. Last line: a JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Callable

from turnwise.endpoints.spending import BudgetSpent, Purse

COSTS: dict[str, Callable[[random.Random], float]] = {
    "uniform, 5 to 60": lambda draw: draw.uniform(5, 60),
    "log-normal, sigma 1": lambda draw: 20 * draw.lognormvariate(0, 1),
    "log-normal, sigma 1.5": lambda draw: 20 * draw.lognormvariate(0, 1.5),
    "10, one of twenty 200": lambda draw: 200.0 if draw.random() < 0.05 else 10.0,
}
BUDGETS = (100.0, 500.0, 3000.0)
CALLS, WIDTH, SAID = 400, 16, 0.1


async def spent(seed: int, cost: Callable[[random.Random], float], budget: float) -> tuple[float, float]:
    """What a run spends, and the most that one of its calls cost beyond what was put aside."""
    draw, purse, turns = random.Random(seed), Purse(budget, 0.0), asyncio.Semaphore(WIDTH)
    beyond = 0.0

    async def call() -> None:
        nonlocal beyond
        async with turns:
            try:
                number = await purse.hold(SAID, "calls")
            except BudgetSpent:
                return
            told = purse.expected(SAID, "calls")  # as it was a moment ago, when it was put aside
            for _ in range(draw.randrange(1, 20)):  # others come and go meanwhile
                await asyncio.sleep(0)
            price = cost(draw)
            beyond = max(beyond, price - told)
            purse.settle(number, price)

    await asyncio.gather(*(call() for _ in range(CALLS)))
    return purse.spent, beyond


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    print(f"{'price of a call':<24}{'budget':>8}{'passed':>8}{'by more':>9}{'most':>8}{'left':>7}   of {runs} runs")
    told = []
    for name, cost in COSTS.items():
        for budget in BUDGETS:
            made = [asyncio.run(spent(seed, cost, budget)) for seed in range(runs)]
            over = [total - budget for total, _ in made if total > budget]
            more = sum(total - budget > beyond for total, beyond in made)
            left = [budget - total for total, _ in made if total <= budget]
            mean = f"{sum(left) / len(left):.0f}" if left else "-"
            print(f"{name:<24}{budget:>8.0f}{len(over):>8}{more:>9}{max(over, default=0.0):>8.0f}{mean:>7}")
            told.append({"price": name, "budget": budget, "runs": runs, "passed": len(over), "by_more_than_one_call": more})
    print(json.dumps({"budget_overrun": told}))


if __name__ == "__main__":
    main()
