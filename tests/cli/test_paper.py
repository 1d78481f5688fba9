"""`turnwise paper`: the published layout for a run, beside the published figures or alone."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from made_panel import GPT, panel_results
from made_results import made_results
from report.shown_results import HOSTILE, few
from small_study import small_study
from turnwise.cli.paper import paper_command
from turnwise.judges.judge import Criterion
from turnwise.judges.verdict import Score
from turnwise.statistics.published_table import published
from turnwise.study.experiment import carry_out
from turnwise.study.results import Instrument, Results

ARMS = ("Omni-7B (E2E)", "omni-7b (M)", "text-only", "dumb")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Results:
    results = panel_results(arms=ARMS, dialogues=6, rounds=(5, 11), mute=("dumb",), fault_share=0.02)
    monkeypatch.setattr("turnwise.study.experiment.load_results", lambda run: results)
    return results


def called(*arguments: object) -> Result:
    done = CliRunner().invoke(paper_command, ["run", *map(str, arguments)], standalone_mode=False)
    assert done.exception is None, done.exception
    assert done.return_value == 0
    return done


def tables(text: str) -> dict[str, list[list[str]]]:
    """Tables of the text form: title -> rows of cells."""
    made = {}
    for title, body in re.findall(r"\n\n([^\n]+)\n\n(system.*?|model.*?|  .*?)\n\n", "\n\n" + text, re.DOTALL):
        made[title] = [re.split(r"\s{2,}", line.strip()) for line in body.splitlines() if not line.startswith("---")]
    return made


def test_the_layout_of_the_paper(loaded: Results) -> None:
    done = called()
    assert done.output.startswith("Study made, plan b2:plan, 2026-01-01: 6 dialogues, ")
    assert "No criterion of this run gives intelligibility." in done.output
    assert "Without a single score: dumb." in done.output
    found = tables(done.output)
    assert list(found) == [
        "Table 1. Sound and dialogue, over all rounds",
        "Table 1, modular minus end-to-end",
        "Table 2. Failures",
        "Table 2, E2E / M",
        *(f"Table 5. {label}{name} per round" for name in ("naturalness", "consistency") for label in ("", "gpt/", "qwen/")),
        "Figure 1. Latency against coherence",
        "Figure 2, below. overall per round",
        "Figure 2, below. voice consistency per round",
        "Figure 3. Dialogue against sound",
    ]
    first = found["Table 1. Sound and dialogue, over all rounds"]
    assert first[0][:4] == ["system", "quality: overall, MOS 1-5", "intelligibility", "naturalness"]
    assert first[1][1:5] == ["sound_quality", "not measured", "dialogue_quality", f"gpt/dialogue_quality ({GPT})"]
    assert [row[0] for row in first[2:]] == list(ARMS)
    planned = sum(len(c.rounds) for c in loaded.conversations if c.arm == "dumb")
    assert set(first[-1][1:]) == {f"–, n = 0; {planned} silent", "–"}
    n = sum("naturalness" in {k for k, o in a.outcomes.items() if type(o).__name__ == "Score"}
            for c in loaded.conversations if c.arm == "text-only" for a in c.rounds)  # fmt: skip
    assert f", n = {n}" in first[-2][3]
    assert found["Table 2. Failures"][0] == ["system", "Gen.", "Topic", "Rep.", "Mis.", "Mem."]
    rounds = found["Table 5. naturalness per round"]
    assert rounds[0][:11] == ["system", *(f"R{r}" for r in range(1, 11))]
    assert rounds[0][11:] == ["mean of rounds", "slope of rounds", "slope within dialogues", "falls"]
    assert rounds[2][0] == "n" and rounds[2][1] == "6"
    assert found["Table 1, modular minus end-to-end"][1][-1] in ("yes", "in part", "no")
    assert "By gpt/dialogue_quality (gpt-4o-mini-2024-07-18)." in done.output
    assert "published" not in done.output


def test_published_figures_stand_under_the_arm_of_their_name(loaded: Results) -> None:
    found = tables(called("--beside").output)
    for title, key in (("Table 1. Sound and dialogue, over all rounds", "1"), ("Table 2. Failures", "2")):
        (source,) = published(key)
        names = [row[0] for row in found[title][2:]]
        assert names[:4] == [ARMS[0], f"published: {ARMS[0]}", ARMS[1], "published: Omni-7B (M)"]
        assert names[4:6] == ["text-only", "dumb"]
        assert {name.removeprefix("published: ") for name in names if name.startswith("published")} == set(source.rows)
        assert len(names) == len(set(names))
    assert found["Table 1. Sound and dialogue, over all rounds"][3][1:5] == ["3.87", "0.98", "68.2", "–"]
    assert found["Table 2. Failures"][3][1:] == ["28.9", "10.7", "9.8", "10.6", "7.9"]
    rounds = found["Table 5. gpt/consistency per round"]
    printed = ["79.4", "70.9", "68.9*", "71.5", "65.7*", "67.2*", "72.2", "71.5", "68.2*", "71.6"]
    assert rounds[3] == ["published: Omni-7B (E2E)", *printed, "70.71", "−0.44", "–", "4"]
    assert found["Table 2, E2E / M"][-1] == ["published: Omni-7B", "2.09", "3.15", "4.08", "5.30", "4.39"]


HEARD = [("audio_quality", name, "points of 100", 100.0) for name in ("audio_naturalness", "audio_clarity")]
MEASURED = [
    ("sound_quality", "mos", "MOS 1-5", 5.0),
    ("sound_quality", "predicted_intelligibility", "share understood, predicted", 1.0),
]


def beside(monkeypatch: pytest.MonkeyPatch, given: list[tuple[str, str, str, float]]) -> tuple[list[list[str]], str]:
    """Table 1 of a run with these (judge, criterion, unit, end of scale), beside the published one; and all that is printed."""
    made = made_results(ARMS[:2], 2, 3)
    named = tuple(Instrument(Criterion(name, unit, "higher", 0.0, high), judge, "b2:1") for judge, name, unit, high in given)
    outcomes = {i.criterion.name: Score(0.5) for i in named}
    judged = tuple(
        msgspec.structs.replace(c, rounds=tuple(msgspec.structs.replace(a, outcomes=outcomes) for a in c.rounds))
        for c in made.conversations
    )
    results = msgspec.structs.replace(made, instruments=named, conversations=judged)
    monkeypatch.setattr("turnwise.study.experiment.load_results", lambda run: results)
    printed = called("--beside").output
    return tables(printed)["Table 1. Sound and dialogue, over all rounds"], printed


def test_scores_of_another_unit_stand_in_columns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's points of 100 are no MOS, and no published MOS stands among them."""
    (head, by, _, printed, *_), text = beside(monkeypatch, HEARD + MEASURED)
    assert head[1:5] == [
        "quality: mos, MOS 1-5",
        "audio_naturalness, points of 100",
        "intelligibility: predicted_intelligibility, share understood, predicted",
        "audio_clarity, points of 100",
    ]
    assert by[1:5] == ["sound_quality", "audio_quality"] * 2
    assert printed[:5] == [f"published: {ARMS[0]}", "3.87", "–", "0.98", "–"]
    assert "not to be set beside its figures: audio naturalness and audio clarity" in text


