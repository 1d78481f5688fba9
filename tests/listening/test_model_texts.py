"""How often what models write is read and judged as a careful reader does: the texts of model_texts.toml.

`python tests/listening/test_model_texts.py` prints the rates that docs/listen.md states, and every text that is missed.
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from turnwise.listening.faithfulness import check, check_comparison
from turnwise.listening.preference import read_summary
from turnwise.listening.rating_reading import read_rating
from turnwise.listening.ratings import DIMENSIONS, Ratings

FILE = Path(__file__).with_name("model_texts.toml")
TEXTS: dict[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))


def recording(name: str) -> Ratings:
    values = dict(zip(DIMENSIONS, TEXTS["recordings"][name], strict=True))
    missing = {d: "not rated" for d, value in values.items() if value == ""}
    return Ratings(**{d: None if d in missing else value for d, value in values.items()}, missing=missing)


def reading(entry: dict[str, Any]) -> str:
    """What became of the overall rating: "right", "wrong number", "not read", "none" or "invented"."""
    found, wanted = read_rating(entry["text"]).value, entry["mos"]
    if wanted == "":
        return "none" if found is None else "invented"
    return "not read" if found is None else "right" if math.isclose(found, wanted) else "wrong number"


def judging(entry: dict[str, Any]) -> str:
    """What became of the check: "agreed", "false alarm", "caught", "missed"."""
    if isinstance(entry["of"], list):
        first, second = map(recording, entry["of"])
        found = bool(check_comparison(entry["text"], first, second))
        wanted = not entry["faithful"]
    else:
        contradicted = {one.dimension for one in check(entry["text"], recording(entry["of"])).contradictions}
        if contradicted - set(entry["wrong"]):
            return "false alarm"
        found, wanted = bool(contradicted), bool(entry["wrong"])
    return ("caught" if found else "missed") if wanted else ("false alarm" if found else "agreed")


def side(entry: dict[str, Any]) -> str:
    return read_summary(entry["text"]) or ""


def counted(held: bool | None = None) -> dict[str, Counter[str]]:
    """The outcomes of all texts, of those that were held back, or of the others."""
    descriptions, comparisons = (
        [entry for entry in TEXTS[kind] if held is None or entry.get("held", False) == held]
        for kind in ("description", "comparison")
    )
    return {
        "reading": Counter(map(reading, descriptions)),
        "descriptions": Counter(map(judging, descriptions)),
        "comparisons": Counter(map(judging, comparisons)),
    }


def test_the_texts_are_many_and_each_is_there_once() -> None:
    assert len(TEXTS["description"]) + len(TEXTS["comparison"]) >= 250
    for kind in ("description", "comparison"):
        keys = [(str(entry["of"]), entry["text"]) for entry in TEXTS[kind]]
        assert len(set(keys)) == len(keys)
    assert sum(entry.get("held", False) for kind in ("description", "comparison") for entry in TEXTS[kind]) == 92


def test_no_rating_is_read_that_a_careful_reader_would_not_read() -> None:
    outcomes = counted()["reading"]
    assert outcomes["wrong number"] == outcomes["invented"] == 0
    assert outcomes == {"right": 172, "none": 27, "not read": 1}


def test_contradictions_are_found_and_few_others() -> None:
    outcomes = counted()
    assert outcomes["descriptions"] == {"agreed": 149, "caught": 50, "false alarm": 1}
    assert outcomes["comparisons"] == {"agreed": 32, "caught": 25}


def test_every_summary_is_read() -> None:
    assert [side(entry) for entry in TEXTS["comparison"]] == [entry["side"] for entry in TEXTS["comparison"]]


def test_the_page_states_these_rates() -> None:
    """Only those of today: what was first measured on the texts held back cannot be measured again."""
    page = " ".join((Path(__file__).resolve().parents[2] / "docs" / "listen.md").read_text(encoding="utf-8").split())
    outcomes = counted()
    texts, both = outcomes["descriptions"], outcomes["comparisons"]
    assert f"{len(TEXTS['description'])} descriptions and {len(TEXTS['comparison'])} comparisons" in page
    read = outcomes["reading"]
    assert f"{read['right']} of {sum(read.values()) - read['none']} ratings are read" in page
    assert f"{texts['caught'] + both['caught']} of {50 + 25} contradicting texts are found" in page
    assert f"{texts['false alarm'] + both['false alarm']} of {150 + 32} others is called one" in page


def main() -> None:
    for held in (False, True, None):
        print({False: "mended for", True: "held back", None: "all"}[held])
        for what, outcomes in counted(held).items():
            print(f"  {what}: {sum(outcomes.values())}: {dict(outcomes.most_common())}")
    bad = ("false alarm", "missed", "wrong number", "not read", "invented")
    for kind in ("description", "comparison"):
        for entry in TEXTS[kind]:
            became = [judging(entry), *([reading(entry)] if kind == "description" else [])]
            if any(one in bad for one in became):
                print(f"{', '.join(became)}: {entry['of']} {entry['text']!r}")


if __name__ == "__main__":
    main()
