"""Folders as systems: which turns belong together, and what is made of their ratings."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from turnwise.foundation.errors import InputError
from turnwise.listening.paired_systems import holm, standing, turns_of
from turnwise.listening.ratings import DIMENSIONS, Ratings


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_turns_are_matched_by_place_without_ending(tmp_path: Path) -> None:
    for name in ("a/c/1.wav", "a/c/2.wav", "a/only.wav", "b/c/1.flac", "b/c/2.mp3", "b/notes.txt"):
        touch(tmp_path / name)
    found = turns_of([tmp_path / "a", tmp_path / "b"])
    assert {system: sorted(turns) for system, turns in found.items()} == {"a": ["c/1", "c/2", "only"], "b": ["c/1", "c/2"]}
    assert found["b"]["c/1"] == tmp_path / "b/c/1.flac"


def test_folders_that_cannot_be_compared(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.wav"), touch(tmp_path / "b/2.wav"), (tmp_path / "empty").mkdir()
    touch(tmp_path / "twice/1.wav"), touch(tmp_path / "twice/1.mp3")
    for folders, said in (
        (["a"], "at least two"),
        (["a", "b"], "share a turn"),
        (["a", "empty"], "no sound files"),
        (["a", "twice"], "several files"),
        (["a", "a"], "given twice"),
        (["a", "nowhere"], "not a folder"),
    ):
        with pytest.raises(InputError, match=said):
            turns_of([tmp_path / name for name in folders])


def ratings(mos: float | None) -> Ratings:
    missing = {"mos": "silent"} if mos is None else {}
    return Ratings(mos, 3.0, 3.0, 3.0, 3.0, missing=missing)  # type: ignore[arg-type]


def test_standing() -> None:
    first = {str(k): ratings(3.0 + (k % 3) * 0.5) for k in range(12)}
    second = {str(k): ratings(3.0 + (k % 2) * 0.05) for k in range(10)} | {"x": ratings(1.0)}
    third = {str(k): ratings(2.0 if k else None) for k in range(6)}
    found = standing({"a": 12, "b": 11, "c": 7}, {"a": first, "b": second, "c": third}, tie=0.1, seed=1)
    assert found.shared == 5  # turns 1 to 5
    a, _, c = found.systems
    assert (a.files, a.rated, c.files, c.rated) == (12, 12, 7, 5)
    assert a.means["mos"] == pytest.approx((3.5 + 4.0 + 3.0 + 3.5 + 4.0) / 5)
    assert set(a.means) == set(DIMENSIONS)
    ab, ac, bc = found.tests
    assert (ab.wins, ab.losses, ab.ties) == (6, 0, 4)
    assert (ac.wins, ac.losses, bc.wins, bc.ties) == (5, 0, 5, 0)
    raw = [binomtest(6, 6).pvalue, binomtest(5, 5).pvalue, binomtest(5, 5).pvalue]
    assert [test.p for test in found.tests] == pytest.approx(raw)
    assert found.corrected == pytest.approx(multipletests(raw, method="holm")[1])
    assert found.ranking is not None
    assert [one.system for one in found.ranking.strengths] == ["a", "b", "c"]
    assert found.ranking.separated
    assert found.unpaired == {"a": 2, "b": 1, "c": 0}


def test_means_of_a_dimension_are_over_the_same_turns_for_all() -> None:
    whole = Ratings(3.0, 2.0, 3.0, 3.0, 3.0)
    part = Ratings(3.0, None, 3.0, 3.0, 3.0, missing={"noi": "no pauses"})
    first = {"1": whole, "2": Ratings(4.0, 5.0, 3.0, 3.0, 3.0)}
    found = standing({"a": 2, "b": 2}, {"a": first, "b": {"1": whole, "2": part}}, tie=0.1, seed=1)
    a, b = found.systems
    assert (a.means["noi"], b.means["noi"]) == (2.0, 2.0)  # of turn 1 alone
    assert (a.means["mos"], b.means["mos"]) == (3.5, 3.0)


def test_holm_leaves_out_what_does_not_exist() -> None:
    values = [0.01, None, 0.04, 0.03, 0.5]
    expected = multipletests([p for p in values if p is not None], method="holm")[1]
    assert [p for p in holm(values) if p is not None] == pytest.approx(expected)
    assert holm(values)[1] is None


def test_systems_that_share_no_rated_turn_have_no_ranking() -> None:
    found = standing({"a": 1, "b": 1}, {"a": {"1": ratings(3.0)}, "b": {"1": ratings(None)}}, tie=0.1, seed=1)
    assert (found.ranking, found.shared) == (None, 0)
    assert found.systems[0].means["mos"] is None
    assert found.corrected == (None,)
