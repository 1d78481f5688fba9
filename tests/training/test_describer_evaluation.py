"""Evaluation: known values, scipy and sacrebleu beside ours, and what a text that says nothing does to the figures."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from scipy import stats

from tiny_describer import caption, comparison
from turnwise.foundation.errors import InputError
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.training.evaluation import Item, Said, evaluate, items_of
from turnwise.training.example_file import Example
from turnwise.training.resampling import correlation_interval, rank_correlation_interval, ratio_interval


def answered(items: tuple[Item, ...], *texts: str, swapped: dict[str, str] | None = None) -> dict[str, Said]:
    said = {f"{item.id} straight": Said(item.id, "straight", text) for item, text in zip(items, texts, strict=True)}
    for item in items:
        if item.kind == "comparison":
            text = (swapped or {}).get(item.example.id, "")
            said[f"{item.id} swapped"] = Said(item.id, "swapped", text)
    return said


def captions(*mos: float) -> tuple[Item, ...]:
    return items_of([caption(f"c{k}", value, "validation") for k, value in enumerate(mos)])


def test_known_values() -> None:
    """Facts C.7, 4."""
    items = captions(1, 2, 3, 4)
    found = evaluate(items, answered(items, "MOS: 1", "MOS: 3", "MOS: 2", "MOS: 4"), seed=1).fits["mos"]
    assert (found.lcc.value, found.srcc.value, found.mse.value) == (pytest.approx(0.8), pytest.approx(0.8), 0.5)
    items = captions(1, 2, 3, 4, 5)
    found = evaluate(items, answered(items, *(f"MOS: {v}" for v in (1.2, 1.9, 3.4, 3.6, 4.9))), seed=1).fits["mos"]
    assert found.lcc.value == pytest.approx(0.982421, abs=1e-6)
    assert (found.srcc.value, found.mse.value) == (pytest.approx(1.0), pytest.approx(0.076))


def test_against_scipy() -> None:
    draw = np.random.default_rng(3)
    true = np.round(draw.uniform(1, 5, 40), 1)
    read = np.round(np.clip(true + draw.normal(0, 0.6, 40), 1, 5), 1)
    items = captions(*true)
    found = evaluate(items, answered(items, *(f"MOS: {value}" for value in read)), seed=1).fits["mos"]
    assert found.lcc.value == pytest.approx(stats.pearsonr(true, read).statistic)
    assert found.srcc.value == pytest.approx(stats.spearmanr(true, read).statistic)
    assert found.mse.value == pytest.approx(((true - read) ** 2).mean())
    for measure in (found.lcc, found.srcc, found.mse):
        assert measure.low is not None
        assert measure.high is not None
        assert measure.value is not None
        assert measure.low < measure.value < measure.high
        assert measure.n == 40


def test_intervals_are_those_of_drawn_groups() -> None:
    """Every draw done over again, one by one, with scipy."""
    draw = np.random.default_rng(5)
    groups = np.sort(draw.integers(0, 7, 30))
    groups = np.unique(groups, return_inverse=True)[1]
    x = np.round(draw.uniform(1, 5, 30), 0)
    y = np.round(x + draw.normal(0, 1, 30), 0)
    bootstrap = Bootstrap(int(groups.max()) + 1, 11, draws=200)
    rows = [np.repeat(np.arange(30), row[groups]) for row in bootstrap.counts]
    for ours, theirs in (
        (correlation_interval, lambda r: stats.pearsonr(x[r], y[r]).statistic),
        (rank_correlation_interval, lambda r: stats.spearmanr(x[r], y[r]).statistic),
    ):
        drawn = np.array([[theirs(row)] for row in rows])
        low, high = bootstrap.interval(drawn, np.array([bootstrap.dialogues]))
        assert ours(bootstrap, groups, x, y) == (pytest.approx(low[0]), pytest.approx(high[0]))
    low, high = bootstrap.interval(np.array([[y[row].mean()] for row in rows]), np.array([bootstrap.dialogues]))
    assert ratio_interval(bootstrap, groups, y) == (pytest.approx(low[0]), pytest.approx(high[0]))


def test_what_has_no_spread_or_too_few_has_no_correlation() -> None:
    items = captions(1, 2, 3, 4)
    found = evaluate(items, answered(items, *["MOS: 3"] * 4), seed=1).fits["mos"]
    assert (found.lcc.value, found.srcc.value, found.mse.value) == (None, None, 1.5)
    items = captions(1, 2)
    found = evaluate(items, answered(items, "MOS: 1", "MOS: 2"), seed=1).fits["mos"]
    assert (found.lcc.value, found.mse.value) == (None, 0.0)


def test_a_text_without_a_rating_is_counted_and_not_imputed() -> None:
    items = captions(1, 2, 3, 4, 5)
    said = answered(items, "MOS: 1", "I cannot say.", "MOS: 3 or maybe MOS: 4", "MOS: 4", "MOS: 5")
    said[f"{items[4].id} straight"] = Said(items[4].id, "straight", "MOS: 5", whole=False)
    evaluation = evaluate(items, said, seed=1)
    found = evaluation.fits["mos"]
    assert (found.mse.value, found.mse.n, found.failures.value, found.failures.n) == (0.0, 2, 0.6, 5)
    assert found.missing == {"ambiguous": 1, "cut short": 1, "no number": 1}
    assert evaluation.cut == 1
    nothing = evaluate(items, answered(items, *["No."] * 5), seed=1).fits["mos"]
    assert (nothing.lcc.value, nothing.mse.value, nothing.mse.n, nothing.failures.value) == (None, None, 0, 1.0)


def test_other_dimensions_count_where_numbers_are_stated() -> None:
    items = captions(1, 2, 3)
    texts = ("Noise 1.5. MOS: 1", "Noise 2.0, later noise 3.0. MOS: 2", "All is well. MOS: 3")
    fits = evaluate(items, answered(items, *texts), seed=1).fits
    assert list(fits) == ["mos", "noi"]
    assert (fits["noi"].mse.value, fits["noi"].mse.n) == (0.25, 1)
    assert fits["noi"].missing == {"ambiguous": 1, "no number": 1}


def pairs() -> list[Example]:
    low, high = caption("low", 2.0, "validation"), caption("high", 4.0, "validation")
    return [comparison("a", low, high), comparison("b", high, low)]


def test_choices_in_both_orders() -> None:
    examples = pairs()
    items = items_of(examples)
    right = evaluate(items, answered(items, "[SpeechB]", "[SpeechA]", swapped={"a": "[SpeechA]", "b": "[SpeechB]"}), seed=1)
    assert right.choices is not None
    assert (right.choices.accuracy.value, right.choices.agreed.value, right.choices.first_place) == (1.0, 1.0, 0)
    assert right.fits == {}
    always_first = evaluate(items, answered(items, *["[SpeechA]"] * 2, swapped=dict.fromkeys("ab", "[SpeechA]")), seed=1).choices
    assert always_first is not None
    assert (always_first.accuracy.value, always_first.agreed.value) == (0.5, 0.0)
    assert (always_first.first_place, always_first.second_place, always_first.no_choice) == (2, 0, 0)
    silent = evaluate(items, answered(items, "[Tie]", "Both [SpeechA] [SpeechB]"), seed=1).choices
    assert silent is not None
    assert (silent.accuracy.value, silent.no_choice) == (0.0, 1)


def test_a_pair_whose_better_one_is_not_known_is_not_counted_as_wrong() -> None:
    first, second = caption("x", 2.0, "validation"), caption("y", 4.0, "validation")
    unknown = msgspec.structs.replace(second.ratings[0], mos=None, missing={"mos": "not asked for"})
    blind = msgspec.structs.replace(comparison("blind", first, second), ratings=(first.ratings[0], unknown), sounds=("p", "q"))
    items = items_of([comparison("a", first, second), blind])
    swapped = {"a": "[SpeechA]", "blind": "[SpeechA]"}
    found = evaluate(items, answered(items, "[SpeechB]", "[SpeechB]", swapped=swapped), seed=1).choices
    assert found is not None
    assert (found.accuracy.value, found.accuracy.n, found.agreed.value, found.agreed.n) == (1.0, 1, 1.0, 2)
    alone = evaluate(items[1:], answered(items[1:], "[SpeechB]", swapped=swapped), seed=1).choices
    assert alone is not None
    assert (alone.accuracy.value, alone.accuracy.n) == (None, 0)


def test_bleu_is_that_of_sacrebleu_with_all_texts_of_a_sound_as_references() -> None:
    texts = [
        "the speech is somewhat noisy and clearly loud",
        "the speech is completely clean and slightly distorted here",
        "a very bad recording with breaks",
    ]
    examples = [caption(f"c{k}", 2.0 + k, "validation", answer=text) for k, text in enumerate(texts)]
    longer = [f"what is heard is {text}" for text in texts]
    more = [caption(f"c{k}", 2.0 + k, "validation", id=f"m{k}", answer=text) for k, text in enumerate(longer)]
    items = items_of([*examples, *more])
    assert [len(item.references) for item in items] == [2, 2, 2]
    told = [texts[0], "the speech is completely clean and distorted", "a bad recording with many breaks in it"]
    found = evaluate(items, answered(items, *told), seed=1)
    expected = BLEU().corpus_score(told, [texts, longer])
    assert found.bleu["caption"].value == pytest.approx(expected.score)
    assert found.references == {"caption": 2.0}
    low, high = found.bleu["caption"].low, found.bleu["caption"].high
    assert low is not None
    assert high is not None
    assert low < expected.score < high


def test_the_same_seed_gives_the_same_intervals() -> None:
    items = captions(*np.linspace(1, 5, 20).round(1))
    said = answered(items, *(f"MOS: {1 + (k * 7) % 20 / 5:.1f}" for k in range(20)))
    one, other, third = (evaluate(items, said, seed=seed).fits["mos"].mse for seed in (1, 1, 2))
    assert one == other
    assert (one.value, one.n) == (third.value, third.n)
    assert (one.low, one.high) != (third.low, third.high)


def test_nothing_to_evaluate() -> None:
    with pytest.raises(InputError, match="nothing held out"):
        evaluate((), {}, seed=1)
