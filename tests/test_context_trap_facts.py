"""Facts about the published study that this package must reproduce or undo, one test each, by their numbers.

 1 loader       4 rounds     7 contradictions   10 resuming        13 n per round, clusters, pairs
 2 sampler      5 missing    8 Table 5          11 words survive   14 undefined correlations
 3 statistics   6 replies    9 Table 2          12 one history

The finer tests stand beside the code; these take the shortest real path.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from dialogues.made_up import FIXTURES, TABLE_4, dialogue, population, published_shape
from made_results import judged_results, made_results
from small_study import dialogues, small_study, write_corpus
from turnwise.agents.agent import Context
from turnwise.cli.corpus import corpus_group
from turnwise.cli.published import published_command
from turnwise.dialogues.corpora import msgd
from turnwise.dialogues.dialogue import Turn
from turnwise.dialogues.sampling import sample
from turnwise.dialogues.validation import structural, validate
from turnwise.judges.verdict import Fault, Score
from turnwise.statistics.claims import claims
from turnwise.statistics.grid import grid_of
from turnwise.statistics.published_table import falls, means, published, ratios, tilts
from turnwise.statistics.summary import Options, summarise
from turnwise.statistics.summary_json import summary_json
from turnwise.statistics.table import tidy
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.view import Happened, show, shown_lines

QUICK = Options(draws=200, flips=200)


def test_fact_1_the_loader_reports_what_is_irregular_in_the_thirteen() -> None:
    reading = msgd.read(FIXTURES / "msgd_thirteen.json")
    found = {finding.kind: finding for finding in validate(reading).findings}
    assert len(reading.dialogues) == 13
    assert (found["agent-first"].count, found["same-speaker"].count) == (1, 1)
    assert (found["quoted-turn"].dialogues, found["unknown-intent"].count) == (2, 2)
    third = next(d for d in reading.dialogues if d.id == "merge_0003")
    assert [r.position for r in third.rounds()] == list(range(1, len(third.turns), 2))


def test_fact_2_the_sampler_keeps_proportions_and_fills_up() -> None:
    def drawn(n: int, **counts: int) -> dict[str, int]:
        return dict(Counter(d.intent for d in sample(population(**counts), n, seed=1)))

    assert drawn(10, A=60, B=30, C=10) == {"A": 6, "B": 3, "C": 1}
    assert drawn(500, **TABLE_4) == TABLE_4
    assert sum(drawn(50, A=100, B=2).values()) == 50
    corpus = population(A=60, B=30, C=10)
    assert sample(corpus, 10, seed=4) == sample(corpus, 10, seed=4) != sample(corpus, 10, seed=5)


def test_fact_3_the_statistics_of_the_500(tmp_path: Path) -> None:
    path = tmp_path / "msgd.json"
    msgd.write(published_shape(), path)
    done = CliRunner().invoke(corpus_group, ["stats", str(path), "--format", "msgd"])
    rows = {line.partition("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["dialogues"][-1] == "500"
    assert rows["turns"][-1] == "10175"
    assert rows["quantity"][1:6] == ["value", "SD", "(population)", "SD", "(sample)"]
    assert rows["mean turns per dialogue"][4:9] == ["20.35", "6.68", "6.68", "7", "72"]
    assert rows["mean transition position"][3] == "8.10"
    assert rows["mean chitchat length"][3] == "5.30"


def test_fact_4_rounds_of_a_dialogue_with_an_unanswered_turn() -> None:
    irregular = dialogue("d", "uauuaa")
    answered = [r for r in irregular.rounds() if r.written is not None]
    assert [(r.user.text, r.written.text) for r in answered if r.written] == [("u0", "a0"), ("u2", "a1")]
    before = [Happened(r, None, None) for r in irregular.rounds()[:2]]
    view = show(irregular, "", Context(user="written", replies="written"), before, Happened(answered[1], None, None))
    assert shown_lines(view) == ("user: u0", "agent: a0", "user: u1")
    # The unanswered turn and the second answer in a row are told; a study plays the unanswered turn too.
    assert [(i.kind, i.position) for i in structural(irregular)] == [("same-speaker", 3), ("same-speaker", 5)]
    assert [r.user.text for r in irregular.rounds() if r.written is None] == ["u1"]


def test_fact_5_a_parse_error_is_missing_and_not_zero() -> None:
    outcomes = (Score(80.0), Score(80.0), Fault("parse"), Score(80.0))
    summary = summarise(judged_results(lambda arm, d, r: outcomes[r - 1], lengths=[4]), QUICK)
    estimate = summary.arms[0].criteria["consistency"].estimate
    assert (estimate.mean, estimate.n, estimate.missing) == (80.0, 3, {"parse": 1})


def test_fact_6_replies_of_judges_are_read_or_missing() -> None:
    from turnwise.judges.bench.dialogue_quality import METRICS as TURN
    from turnwise.judges.bench.sales_dialogue import METRICS as WHOLE
    from turnwise.judges.score_form import ScoreForm

    form = ScoreForm("", TURN)
    bare = json.dumps({"naturalness": {"reason": "good", "score": 90}, "consistency": {"reason": "so", "score": "85%"}})
    for text in (bare, f"```json\n{bare}\n```", f"Here you are.\n{bare}\nThat is my view."):
        assert {name: score.value for name, score in form.read(text).scores.items()} == {"naturalness": 90.0, "consistency": 85.0}
    high = form.read('{"naturalness": {"score": 120}, "consistency": {"score": 85}}')
    assert high.wrong["naturalness"].cause == "out-of-range"
    assert list(high.scores) == ["consistency"]
    for text, lost in (("I cannot rate this.", 2), ("", 2), ('{"naturalness": {"score": 90}}', 1), ('{"naturalness": {}}', 2)):
        found = form.read(text)
        assert len(found.wrong) == lost and {defect.cause for defect in found.wrong.values()} == {"parse"}
        assert not any(score.value == 0 for score in found.scores.values())
    misspelt = '{"Naturalness": 70, "coherence": 71, "smoothness": 72, "agent aggresiveness": 40, "agent consistancy": 74}'
    read = ScoreForm("", WHOLE).read(misspelt).scores
    assert {name.removeprefix("dialogue_"): score.value for name, score in read.items()} == {
        "naturalness": 70.0, "coherence": 71.0, "smoothness": 72.0, "aggressiveness": 40.0, "consistency": 74.0,
    }  # fmt: skip


def test_fact_7_a_failure_that_contradicts_itself_is_flagged() -> None:
    from turnwise.judges.bench.failures import FAILURES, FailureForm

    def read(primary: str = "none", **severities: tuple[bool, int]) -> dict[str, str]:
        answer: dict[str, Any] = {}
        for name, (key, _) in FAILURES.items():
            present, severity = severities.get(name, (False, 0))
            answer[key] = {"present": present, "severity": severity, "reason": "why"}
        has = any(present for present, _ in severities.values())
        answer["overall_assessment"] = {"has_failure": has, "primary_failure": primary, "explanation": "x"}
        return {name: defect.cause for name, defect in FailureForm("").read(json.dumps(answer)).wrong.items()}

    assert read() == {}
    assert read("lack_of_memory", memory=(True, 60)) == {}
    assert read("lack_of_memory", memory=(True, 0))["memory"] == "contradiction"
    assert read(memory=(False, 60))["memory"] == "contradiction"
    assert read("something else", memory=(True, 60)) != {}


def test_fact_8_what_follows_from_table_5() -> None:
    expected = {
        "5c": {"GPT-4o-m (T)": (95.75, 0.08), "GPT-4o-m (M)": (90.95, 0.07), "MiMo (E2E)": (74.48, -1.01),
               "MiMo (M)": (70.16, -1.05), "Omni-3B (E2E)": (29.63, -2.04), "Omni-3B (M)": (76.60, -0.59),
               "Omni-7B (E2E)": (70.71, -0.44), "Omni-7B (M)": (86.96, -0.22)},
        "5n": {"GPT-4o-m (T)": (92.26, 0.01), "GPT-4o-m (M)": (89.14, 0.24), "MiMo (E2E)": (71.69, -0.43),
               "MiMo (M)": (66.21, -0.97), "Omni-3B (E2E)": (28.83, -1.73), "Omni-3B (M)": (73.55, -0.47),
               "Omni-7B (E2E)": (68.43, -0.22), "Omni-7B (M)": (82.74, -0.16)},
    }  # fmt: skip
    for key, rows in expected.items():
        (table,) = published(key)
        for name, (mean, slope) in rows.items():
            assert round(means(table)[name], 2) == mean
            # The slope of Omni-7B (M) is -0.2145: half a unit of its last digit from the printed one.
            assert tilts(table)[name] == pytest.approx(slope, abs=0.0056)
    fallen = {(key, name): len(rounds) for key in expected for name, rounds in falls(published(key)[0]).items() if rounds}
    assert fallen == {
        ("5c", "Omni-3B (E2E)"): 9,
        ("5c", "MiMo (E2E)"): 5,
        ("5c", "Omni-7B (E2E)"): 4,
        ("5c", "Omni-3B (M)"): 2,
        ("5n", "Omni-3B (E2E)"): 9,
    }
    assert "M > E2E holds for 2 of 3 models" in claims()[0].evidence
    assert "HOLDS IN PART (paper): Modular systems" in CliRunner().invoke(published_command, []).output


def test_fact_9_the_ratios_of_table_2() -> None:
    (table,) = published("2")
    order = [table.columns.index(c) for c in ("generic", "topic", "repetition", "misunderstanding", "memory")]
    assert {model: tuple(round(values[k], 2) for k in order) for model, values in ratios(table).items()} == {
        "MiMo": (0.66, 2.52, 0.17, 3.26, 0.30),
        "Omni-3B": (3.51, 2.06, 7.11, 3.44, 6.68),
        "Omni-7B": (2.09, 3.15, 4.08, 5.30, 4.39),
    }


FRAIL = '''"""Speaks back what it hears; breaks on round 3 while a file is absent."""
import pathlib
from turnwise.agents.agent import Reply, Timings
from turnwise.foundation.errors import EngineError
from turnwise.speech.engine import SYNTHESIZERS
class Frail:
    speaks = True
    def __init__(self, cure): self.cure = pathlib.Path(cure)
    def identity(self): return {}
    def open(self, surroundings):
        self.clips, self.voice = surroundings.clips, SYNTHESIZERS.build("stub").open()
        return self
    def answer(self, view, *, seed):
        if view.round == 3 and not self.cure.exists(): raise EngineError("timeout", "not yet")
        text = f"Reply {view.round}."
        return Reply(text, self.clips.keep(self.voice.speak(text, seed=1)), timings=Timings(think=0.1))
    def close(self): pass
def agent(cure): return Frail(cure)
'''


def test_fact_10_a_dialogue_that_was_cut_goes_on_where_it_was_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "frail.py").write_text(FRAIL)
    monkeypatch.syspath_prepend(tmp_path)
    study = small_study(tmp_path, arms={"frail": {"agent": "frail:agent", "options": {"cure": str(tmp_path / "cure")}}})
    out = tmp_path / "run"
    carry_out(study, out, workers=0)
    cut = load_results(out)
    assert [a.reply is not None for a in cut.conversations[0].rounds] == [True, True, False, False]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / "clips").rglob("*.flac")}
    (tmp_path / "cure").touch()
    done = carry_out(study, out, workers=0)
    assert done.complete
    whole = load_results(out)
    assert all((path.read_bytes(), path.stat().st_mtime_ns) == was for path, was in before.items())
    for old, new in zip(cut.conversations, whole.conversations, strict=True):
        assert [a.reply for a in old.rounds[:2]] == [a.reply for a in new.rounds[:2]]
        for answered, written in zip(new.rounds, new.dialogue.rounds(), strict=True):
            assert answered.reply is not None and answered.reply.text == f"Reply {written.number}."
            assert answered.user_heard == written.user.text  # round k is always user turn k


def test_fact_11_what_an_agent_says_is_not_cut_or_cleaned(tmp_path: Path) -> None:
    said = "I can be your Assistant for tonight's booking. Call (312) 555-0100 if *anything* changes."
    (corpus,) = dialogues(1, 1)
    written = msgspec.structs.replace(corpus, turns=(Turn("user", said), *corpus.turns[1:]))
    study = small_study(tmp_path, arms={"voice": {"agent": "echo", "options": {"voice": True}}})
    write_corpus(tmp_path, [written])  # in place of the study's own
    carry_out(study, tmp_path / "run", workers=0)
    (answered,) = load_results(tmp_path / "run").conversations[0].rounds
    assert answered.reply is not None
    assert answered.reply.text == answered.transcript == f"You said: {said}"


def test_fact_12_one_policy_of_history_for_all_and_recorded_as_sent(tmp_path: Path) -> None:
    arms = {"voice": {"agent": "echo", "options": {"voice": True}}, "text": {"agent": "echo"}}
    study = small_study(tmp_path, arms=arms, context={"past": 1, "user": "transcript"})
    assert {arm.context for arm in study.arms} == {Context(past=1, user="transcript")}
    carry_out(study, tmp_path / "run", workers=0)
    for conversation in load_results(tmp_path / "run").conversations:
        rounds = conversation.rounds
        assert rounds[0].shown == ()
        for last, now in itertools.pairwise(rounds):
            assert last.reply is not None
            assert now.shown == (f"user: {last.user.text}", f"agent: {last.reply.text}")
    declared = json.loads((tmp_path / "run" / "manifest.json").read_text())["study"]["arms"]
    assert {arm["context"]["past"] for arm in declared} == {1}


def test_fact_13_n_per_round_intervals_over_dialogues_and_pairs() -> None:
    results = made_results(("frame", "retrieval"), 14, (4, 9), fault_share=0.1)
    summary = summarise(results, Options(draws=4000, flips=200, expand=False))
    grid = grid_of(tidy(results))
    values = grid.of("frame", "consistency")
    reading = summary.arm("frame").criteria["consistency"]
    assert [p.n for p in reading.curve.all] == [int(np.isfinite(values[:, r]).sum()) for r in range(summary.last_round)]
    sums = (np.nansum(values, axis=1), np.isfinite(values).sum(axis=1))
    drawn = stats.bootstrap(
        sums, lambda total, n, axis: total.sum(axis=axis) / n.sum(axis=axis), paired=True, method="percentile", n_resamples=4000,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert reading.estimate.low == pytest.approx(drawn.low, abs=0.35)
    assert reading.estimate.high == pytest.approx(drawn.high, abs=0.35)
    turn_by_turn = stats.sem(values[np.isfinite(values)]) * 1.96  # as if turns were independent: too narrow
    assert reading.estimate.low is not None and reading.estimate.mean is not None
    assert reading.estimate.mean - reading.estimate.low > 1.2 * turn_by_turn
    contrast = summary.contrast("frame", "retrieval", "consistency")
    gap = values - grid.of("retrieval", "consistency")
    assert (contrast.n, contrast.left_out > 0) == (int(np.isfinite(gap).sum()), True)
    assert contrast.difference == pytest.approx(np.nanmean(gap))


def test_fact_14_a_constant_series_has_no_correlation() -> None:
    results = made_results(("frame",), 3, 4)
    flat = tuple(
        msgspec.structs.replace(
            c, rounds=tuple(msgspec.structs.replace(a, outcomes={**a.outcomes, "overall": Score(3.5)}) for a in c.rounds)
        )
        for c in results.conversations
    )
    made = summary_json(summarise(msgspec.structs.replace(results, conversations=flat), QUICK))
    pairs = [pair for matrix in made["correlations"] for pair in matrix["pairs"] if "overall" in (pair["a"], pair["b"])]
    assert pairs
    assert {(pair["pearson"], pair["spearman"], pair["ci"]) for pair in pairs} == {("undefined", "undefined", None)}
