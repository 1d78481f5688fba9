from __future__ import annotations

from typing import Any

from dialogues.made_up import dialogue
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.sieve import Remark, Sieve, Unusable, json_type


def read(name: str, raw: dict[str, Any], remark: Remark) -> Dialogue:
    if "fail" in raw:
        remark(0, "lost", "said before the item failed")
        raise Unusable("bad", "cannot be read", 3)
    if "odd" in raw:
        remark(1, "odd", raw["odd"])
    return dialogue(name, raw.get("roles", "ua"), raw.get("intent", "FindMovie"))


def sifted(*items: Any) -> Sieve:
    sieve = Sieve("id")
    sieve.pass_through(items, "f.json", read)
    return sieve


def said(sieve: Sieve) -> list[tuple[str, int | None, str, bool]]:
    return [(item.dialogue, item.position, item.kind, item.dropped) for item in sieve.irregularities]


def test_every_item_is_kept_or_said() -> None:
    sieve = sifted(
        {"id": "a"}, "x", None, {"id": "b", "fail": 1}, {"id": ""}, {"id": None}, {"id": "c", "roles": "a"}, {"id": "d"}
    )
    assert [each.id for each in sieve.dialogues] == ["a", "d"]
    assert said(sieve) == [
        ("", None, "wrong-type", True),
        ("", None, "wrong-type", True),
        ("b", 3, "bad", True),
        ("", None, "missing-id", True),
        ("", None, "missing-id", True),
        ("c", None, "no-user-turn", True),
    ]
    assert sieve.irregularities[0].detail == "item 1 of f.json: expected an object, found a text; left out"


def test_the_first_of_one_id_counts_and_the_rest_is_said() -> None:
    sieve = sifted({"id": "a"}, {"id": "a"}, {"id": "a", "roles": "uu", "odd": "not worth saying"})
    assert [len(each.turns) for each in sieve.dialogues] == [2]
    assert said(sieve) == [("a", None, "duplicate-id", True)] * 2
    assert "the same dialogue again as item 0" in sieve.irregularities[0].detail
    assert "another dialogue under the same id as item 0" in sieve.irregularities[1].detail


def test_one_id_in_two_files() -> None:
    sieve = sifted({"id": "a"})
    sieve.pass_through([{"id": "a"}], "g.json", read)
    assert sieve.irregularities[0].detail.startswith("item 0 of g.json: the same dialogue again as item 0 of f.json")


def test_a_failed_item_does_not_take_the_id() -> None:
    assert [each.id for each in sifted({"id": "a", "fail": 1}, {"id": "a"}).dialogues] == ["a"]


def test_a_number_as_id_is_used_and_said() -> None:
    sieve = sifted({"id": 12}, {"id": True})
    assert [each.id for each in sieve.dialogues] == ["12"]
    assert said(sieve) == [("12", None, "wrong-type", False), ("", None, "missing-id", True)]


def test_half_a_surrogate_pair_never_passes() -> None:
    sieve = sifted({"id": "a\ud800"}, {"id": "b", "intent": "\udc00"})
    assert [each.id for each in sieve.dialogues] == ["a "]
    assert said(sieve)[0] == ("a ", None, "broken-character", False)
    assert said(sieve)[-1] == ("b", None, "broken-character", True)


def test_json_types_in_words() -> None:
    values = [{}, [], "", True, None, 1, 1.5]
    assert [json_type(v) for v in values] == [
        "an object", "a list", "a text", "a truth value", "nothing", "a number", "a number",
    ]  # fmt: skip
