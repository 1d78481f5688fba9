"""Judges that rate their own kin: names of models, and what another judge says of it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from made_panel import GPT, OWN, QWEN, panel_results
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.grid import grid_of
from turnwise.statistics.judge_findings import judge_findings
from turnwise.statistics.self_preference import Kinship, family_name, model_name, related
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.table import tidy
from turnwise.study.results import Results

QUICK = Options(draws=300, flips=200)


def kin(results: Results) -> list[Kinship]:
    return list(summarise(results, QUICK).kinships)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("openai/gpt-4o", "gpt-4o-2024-05-13"),
        ("gpt-4-0613", "gpt-4-1106-preview"),
        ("models/gemini-1.5-pro-002", "gemini-1.5-pro-latest"),
        ("gemini-2.5-pro-preview-05-20", "gemini-2.5-pro"),
        ("Qwen/Qwen2.5-Omni-7B", "qwen2.5-omni-7b-awq"),
        ("Qwen/Qwen2.5-Omni-7B-GPTQ-Int4", "/weights/Qwen2.5-Omni-7B/"),
        ("qwen3:4b-instruct-2507-q4_K_M", "Qwen/Qwen3-4B-Instruct"),
        ("Llama-3.1-8B-Instruct-Q4_K_M.gguf", "meta-llama/Llama-3.1-8B-Instruct"),
        ("Qwen/Qwen3-8B@9c925d6", "Qwen/Qwen3-8B-FP8"),
        ("claude-3-5-sonnet-20241022", "anthropic/claude-3-5-sonnet"),
    ],
)
def test_one_model_under_two_names(one: str, other: str) -> None:
    assert model_name(one) == model_name(other)
    assert related((one,), (other,)) == ("model", one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Qwen/Qwen2.5-Omni-7B", "qwen2.5-omni-3b"),
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o-audio-preview", "gpt-4o-mini-2024-07-18"),
        ("gemini-2.5-flash", "gemini-2.5-pro"),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-0.5B"),
        ("MiMo-Audio-7B-Instruct", "XiaomiMiMo/MiMo-Audio-7B-Base"),
        ("mixtral:8x7b", "mixtral-8x22b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "qwen3:4b"),
    ],
)
def test_one_family(one: str, other: str) -> None:
    assert model_name(one) != model_name(other)
    assert family_name(one) == family_name(other)
    assert related((one,), (other,)) == ("family", one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4.1"),
        ("gpt-4o-mini", "o4-mini"),
        ("gpt-3.5-turbo", "gpt-4-turbo"),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen2.5-Omni-7B", "Qwen/Qwen2-Audio-7B"),
        ("gemini-1.5-pro", "gemini-2.5-pro"),
        ("meta-llama/Llama-2-7b", "mistralai/Mistral-7B"),
        ("large", "base"),  # nothing but a size: the whole name stands
    ],
)
def test_strangers(one: str, other: str) -> None:
    assert related((one,), (other,)) is None


def test_the_closest_kinship_is_named() -> None:
    assert related(("gpt-4o-mini",), ("gpt-4o", "openai/gpt-4o-mini")) == ("model", "gpt-4o-mini", "openai/gpt-4o-mini")
    assert related((), ("gpt-4o",)) is None
    assert related(("gpt-4o",), ()) is None


def test_the_planted_preference_is_found_by_both_other_judges() -> None:
    (found,) = kin(panel_results(dialogues=6, rounds=(4, 8), fault_share=0.05))
    assert (found.judge, found.arm, found.kin) == ("gpt/dialogue_quality", "frame", "model")
    assert (found.judge_model, found.arm_model) == (GPT, "gpt-4o-mini")
    assert [(lean.criterion, lean.other) for lean in found.leans] == [
        ("gpt/consistency", "consistency"),
        ("gpt/consistency", "qwen/consistency"),
        ("gpt/naturalness", "naturalness"),
        ("gpt/naturalness", "qwen/naturalness"),
    ]
    for lean in found.leans:
        assert lean.difference == pytest.approx(OWN, abs=0.5)  # the wobble's failed repeats leave a little
        assert lean.low is not None and lean.low > 7
        assert (lean.clear, lean.favours) == (True, True)


def test_a_lean_by_hand_and_its_interval_by_resampling() -> None:
    results = panel_results(dialogues=8, rounds=(4, 8), fault_share=0.05)
    grid = grid_of(tidy(results))
    gap = grid.values[:, grid.criteria.index("gpt/naturalness")] - grid.values[:, grid.criteria.index("naturalness")]
    own, others = gap[grid.arms.index("frame")], np.delete(gap, grid.arms.index("frame"), axis=0)
    summary = summarise(results, Options(draws=200, flips=200, seed=5, expand=False))
    lean = next(lean for lean in summary.kinships[0].leans if lean.other == "naturalness")
    assert lean.difference == pytest.approx(np.nanmean(own) - np.nanmean(others))
    assert (lean.n, lean.n_others) == (np.isfinite(own).sum(), np.isfinite(others).sum())
    drawn = []
    for counts in Bootstrap(8, 5, 200).counts:
        taken = np.repeat(np.arange(8), counts)
        drawn.append(np.nanmean(own[taken]) - np.nanmean(others[:, taken]))
    np.testing.assert_allclose([lean.low, lean.high], np.percentile(drawn, [2.5, 97.5]))


def test_arms_that_are_kin_are_not_among_the_others() -> None:
    results = panel_results(dialogues=4, rounds=4)
    models = {**results.arm_models, "retrieval": ("gpt-4o",), "text-only": (QWEN,)}
    found = {(k.judge, k.arm): k for k in kin(msgspec.structs.replace(results, arm_models=models))}
    assert {key: k.kin for key, k in found.items()} == {
        ("gpt/dialogue_quality", "frame"): "model",
        ("gpt/dialogue_quality", "retrieval"): "family",
        ("qwen/dialogue_quality", "text-only"): "model",
    }
    beside = {lean.other: lean.n_others for lean in found["gpt/dialogue_quality", "frame"].leans}
    assert beside["consistency"] == 2 * 16  # frame-last-turn and text-only: no kin of gpt
    assert beside["qwen/consistency"] == 16  # text-only is kin of the judge it is compared with


def test_where_no_other_judge_is_there_it_is_said() -> None:
    results = panel_results(dialogues=3, rounds=4)
    alone = tuple(i for i in results.instruments if i.judge == "gpt/dialogue_quality" or i.criterion.name == "memory")
    summary = summarise(msgspec.structs.replace(results, instruments=alone), QUICK)
    assert [k.leans for k in summary.kinships] == [()]
    assert "No judge of other make gives the same criterion" in judge_findings(summary)[0].text


def test_one_arm_has_no_others() -> None:
    results = panel_results(arms=("frame",), dialogues=3, rounds=4)
    (found,) = kin(results)
    assert {lean.difference for lean in found.leans} == {None}
    assert "cannot be told" in judge_findings(summarise(results, QUICK))[0].text


def test_a_judge_that_leans_against_its_kin_is_told_so() -> None:
    results = panel_results(dialogues=6, rounds=4)
    turned = {**results.arm_models, "frame": (), "frame-last-turn": ("gpt-4o-mini",)}
    text = judge_findings(summarise(msgspec.structs.replace(results, arm_models=turned), QUICK))[0].text
    assert "frame-last-turn" in text
    assert "to its disadvantage" in text  # beside the others, of which frame is read 8 points milder
    assert "in its favour" not in text


def test_without_models_nothing_is_claimed() -> None:
    assert kin(msgspec.structs.replace(panel_results(dialogues=2, rounds=2), arm_models={})) == []