def test_where_only_a_model_was_asked_the_published_figures_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (head, by, own, printed, *_), text = beside(monkeypatch, HEARD)
    assert head[1:5] == ["quality", "audio_naturalness, points of 100", "intelligibility", "audio_clarity, points of 100"]
    assert by[1:5] == ["not measured", "audio_quality"] * 2
    assert [own[1], own[3]] == ["–", "–"]
    assert printed[1:5] == ["3.87", "–", "0.98", "–"]
    assert "No criterion of this run gives quality, intelligibility, naturalness" in text
    assert "Of another unit" not in beside(monkeypatch, MEASURED)[1]


def test_fewer_rounds(loaded: Results) -> None:
    found = tables(called("--rounds", 3, "--beside").output)
    rounds = found["Table 5. consistency per round"]
    assert rounds[0][1:5] == ["R1", "R2", "R3", "mean of rounds"]
    assert rounds[3][:4] == ["published: Omni-7B (E2E)", "79.4", "70.9", "68.9*"]


@pytest.mark.parametrize(("form", "sign"), [("markdown", "|---|"), ("latex", r"\begin{tabular}")])
def test_other_forms_hold_the_same_tables(loaded: Results, form: str, sign: str) -> None:
    assert called("--format", form).output.count(sign) == len(tables(called().output))


