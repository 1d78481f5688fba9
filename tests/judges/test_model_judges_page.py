"""`docs/model_judges.md` says what the judges say: definitions, criteria, costs, and a study file that can be read."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

from turnwise.dialogues.corpus import CORPORA
from turnwise.dialogues.dialogue import Turn
from turnwise.judges.judge import JUDGES, Exchange, Spoken
from turnwise.judges.model_judge import ModelJudge, Question
from turnwise.speech.clip import Clip
from turnwise.study.study_file import load_study

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "model_judges.md").read_text(encoding="utf-8")
NAMES = ("dialogue_quality", "failures", "audio_quality", "same_voice", "sales_dialogue")
CLIP = Clip("b2:" + "0" * 32, 16000, 1.0)
CHARACTERS_PER_TOKEN = 4


def built(name: str) -> ModelJudge:
    judge: ModelJudge = JUDGES.build(name, {"model": "m"})
    return judge


def tokens(question: Question) -> int:
    assert question.form is not None
    texts = [question.form.instructions, *(part for part in question.parts if isinstance(part, str))]
    return -(-sum(map(len, texts)) // CHARACTERS_PER_TOKEN)


def spoken(number: int, user: str, agent: str) -> Spoken:
    return Spoken(number, Turn("user", user), None, None, agent, agent, CLIP)


def rows(heading: str) -> dict[str, list[str]]:
    """A table of the page, by the first cell of each row."""
    table = PAGE.partition(heading)[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("name", NAMES)
def test_definitions_are_the_ones_the_model_is_told(name: str) -> None:
    judge = built(name)
    told = judge.question(Exchange("d", "", (), (spoken(1, "u", "a"), spoken(2, "u", "a")), last=True))
    assert told.form is not None
    defined = re.findall(r'^- "\w+": (.+)$', told.form.instructions, re.MULTILINE)
    page = " ".join(PAGE.split())
    for criterion, definition in zip(judge.criteria, defined, strict=True):
        assert f"- `{criterion.name}`: {definition}" in page


def test_the_table_of_criteria() -> None:
    table = rows("## What each asks\n\n| judge")
    assert tuple(table) == NAMES
    for name, (criteria, shown, _) in table.items():
        judge = built(name)
        assert criteria == ", ".join(f"`{criterion.name}`" for criterion in judge.criteria)
        assert shown == ("words, recordings" if judge.hears else "words")


@pytest.mark.parametrize("name", NAMES)
def test_costs(name: str) -> None:
    question = built(name).question
    unsaid = tuple(spoken(number, "", "x") for number in range(1, 3 if name == "same_voice" else 2))
    fixed = tokens(question(Exchange("d", "", (), unsaid, last=True)))
    each = []
    for dialogue in CORPORA.build("demo").read(None).dialogues:
        answered = [(r.number, r.user.text, r.written.text) for r in dialogue.rounds() if r.written is not None]
        said = [spoken(*one) for one in answered]
        for number in range(1, len(said) + 1):
            asked = question(Exchange(dialogue.id, "", (), tuple(said[:number]), last=number == len(said)))
            each += [tokens(asked)] if asked.form is not None else []
    assert [int(cell) for cell in rows("with the written replies).\n\n| judge")[name][:3]] == [
        fixed,
        round(statistics.mean(each)),
        max(each),
    ]


def test_the_study_file_is_read(tmp_path: Path) -> None:
    (study,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "study.toml"
    path.write_text('name = "s"\n[arms.a]\nagent = "echo"\n' + study)
    judges = load_study(path).judges
    assert [judge.title for judge in judges] == ["house/dialogue_quality", "house/failures", "consistency"]
    assert [judge.repeats for judge in judges] == [3, 1, 1]
