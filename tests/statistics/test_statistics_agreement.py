"""Agreement of judges: alpha by its definition and by a published example, ranks by scipy, repeats by hand."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from made_panel import MILD, OWN, STRICT, panel_results
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Abstention, Fault, Score, Silence
from turnwise.statistics.agreement import Agreement, krippendorff, one_scale
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import grid_of
from turnwise.statistics.judge_findings import judge_findings, level
from turnwise.statistics.summary import Options, Summary, summarise
from turnwise.statistics.table import tidy
from turnwise.study.results import Results

QUICK = Options(draws=300, flips=200)
NAN = float("nan")

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C: four observers, twelve units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


def by_pairs(ratings: np.ndarray) -> float:
    """Alpha from its definition: squared differences of all pairs of values within units, and of all pairs of values."""
    units = [[v for v in unit if np.isfinite(v)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [v for unit in units for v in unit]
    n = len(values)
    within = sum(sum((a - b) ** 2 for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units) / n
    between = sum((a - b) ** 2 for a, b in itertools.permutations(values, 2)) / (n * (n - 1))
    return float(1 - within / between)


def summarised(results: Results | None = None) -> Summary:
    return summarise(panel_results(dialogues=6, rounds=(4, 8), fault_share=0.03) if results is None else results, QUICK)


def pair(summary: Summary, a: str, b: str) -> Agreement:
    return next(p for p in summary.agreements.pairs if (p.a, p.b) == (a, b))


def test_alpha_of_the_published_example() -> None:
    assert krippendorff(np.array(OBSERVERS)) == pytest.approx(0.849, abs=5e-4)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(4, 20), st.floats(0, 0.4))
def test_alpha_is_its_definition(seed: int, raters: int, units: int, absent: float) -> None:
    generator = np.random.default_rng(seed)
    ratings = generator.normal(50.0, 20.0, units) + generator.normal(0.0, 15.0, (raters, units))
    ratings[generator.random(ratings.shape) < absent] = np.nan
    if (np.isfinite(ratings).sum(axis=0) > 1).sum() < 3:
        assert krippendorff(ratings) is None
    else:
        assert krippendorff(ratings) == pytest.approx(by_pairs(ratings))


def test_alpha_sees_perfection_and_chance_and_a_constant_difference() -> None:
    one = np.arange(10.0)
    assert krippendorff(np.stack([one, one])) == pytest.approx(1.0)
    assert krippendorff(np.stack([one, one[::-1]])) < 0  # type: ignore[operator]
    shifted = krippendorff(np.stack([one, one + 3.0]))
    assert shifted is not None and shifted < 0.7  # which a correlation of 1 does not see


def test_undefined_is_undefined() -> None:
    assert krippendorff(np.full((2, 9), 70.0)) is None
    assert krippendorff(np.array([[1.0, 2.0, NAN], [1.0, NAN, 3.0]])) is None
    results = panel_results(dialogues=3, rounds=4)
    flat = tuple(
        msgspec.structs.replace(
            c,
            rounds=tuple(
                msgspec.structs.replace(a, outcomes={**a.outcomes, "naturalness": Score(80.0), "qwen/naturalness": Score(80.0)})
                for a in c.rounds
            ),
        )
        for c in results.conversations
    )
    summary = summarised(msgspec.structs.replace(results, conversations=flat))
    found = pair(summary, "naturalness", "qwen/naturalness")
    assert (found.alpha, found.alpha_low, found.pearson, found.spearman) == (None, None, None, None)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    said = [f.text for f in judge_findings(summary) if "alpha is" in f.text or "undefined" in f.text]
    assert said and "nan" not in " ".join(said).lower()


def test_a_pair_against_scipy_and_by_hand() -> None:
    results = panel_results(dialogues=6, rounds=(4, 8), fault_share=0.03)
    grid = grid_of(tidy(results))
    found = pair(summarised(results), "consistency", "gpt/consistency")
    x, y = (grid.values[:, grid.criteria.index(name)].ravel() for name in ("consistency", "gpt/consistency"))
    both = np.isfinite(x) & np.isfinite(y)
    assert found.n == both.sum()
    assert found.left_out == (np.isfinite(x) ^ np.isfinite(y)).sum()
    assert found.spearman == pytest.approx(stats.spearmanr(x[both], y[both]).statistic)
    assert found.pearson == pytest.approx(stats.pearsonr(x[both], y[both]).statistic)
    assert found.alpha == pytest.approx(by_pairs(np.stack([x, y])))
    assert found.difference == pytest.approx((x[both] - y[both]).mean())
    assert found.low is not None and found.high is not None
    assert found.low <= found.difference <= found.high


def test_intervals_are_those_of_resampled_dialogues() -> None:
    results = panel_results(dialogues=9, rounds=(4, 8), fault_share=0.03)
    summary = summarise(results, Options(draws=200, flips=200, seed=3, expand=False))
    grid = grid_of(tidy(results))
    x, y = (grid.values[:, grid.criteria.index(name)] for name in ("naturalness", "qwen/naturalness"))
    alphas, gaps = [], []
    for counts in Bootstrap(9, 3, 200).counts:
        drawn = np.repeat(np.arange(9), counts)
        ratings = np.stack([x[:, drawn].ravel(), y[:, drawn].ravel()])
        alphas.append(by_pairs(ratings) if len(ratings[0]) < 200 else krippendorff(ratings))
        gaps.append(np.nanmean(ratings[0] - ratings[1]))
    found = pair(summary, "naturalness", "qwen/naturalness")
    np.testing.assert_allclose([found.alpha_low, found.alpha_high], np.percentile(alphas, [2.5, 97.5]))
    np.testing.assert_allclose([found.low, found.high], np.percentile(gaps, [2.5, 97.5]), atol=1e-9)


def test_every_pair_of_one_thing_by_different_judges_and_no_other() -> None:
    summary = summarised()
    assert {(p.a, p.b) for p in summary.agreements.pairs} == {
        (f"{a}{name}", f"{b}{name}")
        for name in ("consistency", "naturalness")
        for a, b in (("", "gpt/"), ("", "qwen/"), ("gpt/", "qwen/"))
    }
    assert [p.criteria for p in summary.agreements.panels] == [
        ("consistency", "gpt/consistency", "qwen/consistency"),
        ("naturalness", "gpt/naturalness", "qwen/naturalness"),
    ]
    grid = grid_of(tidy(panel_results(dialogues=6, rounds=(4, 8), fault_share=0.03)))
    ratings = np.stack([grid.values[:, grid.criteria.index(name)].ravel() for name in summary.agreements.panels[0].criteria])
    assert summary.agreements.panels[0].alpha == pytest.approx(by_pairs(ratings))
    strict = pair(summary, "consistency", "qwen/consistency")
    assert strict.difference == pytest.approx(STRICT)
    assert strict.pearson == pytest.approx(1.0)


def test_scales_that_differ_are_not_subtracted() -> None:
    points = Criterion("naturalness", "points of 100", "higher", 0.0, 100.0)
    assert one_scale(points, Criterion("x/naturalness", "severity 0-100", "higher", 0.0, 100.0))
    assert not one_scale(points, Criterion("x/naturalness", "MOS 1-5", "higher", 1.0, 5.0))
    assert not one_scale(points, Criterion("x/naturalness", "points of 100", "lower", 0.0, 100.0))
    assert not one_scale(Criterion("a", "seconds", "lower", 0.0), Criterion("b", "words", "lower", 0.0))
    results = panel_results(dialogues=3, rounds=4)
    short = tuple(
        msgspec.structs.replace(i, criterion=msgspec.structs.replace(i.criterion, high=1000.0))
        if i.criterion.name == "qwen/naturalness"
        else i
        for i in results.instruments
    )
    summary = summarised(msgspec.structs.replace(results, instruments=short))
    found = pair(summary, "naturalness", "qwen/naturalness")
    assert not found.comparable
    assert (found.alpha, found.difference, found.low) == (None, None, None)
    assert found.spearman == pytest.approx(1.0)
    assert [p.criteria[0] for p in summary.agreements.panels] == ["consistency"]


def test_repeats_by_hand() -> None:
    results = panel_results(dialogues=4, rounds=5, fault_share=0.1)
    first, second = summarised(results).agreements.spreads
    assert (first.criterion, second.criterion) == ("gpt/consistency", "gpt/naturalness")
    rows = [
        [o.value for o in a.repeats["gpt/consistency"] if isinstance(o, Score)]
        for c in results.conversations
        for a in c.rounds
        if "gpt/consistency" in a.repeats
    ]
    assert first.n == len(rows)
    assert first.deviation == pytest.approx(np.mean([np.std(row, ddof=1) for row in rows]))
    # -3, 0 and 3 have a standard deviation of 3; where the middle one failed it is that of -3 and 3.
    assert {round(float(np.std(row, ddof=1)), 6) for row in rows} == {3.0, round(18**0.5, 6)}
    ratings = np.full((3, len(rows)), NAN)
    for k, row in enumerate(rows):
        ratings[: len(row), k] = row
    assert first.alpha == pytest.approx(by_pairs(ratings))
    assert first.unscored == {"parse": sum(len(row) == 2 for row in rows)}
    assert first.low is not None and first.high is not None and first.low <= first.deviation <= first.high


def test_repeats_that_all_fail_are_no_spread() -> None:
    results = panel_results(dialogues=2, rounds=2, arms=("a",))
    lost = (Fault("timeout"), Abstention("nothing to go by"), Silence())
    broken = tuple(
        msgspec.structs.replace(
            c, rounds=tuple(msgspec.structs.replace(a, repeats=dict.fromkeys(a.repeats, lost)) for a in c.rounds)
        )
        for c in results.conversations
    )
    spread = summarised(msgspec.structs.replace(results, conversations=broken)).agreements.spreads[0]
    assert (spread.deviation, spread.low, spread.alpha, spread.n) == (None, None, None, 0)
    assert spread.unscored == {"abstained": 4, "timeout": 4}


def test_the_sentences() -> None:
    texts = [f.text for f in judge_findings(summarised(panel_results(dialogues=6, rounds=4, arms=("retrieval", "frame"))))]
    chosen = next(t for t in texts if t.startswith("Whether the thread is kept is read from consistency, the first"))
    assert "(judge dialogue_quality), and not from gpt/consistency and qwen/consistency" in chosen
    strict = next(t for t in texts if t.startswith("consistency and qwen/consistency"))
    assert f"consistency minus qwen/consistency +{STRICT:.1f} [{STRICT:.1f}, {STRICT:.1f}]" in strict
    assert any(t.startswith("Asked 3 times about one turn, gpt/consistency varies by a standard deviation of 3.") for t in texts)
    assert any(t.startswith("Of 3 other pairs of criteria that measure the same") for t in texts)
    own = next(t for t in texts if t.startswith("The judge gpt/dialogue_quality rates an arm made of its own model: frame"))
    assert f"by +{OWN:.1f} [{OWN:.1f}, {OWN:.1f}], in its favour" in own
    assert MILD > 0  # alike on all arms, so it is in no difference between them


@pytest.mark.parametrize(("alpha", "said"), [(0.8, "agree"), (0.7, "tentative"), (0.5, "not agree")])
def test_levels_of_alpha(alpha: float, said: str) -> None:
    assert said in level(alpha)
