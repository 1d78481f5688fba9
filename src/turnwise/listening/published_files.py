"""The output files of the published tool for two recordings: ratings, descriptions, comparison, summary.

    audio1_metrics.json  audio1_mos.txt  audio1_mos_diverse.txt      the same for audio2
    ab_test.txt          ab_test_summary.txt

The names and forms are theirs, so that what reads them goes on working; what is in them is ours. A file exists only where its
content was really made: a description that contradicts the ratings, or that failed, is not written, and `absent` says why. A
rating that does not exist is null. The summary is `[SpeechA]`, `[SpeechB]`, or, which theirs never was, `[Tie]`; it is that of
the rule, and a comparison whose words end otherwise is not written.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from turnwise.foundation.whole_file import write_whole
from turnwise.listening.pair import Pair
from turnwise.listening.ratings import DIMENSIONS
from turnwise.listening.row import Row

NAMES = (
    *(f"audio{k}_{what}" for k in (1, 2) for what in ("metrics.json", "mos.txt", "mos_diverse.txt")),
    *("ab_test.txt", "ab_test_summary.txt"),
)


class Published(msgspec.Struct, frozen=True):
    """The files by name, and why others are absent."""

    files: dict[str, str]
    absent: dict[str, str]

    def write(self, folder: Path) -> None:
        """Put the files into a folder; those of an earlier time that are absent now go."""
        for name, text in self.files.items():
            write_whole(folder / name, text.encode())
        for name in self.absent:
            (folder / name).unlink(missing_ok=True)


def published(pair: Pair, diverse: tuple[Row | None, Row | None]) -> Published:
    """The files of a compared pair; `diverse` are its rows described with the diverse preset, None where there is none."""
    files: dict[str, str] = {}
    absent: dict[str, str] = {}
    for number, (row, other) in enumerate(zip((pair.first, pair.second), diverse, strict=True), start=1):
        ratings = row.ratings
        if ratings is None:
            absent[f"audio{number}_metrics.json"] = _told(row)
        else:
            values = {dimension: ratings.value(dimension) for dimension in DIMENSIONS}
            rounded = {name: None if value is None else round(value, 4) for name, value in values.items()}
            files[f"audio{number}_metrics.json"] = json.dumps(rounded, indent=2, allow_nan=False) + "\n"
        for name, one in ((f"audio{number}_mos.txt", row), (f"audio{number}_mos_diverse.txt", other)):
            if one is None:
                absent[name] = "the describer has no diverse preset"
            elif one.description is None or one.troubles:
                absent[name] = _told(one)
            else:
                files[name] = one.description + "\n"
    if pair.rule.winner is None:
        absent["ab_test.txt"] = absent["ab_test_summary.txt"] = pair.rule.reason
        return Published(files, absent)
    files["ab_test_summary.txt"] = pair.rule.token + "\n"
    if pair.text is None or pair.troubles:
        absent["ab_test.txt"] = "; ".join(map(str, pair.troubles)) or "there is no describer"
    else:
        files["ab_test.txt"] = pair.text + "\n"
    return Published(files, absent)


def _told(row: Row) -> str:
    if row.troubles:
        return "; ".join(map(str, row.troubles))
    return "there is nothing to describe" if row.ratings is not None and row.ratings.mos is None else "there is no describer"
