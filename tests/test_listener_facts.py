"""Facts about described speech quality (ALLD, NISQA, DNSMOS) that this package must reproduce or undo, one test each.

 1 description    3 reading           5 losses    7 placeholder      and the six weaknesses of the published tool, A to F;
 2 comparison     4 LCC, SRCC, MSE    6 DNSMOS    8 corpus table     and the published recipe

The finer tests stand beside the code; these take the shortest real path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from damaged_speech import made_voice
from listening_double import LISTENER, record
from servers.chat_server import Request, chatting
from turnwise.cli.listen import listen_command
from turnwise.foundation.errors import InputError
from turnwise.listening.ratings import DIMENSIONS, words

R = (2.4, 1.8, 3.6, 4.2, 3.9)
A, B = (3.9, 4.0, 3.8, 4.1, 4.0), (2.4, 2.1, 3.5, 4.0, 3.9)
PUBLISHED = ["audio1_metrics.json", "audio1_mos.txt", "audio1_mos_diverse.txt", "audio2_metrics.json", "audio2_mos.txt"]
PUBLISHED += ["audio2_mos_diverse.txt", "ab_test.txt", "ab_test_summary.txt"]


def listen(*arguments: str | Path, listener: str = LISTENER) -> Any:
    """What the command prints as JSON: a list of rows, or one comparison."""
    given: Sequence[str] = ["--listener", listener, "--json", *map(str, arguments)]
    done = CliRunner().invoke(listen_command, given, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return record(tmp_path / "a.wav", A), record(tmp_path / "b.wav", B)


@pytest.fixture
def two_files(pair: tuple[Path, Path]) -> Callable[..., Any]:
    def compare(*options: str | Path, swap: bool = False) -> Any:
        (told,) = listen("--compare", *(pair[::-1] if swap else pair), *options)
        return told

    return compare


def test_fact_1_a_description_has_the_words_of_the_nearest_levels_and_ends_with_the_rating(tmp_path: Path) -> None:
    for preset in ("plain", "diverse"):
        (row,) = listen(record(tmp_path / "r.wav", R), "--preset", preset)
        text = row["description"]
        for dimension, value in zip(DIMENSIONS, R, strict=True):
            assert words(dimension, value) in text
        assert (words("noi", 1.8), words("col", 3.6)) == ("somewhat noisy", "slightly distorted")
        assert text.endswith("2.4")
        assert row["checked"]["contradictions"] == []
    # Half-way and beyond the scale: halves go up, and there are five levels.
    assert [words("mos", value) for value in (0.2, 1.49, 1.5, 2.5, 3.5, 4.5, 5.7)] == [
        "very bad", "very bad", "poor", "fair", "good", "excellent", "excellent",
    ]  # fmt: skip


def test_fact_2_the_admissible_aspects_and_the_winner_in_either_order(two_files: Callable[..., Any]) -> None:
    straight, swapped = two_files(), two_files(swap=True)
    assert [gap["dimension"] for gap in straight["rule"]["aspects"]] == ["noi"]
    assert [gap["dimension"] for gap in swapped["rule"]["aspects"]] == ["noi"]
    assert (straight["summary"], swapped["summary"]) == ("[SpeechA]", "[SpeechB]")
    assert straight["both_orders_agree"] and swapped["both_orders_agree"]
    assert [text.splitlines()[-1] for text in straight["orders"]["texts"]] == ["[SpeechA]", "[SpeechB]"]


@pytest.mark.parametrize(
    ("answer", "read", "reason"),
    [
        ("… the overall MOS score is about **2.4**.", 2.4, ""),
        ("4 out of 5", 4.0, ""),
        ("I cannot rate this", None, "no number"),
        # The rule of reading: list markers, units and the 5 of "out of 5" are none, two candidates are ambiguous.
        ("1. noise\n2. after 3 s at 4 kHz, 2 dB softer\n**MOS:** 2.4", 2.4, ""),
        ("The MOS is 3.1, and the MOS is 2.1.", None, "ambiguous"),
        ("MOS 2-3", None, "ambiguous"),
    ],
)
def test_fact_3_a_rating_is_read_or_missing(tmp_path: Path, answer: str, read: float | None, reason: str) -> None:
    with chatting(answer=answer) as server:
        (row,) = listen(record(tmp_path / "r.wav", R), "--endpoint", f"{server.url}/v1", "--model", "m")
    assert row["checked"]["rating"].get("value") == read
    assert row["checked"]["rating"].get("reason", "") == reason


def test_fact_4_correlations_and_errors_of_ratings_read_from_texts() -> None:
    pytest.importorskip("sacrebleu")
    from tiny_describer import caption
    from turnwise.training.evaluation import Said, evaluate, items_of

    def figures(true: Sequence[float], said: Sequence[float | str]) -> Any:
        items = items_of([caption(f"c{k}", value, "validation") for k, value in enumerate(true)])
        texts = {
            f"{item.id} straight": Said(item.id, "straight", f"MOS: {value}") for item, value in zip(items, said, strict=True)
        }
        return evaluate(items, texts, seed=1).fits["mos"]

    found = figures((1, 2, 3, 4), (1, 3, 2, 4))
    assert (found.lcc.value, found.srcc.value, found.mse.value) == (pytest.approx(0.8), pytest.approx(0.8), pytest.approx(0.5))
    found = figures((1, 2, 3, 4, 5), (1.2, 1.9, 3.4, 3.6, 4.9))
    assert found.lcc.value == pytest.approx(0.982421, abs=1e-6)
    assert (found.srcc.value, found.mse.value) == (pytest.approx(1.0), pytest.approx(0.076))
    # What cannot be read is a rate of its own and no 3.0.
    found = figures((1, 2, 3, 4, 5), (1.2, 1.9, 3.4, 3.6, "hard to say"))
    assert (found.mse.n, found.failures.value, found.missing) == (4, 0.2, {"no number": 1})


def test_fact_5_the_losses_of_the_alignment() -> None:
    torch = pytest.importorskip("torch")
    from turnwise.training.alld import alld_losses

    def loss(*values: float) -> tuple[float, float]:
        found = alld_losses(*(torch.tensor([value], dtype=torch.float64) for value in values), beta=0.1)
        return float(found.losses.mean()), float(found.margins[0])

    assert loss(-20, -30, -20, -30) == (pytest.approx(0.693147, abs=1e-6), 0.0)
    assert loss(-20, -25, -30, -22) == (pytest.approx(0.241008, abs=1e-6), pytest.approx(1.3))  # p of both, then r of both


def test_fact_6_the_mapping_of_dnsmos() -> None:
    pytest.importorskip("onnxruntime")
    from turnwise.quality.estimators.dnsmos import Dnsmos, DnsmosRater

    class Raw:
        """A model that gives the same raw scores for everything."""

        def __init__(self, *scores: float) -> None:
            self._scores = np.array([scores], np.float32)

        def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
            return [self._scores]

    for raw, mapped in ((3.0, (2.912007, 3.246400, 2.783454)), (1.0, (1.142111, 1.081441, 1.093827))):
        estimate = DnsmosRater(Dnsmos("one", "all", 1), Raw(2.5), Raw(raw, raw, raw)).rate(made_voice(2.0))
        values = {rating.scale.name: rating.value for rating in estimate.ratings}
        assert (values["sig"], values["bak"], values["ovrl"]) == pytest.approx(mapped, abs=1e-6)
        assert values["mos"] == 2.5  # P.808 is not mapped


def test_fact_7_the_placeholder_and_a_listener_that_is_none(tmp_path: Path) -> None:
    time = np.arange(16000) / 16000
    for amplitude, loud in ((0.005, 1), (0.02, 2), (0.05, 3), (0.2, 4), (0.5, 5)):
        path = tmp_path / f"{amplitude}.wav"
        soundfile.write(path, amplitude * np.sin(2 * np.pi * 440 * time), 16000, subtype="FLOAT")
        (row,) = listen(path, listener="published_heuristic")
        assert row["heard"]["ratings"]["loud"] == loud
        assert row["heard"]["ratings"]["sources"]["loud"] == "the published placeholder, no rating"  # never MOS
    from turnwise.listening.listeners.published_heuristic import overall_score

    assert (overall_score(4, 3, 5, 2), overall_score(1, 5, 5, 3)) == (3.8, 3.6)
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, 0.1 * np.random.default_rng(0).standard_normal(4 * 16000), 16000, subtype="FLOAT")
    (row,) = listen(noise, listener="published_heuristic")
    assert row["heard"]["ratings"]["col"] == 5.0
    pytest.importorskip("onnxruntime")
    (row,) = listen(noise, listener="embedded")
    assert row["heard"]["ratings"]["col"] is None or row["heard"]["ratings"]["col"] < 4.5
    assert row["heard"]["ratings"]["mos"] is None or row["heard"]["ratings"]["mos"] < 2


def test_fact_8_a_row_of_the_corpus_is_five_targets_five_deviations_and_whole_votes(tmp_path: Path) -> None:
    from turnwise.training.nisqa_corpus import read_corpus

    named = """
    db con file con_description filename_deg filename_ref source lang votes mos noi col dis loud noi_std col_std dis_std loud_std
    mos_std filepath_deg filepath_ref filter timeclipping wbgn p50mnru bgn clipping arb_filter asl_in asl_out codec1 codec2 codec3
    plcMode1 plcMode2 plcMode3 wbgn_snr bgn_snr tc_fer tc_nburst cl_th bp_low bp_high p50_q bMode1 bMode2 bMode3 FER1 FER2 FER3
    asl_in_level asl_out_level
    """
    header = named.split()
    part = tmp_path / "NISQA_VAL_SIM"
    (part / "deg").mkdir(parents=True)
    (part / "deg" / "x.wav").touch()
    cells = dict.fromkeys(header, "") | {"db": part.name, "con": "7.0", "filename_deg": "x.wav", "filename_ref": "ref.wav"}
    cells |= {"votes": "5", **dict(zip(DIMENSIONS, map(str, R), strict=True)), "filepath_deg": f"{part.name}/deg/x.wav"}
    cells |= {f"{name}_std": f"0.{k}" for k, name in enumerate(DIMENSIONS, 1)}
    (part / f"{part.name}_file.csv").write_text(",".join(header) + "\n" + ",".join(cells.values()) + "\n")
    (row,) = read_corpus(tmp_path, [part.name])
    assert tuple(row.ratings.value(name) for name in DIMENSIONS) == R
    assert row.deviations == {"mos": 0.1, "noi": 0.2, "col": 0.3, "dis": 0.4, "loud": 0.5}
    assert (row.votes, type(row.votes), row.condition) == (5, int, "7")


def test_weakness_a_no_file_is_written_whose_content_was_not_made(two_files: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    two_files("--published", out)
    assert sorted(path.name for path in out.iterdir()) == sorted(PUBLISHED)
    with chatting(answer="The speech sounds great.") as server:  # what a stub says
        told = two_files("--published", out, "--endpoint", f"{server.url}/v1", "--model", "m")
    assert "ab_test.txt" in told["absent_files"]
    assert not (out / "ab_test.txt").exists()
    told = two_files("--published", out, "--describer", "none")
    assert {path.name for path in out.iterdir()} == {"audio1_metrics.json", "audio2_metrics.json", "ab_test_summary.txt"}
    assert set(told["absent_files"]) == set(PUBLISHED) - {path.name for path in out.iterdir()}


def by_model(two_files: Callable[..., Any], summary: Callable[[str], str]) -> Any:
    """The comparison by a model that says which file it saw first, and whose summary is made of that."""

    def answer(request: Request) -> str:
        if "SpeechA: {" in request.said:
            return (
                f"Of these the {'better' if request.said.index('3.9') < request.said.index('2.4') else 'worse'} one is SpeechA."
            )
        return summary(request.said) if "SpeechA" in request.said else "MOS 3.9"

    with chatting(answer=answer) as server:
        return two_files("--endpoint", f"{server.url}/v1", "--model", "m")


def test_weakness_b_a_summary_is_one_of_the_tokens_and_agrees_with_the_ratings(two_files: Callable[..., Any]) -> None:
    told = by_model(two_files, lambda said: "SpeechA, I think")
    assert [trouble["cause"] for trouble in told["troubles"]] == ["no-summary"]
    told = by_model(two_files, lambda said: "[SpeechB]" if "better" in said else "[SpeechA]")
    assert {trouble["cause"] for trouble in told["troubles"]} == {"contradiction"}
    assert told["summary"] == "[SpeechA]"  # the rule's


def test_weakness_c_ties_are_said_and_places_are_controlled_for(two_files: Callable[..., Any]) -> None:
    assert two_files("--tie", "1.5")["summary"] == "[Tie]"
    assert two_files("--tie", "1.49")["summary"] == "[SpeechA]"
    told = by_model(two_files, lambda said: "[SpeechA]")
    assert (told["both_orders_agree"], told["position_bias"]) == (False, "the one shown first")


def test_weakness_d_nothing_is_validated_on_what_was_trained(tmp_path: Path) -> None:
    from tiny_describer import caption
    from turnwise.training.example_file import held_apart
    from turnwise.training.recipe import read_recipe

    raw = {"name": "r", "seed": 1, "alld": {}, "data": {"train": ["X"], "validation": ["X"]}}
    with pytest.raises(InputError, match="X is also trained on"):
        read_recipe(raw, "recipe")
    with pytest.raises(InputError, match="both trained on and held out"):
        held_apart([caption("c1", 3.0, "train"), caption("c1", 3.0, "validation")], "examples")


@pytest.mark.parametrize("listener", ["published_heuristic", "embedded"])
def test_weakness_e_what_is_too_short_or_silent_is_no_rating_and_no_crash(tmp_path: Path, listener: str) -> None:
    if listener == "embedded":
        pytest.importorskip("onnxruntime")
    soundfile.write(tmp_path / "short.wav", 0.1 * np.ones(320), 16000)  # 20 ms
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    for row in listen(tmp_path / "short.wav", tmp_path / "silent.wav", listener=listener):
        assert {row["heard"]["ratings"][name] for name in DIMENSIONS} == {None}
        assert set(row["heard"]["ratings"]["missing"]) == set(DIMENSIONS)
        assert not row.get("troubles")


def test_weakness_f_what_was_not_published_is_here() -> None:
    """Requirements, a licence, and code for data, reading and evaluation."""
    from turnwise.listening.rating_reading import read_rating
    from turnwise.training.evaluation import evaluate
    from turnwise.training.nisqa_corpus import read_corpus

    told = metadata("turnwise")
    assert told["License-Expression"] == "Apache-2.0"
    assert told.get_all("Requires-Dist")
    assert all(map(callable, (read_rating, evaluate, read_corpus)))


def test_the_recipe_has_the_published_settings() -> None:
    from turnwise.training.recipe import VARIANTS, Alld, Sft

    sft, alld = Sft(), Alld()
    assert (sft.epochs, sft.batch, sft.rate) == (2.0, 4, 1e-5)
    assert (alld.epochs, alld.batch, alld.rate, alld.beta, alld.warmup) == (1.0, 1, 1e-5, 0.1, 0.1)
    assert alld.reference == "Qwen/Qwen2-7B-Instruct"
    assert set(VARIANTS.values()) == {(1.0, 0.9), (0.9, 0.85), (0.9, 0.95), (1.1, 0.85), (1.1, 0.95)}
