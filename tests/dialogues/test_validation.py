from __future__ import annotations

import pytest

from dialogues.made_up import dialogue
from turnwise.dialogues.corpus import Irregularity, Reading
from turnwise.dialogues.validation import structural, unsafe_id, validate


def kinds(roles: str, name: str = "d1") -> list[tuple[str, int | None]]:
    return [(item.kind, item.position) for item in structural(dialogue(name, roles))]


def test_structural() -> None:
    assert kinds("uaua") == []
    assert kinds("auau") == [("agent-first", 0)]
    assert kinds("uuaaa") == [("same-speaker", 1), ("same-speaker", 3), ("same-speaker", 4)]
    assert kinds("aa") == [("agent-first", 0), ("same-speaker", 1)]
    assert kinds("") == []


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "-rf",
        " a",
        "a\n",
        "a\x1b[31m",
        "C:x",
        "a" * 200,
        "a;b",
        "=1+1",
        "a..b",
    ],
)
def test_an_id_that_is_more_than_a_name_is_said_and_kept(name: str) -> None:
    assert unsafe_id(name)
    assert kinds("ua", name) == [("unsafe-id", None)]


@pytest.mark.parametrize("name", ["merge_0000", "1_00000", "demo-001", "Gespräch 7", "a.b"])
def test_plain_ids(name: str) -> None:
    assert not unsafe_id(name)


def test_validate_counts_by_kind() -> None:
    items = (
        Irregularity("a", 1, "quoted-turn", ""),
        Irregularity("a", 2, "quoted-turn", ""),
        Irregularity("b", None, "wrong-type", "", dropped=True),
        Irregularity("", None, "byte-order-mark", ""),
    )
    found = validate(Reading((dialogue("a"), dialogue("c")), items, "b2:0"))
    assert (found.kept, found.dropped, found.irregular, found.digest) == (2, 1, 1, "b2:0")
    assert [(f.kind, f.count, f.dialogues, f.dropped) for f in found.findings] == [
        ("quoted-turn", 2, 1, 0),
        ("byte-order-mark", 1, 0, 0),
        ("wrong-type", 1, 1, 1),
    ]
    assert sum((finding.items for finding in found.findings), ()) == (items[0], items[1], items[3], items[2])


def test_nothing_irregular() -> None:
    found = validate(Reading((dialogue("a"),), (), "b2:0"))
    assert (found.kept, found.dropped, found.irregular, found.findings) == (1, 0, 0, ())
