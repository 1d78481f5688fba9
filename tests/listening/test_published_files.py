"""The published tool's files: their names and forms, and that none exists without its content."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from turnwise.listening.ears import described
from turnwise.listening.pair import Pair
from turnwise.listening.preference import both_orders, preferred
from turnwise.listening.published_files import NAMES, published
from turnwise.listening.ratings import Heard, Ratings
from turnwise.listening.row import Row, Trouble, with_trouble

A = Row("a.wav", "b2:1", "m", Heard(Ratings(3.9, 4.0, 3.8, 4.1, 4.0), 1.0, 8000))
B = Row("b.wav", "b2:2", "m", Heard(Ratings(2.4, 2.1, None, 4.0, 3.9, missing={"col": "not heard"}), 1.0, 8000))
FIRST, SECOND = described(A, "Good. MOS: 3.9"), described(B, "Poor. MOS: 2.4")
VARIED = described(A, "Rather good. MOS: 3.9"), described(B, "Rather poor. MOS: 2.4")


def pair() -> Pair:
    assert A.ratings and B.ratings
    return Pair(FIRST, SECOND, preferred(A.ratings, B.ratings), None, both_orders("SpeechA.\n[SpeechA]", "SpeechB.\n[SpeechB]"))


def test_all_files(tmp_path: Path) -> None:
    made = published(pair(), VARIED)
    assert set(made.files) == set(NAMES)
    assert made.absent == {}
    made.write(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "audio1_metrics.json",
        "audio1_mos.txt",
        "audio1_mos_diverse.txt",
        "audio2_metrics.json",
        "audio2_mos.txt",
        "audio2_mos_diverse.txt",
        "ab_test.txt",
        "ab_test_summary.txt",
    }
    metrics = json.loads((tmp_path / "out" / "audio2_metrics.json").read_text())
    assert metrics == {"mos": 2.4, "noi": 2.1, "col": None, "dis": 4.0, "loud": 3.9}
    assert (tmp_path / "out" / "audio1_mos.txt").read_text() == "Good. MOS: 3.9\n"
    assert (tmp_path / "out" / "audio1_mos_diverse.txt").read_text() == "Rather good. MOS: 3.9\n"
    assert (tmp_path / "out" / "ab_test_summary.txt").read_text() == "[SpeechA]\n"
    assert (tmp_path / "out" / "ab_test.txt").read_text() == "SpeechA.\n[SpeechA]\n"


def test_what_contradicts_or_failed_is_not_written_and_an_older_file_goes(tmp_path: Path) -> None:
    published(pair(), VARIED).write(tmp_path)
    wrong = described(A, "The overall quality is poor. MOS: 2.0")
    failed = with_trouble(B, "describe", "timeout", "too late")
    other = msgspec.structs.replace(pair(), first=wrong, troubles=(Trouble("faithfulness", "orders-disagree", "it depends"),))
    made = published(other, (None, failed))
    made.write(tmp_path)
    assert set(made.absent) == {"audio1_mos.txt", "audio1_mos_diverse.txt", "audio2_mos_diverse.txt", "ab_test.txt"}
    assert "says 'poor', rated 3.9" in made.absent["audio1_mos.txt"]
    assert made.absent["audio2_mos_diverse.txt"] == "describe: timeout: too late"
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES) - set(made.absent)
    assert (tmp_path / "ab_test_summary.txt").read_text() == "[SpeechA]\n"


def test_without_a_winner_there_is_no_comparison() -> None:
    mute = msgspec.structs.replace(B, heard=None)
    assert A.ratings
    nothing = Pair(FIRST, mute, msgspec.structs.replace(preferred(A.ratings, A.ratings), winner=None, reason="not heard"))
    made = published(nothing, (VARIED[0], None))
    assert made.absent["ab_test.txt"] == made.absent["ab_test_summary.txt"] == "not heard"
    assert "audio2_metrics.json" in made.absent
