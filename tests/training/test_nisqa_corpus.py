"""The NISQA corpus as its tables have it, in parts and as a whole, and what is wrong with a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import tiny_describer
from turnwise.foundation.errors import InputError
from turnwise.listening.ratings import DIMENSIONS
from turnwise.training.nisqa_corpus import PARTS, Row, read_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_describer.corpus(tmp_path_factory.mktemp("nisqa"), {"NISQA_TRAIN_SIM": 5, "NISQA_VAL_SIM": 3}, seconds=0.05)


def edited(corpus: Path, folder: Path, **cells: str | None) -> Path:
    """A copy of a part's table with some cells of its second row changed, or a column left out."""
    part = folder / "NISQA_VAL_SIM"
    part.mkdir()
    with (corpus / "NISQA_VAL_SIM" / "NISQA_VAL_SIM_file.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (folder / "NISQA_VAL_SIM" / "deg").symlink_to(corpus / "NISQA_VAL_SIM" / "deg")
    rows[1] |= {key: value for key, value in cells.items() if value is not None}
    header = [name for name in rows[0] if cells.get(name, "") is not None]
    tiny_describer.write_table(
        part / "NISQA_VAL_SIM_file.csv", [{k: v for k, v in row.items() if k in header} for row in rows], header
    )
    return folder


def test_a_row_has_five_targets_five_deviations_and_whole_votes(corpus: Path) -> None:
    """Facts C.7, 8."""
    rows = read_corpus(corpus, ["NISQA_TRAIN_SIM"])
    assert len(rows) == 5
    row = rows[1]
    assert isinstance(row, Row)
    assert {d: row.ratings.value(d) for d in DIMENSIONS} == {"mos": 3.0, "noi": 3.2, "col": 4.0, "dis": 4.6, "loud": 4.1}
    assert row.deviations == {"mos": 0.1, "noi": 0.2, "col": 0.3, "dis": 0.4, "loud": 0.5}
    assert (row.votes, type(row.votes)) == (6, int)
    assert row.path == corpus / "NISQA_TRAIN_SIM" / "deg" / "c00001_rec0_0.wav"
    assert (row.part, row.origin, row.condition) == ("NISQA_TRAIN_SIM", "rec0_0.wav", "1")
    assert row.ratings.whole


def test_parts_come_in_the_order_asked_for_and_the_whole_in_that_of_its_table(corpus: Path) -> None:
    asked = read_corpus(corpus, ["NISQA_VAL_SIM", "NISQA_TRAIN_SIM"])
    assert [row.part for row in asked] == ["NISQA_VAL_SIM"] * 3 + ["NISQA_TRAIN_SIM"] * 5
    assert [row.part for row in read_corpus(corpus)] == ["NISQA_TRAIN_SIM"] * 5 + ["NISQA_VAL_SIM"] * 3
    assert sum(PARTS.values()) == 14_432


def test_a_part_without_a_table_is_found_in_the_whole(corpus: Path, tmp_path: Path) -> None:
    for name in ("NISQA_TRAIN_SIM", "NISQA_VAL_SIM"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "deg").symlink_to(corpus / name / "deg")
    (tmp_path / "NISQA_corpus_file.csv").write_bytes((corpus / "NISQA_corpus_file.csv").read_bytes())
    found = read_corpus(tmp_path, ["NISQA_VAL_SIM"])
    assert [row.ratings for row in found] == [row.ratings for row in read_corpus(corpus, ["NISQA_VAL_SIM"])]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"mos": "5.2"}, r"line 3: mos is '5.2', expected a number from 1 to 5"),
        ({"noi": ""}, r"line 3: noi is '', expected a number"),
        ({"col": "nan"}, r"line 3: col is 'nan', expected a number from 1 to 5"),
        ({"dis_std": "-0.1"}, r"line 3: dis_std is '-0.1', expected a number of at least 0"),
        ({"votes": "5.5"}, r"line 3: votes is '5.5', expected a whole number"),
        ({"votes": "0"}, r"line 3: votes is '0', expected a number of at least 1"),
        ({"filepath_deg": "NISQA_VAL_SIM/deg/other.wav"}, r"line 3: .*other.wav does not exist"),
        ({"filepath_deg": "../secret.wav"}, r"line 3: .* leads out of the corpus"),
        ({"loud": None}, r"lacks the columns loud"),
    ],
)
def test_a_wrong_table_is_told_by_line(corpus: Path, tmp_path: Path, cells: dict[str, str | None], message: str) -> None:
    folder = edited(corpus, tmp_path, **cells)
    with pytest.raises(InputError, match=message):
        read_corpus(folder, ["NISQA_VAL_SIM"])


def test_forms_that_other_programs_write(corpus: Path, tmp_path: Path) -> None:
    folder = edited(
        corpus, tmp_path, votes="6.0", filename_ref="nan", con="12.0", filepath_deg="NISQA_VAL_SIM\\deg\\c00001_rec1_0.wav"
    )
    row = read_corpus(folder, ["NISQA_VAL_SIM"])[1]
    assert (row.votes, row.condition, row.origin) == (6, "12", "NISQA_VAL_SIM/c00001_rec1_0.wav")


def test_what_is_not_there(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no NISQA_corpus_file.csv"):
        read_corpus(tmp_path)
    with pytest.raises(InputError, match="has no rows of 'NISQA_VAL_LIVE'") as caught:
        read_corpus(corpus, ["NISQA_VAL_LIVE"])
    assert caught.value.hint == "parts here: NISQA_TRAIN_SIM, NISQA_VAL_SIM"
    with pytest.raises(InputError, match="named twice"):
        read_corpus(corpus, ["NISQA_VAL_SIM", "NISQA_VAL_SIM"])


def test_a_row_with_more_or_fewer_cells(corpus: Path, tmp_path: Path) -> None:
    folder = edited(corpus, tmp_path)
    table = folder / "NISQA_VAL_SIM" / "NISQA_VAL_SIM_file.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[1].rsplit(",", 2)[0]]) + "\n")
    with pytest.raises(InputError, match="another number of cells"):
        read_corpus(folder, ["NISQA_VAL_SIM"])
