"""What can be recommended."""

from itertools import product
from pathlib import Path

import pytest

from turnwise.agents.catalogue import read_catalogue
from turnwise.agents.cues import plain
from turnwise.agents.domains import load_domains
from turnwise.foundation.errors import InputError

DOMAINS = load_domains()
CATALOGUE = read_catalogue(DOMAINS)


@pytest.mark.parametrize("intent", [i.name for i in DOMAINS.intents])
def test_every_intent_has_items_and_one_for_nearly_every_wish(intent: str) -> None:
    items = [item for item in CATALOGUE.items if item.intent == intent]
    assert len(items) >= 6
    telling = sorted(CATALOGUE.telling(intent))
    values = [DOMAINS.intent(intent).slot(slot).values for slot in telling]
    for wish in product(*values):
        best = CATALOGUE.best(intent, dict(zip(telling, wish, strict=True)), seed=1)
        assert best is not None
        assert best.misses(dict(zip(telling, wish, strict=True))) == ()


def test_names_are_unlike_each_other() -> None:
    names = [plain(item.name) for item in CATALOGUE.items]
    assert len(set(names)) == len(names)
    for item in CATALOGUE.items:
        assert [found.name for found in CATALOGUE.named(f"I suggest {item.name}, surely.")] == [item.name]


def test_names_are_found_in_their_order() -> None:
    text = "Not Basil Corner, but the Copper Lantern."
    assert [item.name for item in CATALOGUE.named(text)] == ["Basil Corner", "the Copper Lantern"]
    assert CATALOGUE.named("nothing of the sort") == ()


def test_the_seed_decides_among_equals_only() -> None:
    chosen = {CATALOGUE.best("FindBus", {}, seed).name for seed in range(40)}  # type: ignore[union-attr]
    assert len(chosen) > 2
    sushi = {CATALOGUE.best("FindRestaurants", {"cuisine": "japanese", "price": "cheap"}, seed) for seed in range(10)}
    assert [item.name for item in sushi if item] == ["Paper Crane"]
    first = CATALOGUE.best("FindBus", {}, 1)
    assert first is not None
    assert CATALOGUE.best("FindBus", {}, 1, without=(first,)) != first


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[[Nowhere]]\nname = "a"\nblurb = "b"', "Nowhere is no intent"),
        ('[[FindBus]]\nname = "a"\nblurb = "b"\nwheels = "six"', "unknown key 'wheels'"),
        ('[[FindMovie]]\nname = "a"\nblurb = "b"\ngenre = "noir"', "unknown value 'noir'"),
        ('[[FindMovie]]\nname = "a"', "has no 'blurb'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "catalogue.toml").write_text(text)
    with pytest.raises(InputError, match=word):
        read_catalogue(DOMAINS, tmp_path)


def test_no_catalogue_is_an_empty_one(tmp_path: Path) -> None:
    assert read_catalogue(DOMAINS, tmp_path).best("FindBus", {}, 1) is None