def test_files(loaded: Results, tmp_path: Path) -> None:
    done = called("--out", tmp_path / "paper", "--beside")
    assert done.output.splitlines()[-1] == str(tmp_path / "paper")
    files = {path.name for path in (tmp_path / "paper").iterdir()}
    drawn = {f"figure-{k}.{kind}" for k in (1, 2, 3) for kind in ("svg", "png")}
    assert files == {"paper.txt", "paper.md", "paper.tex", *drawn}
    assert (tmp_path / "paper" / "paper.txt").read_text(encoding="utf-8") == done.output.removesuffix(f"{tmp_path / 'paper'}\n")
    assert (tmp_path / "paper" / "figure-2.png").read_bytes().startswith(b"\x89PNG")
    panels = (tmp_path / "paper" / "figure-2.svg").read_text(encoding="utf-8")
    for name in ("naturalness", "consistency", "overall", "voice consistency"):
        assert f">{name}</text>" in panels
    assert "MOS 1-5, higher is better; by sound_quality" in panels
    matrix = (tmp_path / "paper" / "figure-3.svg").read_text(encoding="utf-8")
    assert "gpt/consistency and voice consistency: r " in matrix
    assert "#0a0b" not in panels + matrix


def test_what_a_run_lacks_is_said_and_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = few(made_results(("a", "b"), 2, 3), ("memory",))
    monkeypatch.setattr("turnwise.study.experiment.load_results", lambda run: results)
    done = called("--out", tmp_path)
    assert "gives quality, intelligibility, naturalness, consistency and voice consistency." in done.output
    assert 'No two arms are called "X (E2E)" and "X (M)"' in done.output
    found = tables(done.output)
    assert list(found) == ["Table 1. Sound and dialogue, over all rounds", "Table 2. Failures"]
    assert found["Table 2. Failures"][1] == ["by", *["not measured"] * 4, "failures"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["paper.md", "paper.tex", "paper.txt"]


def test_a_constant_series_is_undefined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = few(made_results(("a",), 3, 4), ("naturalness", "overall"))
    flat = tuple(
        msgspec.structs.replace(
            c, rounds=tuple(msgspec.structs.replace(a, outcomes={**a.outcomes, "overall": Score(3.0)}) for a in c.rounds)
        )
        for c in made.conversations
    )
    results = msgspec.structs.replace(made, conversations=flat)
    monkeypatch.setattr("turnwise.study.experiment.load_results", lambda run: results)
    done = called("--out", tmp_path)
    assert "undefined, n = 12" in done.output
    assert ">undefined</text>" in (tmp_path / "figure-3.svg").read_text(encoding="utf-8")
    assert "not measured" in (tmp_path / "figure-2.svg").read_text(encoding="utf-8")


def test_hostile_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = few(made_results((f"{HOSTILE[0]}\x1b[2J (E2E)", "b\u202e (M)"), 2, 3), ("naturalness", "memory", "overall"))
    monkeypatch.setattr("turnwise.study.experiment.load_results", lambda run: results)
    text = called("--out", tmp_path).output
    assert "\x1b" not in text and "\u202e" not in text
    assert "<script>" not in (tmp_path / "paper.md").read_text(encoding="utf-8")
    for path in tmp_path.glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


def test_a_real_run(tmp_path: Path) -> None:
    arms = {
        "X (E2E)": {"agent": "echo", "options": {"voice": True, "silent_on": [2]}},
        "X (M)": {"agent": "echo", "options": {"voice": True}},
    }
    carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0)
    done = CliRunner().invoke(paper_command, [str(tmp_path / "run"), "--beside"], standalone_mode=False)
    assert done.exception is None
    found = tables(done.output)
    assert found["Table 2. Failures"][1] == ["by", "not measured", "not measured", "repetition", "not measured", "not measured"]
    assert found["Table 2. Failures"][2] == ["X (E2E)", "–", "–", "0.0 [0.0, 0.0], n = 9; 3 silent", "–", "–"]
    assert "undefined" in found["Table 2, E2E / M"][1]


def test_help_shows_an_example() -> None:
    assert "Example: turnwise paper runs/first --beside --out paper" in CliRunner().invoke(paper_command, ["--help"]).output
