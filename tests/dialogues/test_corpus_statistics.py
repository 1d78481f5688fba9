from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogues.made_up import TABLE_4, any_corpus, dialogue, population, published_shape
from turnwise.dialogues.corpus_statistics import corpus_statistics, opening_length, spread, transition_position
from turnwise.dialogues.dialogue import Dialogue, Fact, Turn
from turnwise.foundation.errors import InputError


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60))
def test_spread_against_two_libraries(values: list[int]) -> None:
    found = spread(values)
    assert (found.n, found.total, found.min, found.max) == (len(values), sum(values), min(values), max(values))
    assert found.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert found.sd_population == pytest.approx(statistics.pstdev(values), rel=1e-9, abs=1e-9)
    assert found.sd_population == pytest.approx(float(np.std(values)), rel=1e-9, abs=1e-9)
    if len(values) > 1:
        assert found.sd_sample == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9)
        assert found.sd_sample == pytest.approx(float(np.std(values, ddof=1)), rel=1e-9, abs=1e-9)
    else:
        assert found.sd_sample is None


def test_equal_values_do_not_vary_at_all() -> None:
    assert spread([7] * 1000).sd_sample == 0.0


def test_everything_counted_by_hand() -> None:
    phased = Dialogue(
        "a",
        (
            Turn("user", "hi", "chitchat"),
            Turn("agent", "hi", "chitchat"),
            Turn("user", "film for two", "transition", (Fact("people", "2"), Fact("genre", "comedy"))),
            Turn("agent", "when", "transition", (), ("day",)),
            Turn("user", "thanks", "task"),
        ),
        "FindMovie",
    )
    found = corpus_statistics([phased, dialogue("b", "auaua", "FindBus"), dialogue("c", "ua", "FindBus", opening=1)])
    assert (found.dialogues, found.turns.total, found.turns.mean, found.turns.min, found.turns.max) == (3, 12, 4.0, 2, 5)
    assert found.turns.sd_population == pytest.approx(2**0.5)
    assert found.turns.sd_sample == pytest.approx(3**0.5)
    assert (found.rounds.total, found.rounds.max) == (6, 3)
    assert found.transition is not None
    assert (found.transition.n, found.transition.mean) == (1, 2.0)
    assert found.opening is not None
    assert (found.opening.n, found.opening.total) == (2, 3)
    assert [(each.intent, each.count) for each in found.intents] == [("FindBus", 2), ("FindMovie", 1)]
    assert found.intents[0].percent == pytest.approx(200 / 3)
    assert found.reaching == (3, 2, 1)
    assert (found.unanswered, found.facts, found.asked) == (1, 2, 1)


def test_what_is_not_marked_is_none_and_not_zero() -> None:
    found = corpus_statistics([dialogue("a")])
    assert found.transition is None
    assert found.opening is None
    assert found.turns.sd_sample is None


def test_the_source_own_count_of_small_talk_goes_before_the_phases() -> None:
    turns = (Turn("user", "x", "chitchat"), Turn("agent", "y", "chitchat"), Turn("user", "z", "transition"))
    assert opening_length(Dialogue("a", turns)) == 2
    assert opening_length(Dialogue("a", turns, opening=1)) == 1
    assert transition_position(Dialogue("a", turns)) == 2


def test_percentages_of_table_4() -> None:
    found = corpus_statistics(population(**TABLE_4))
    printed = [f"{each.percent:.1f}" for each in found.intents]
    assert printed == ["24.2", "22.6", "21.2", "13.4", "7.4", "5.6", "2.8", "1.8", "0.6", "0.4"]
    assert [each.count for each in found.intents] == list(TABLE_4.values())


def test_a_corpus_of_the_published_shape() -> None:
    """Tables 3 and 4 of the paper, from a made-up corpus that has their figures."""
    found = corpus_statistics(published_shape())
    assert (found.dialogues, found.turns.total, found.turns.min, found.turns.max) == (500, 10_175, 7, 72)
    assert found.turns.mean == 20.35
    assert found.turns.sd_sample is not None
    assert [round(each, 2) for each in (found.turns.sd_population, found.turns.sd_sample)] == [6.68, 6.68]
    assert found.transition is not None
    assert found.transition.mean == 8.1
    assert found.opening is not None
    assert found.opening.mean == 5.3
    assert {each.intent: each.count for each in found.intents} == TABLE_4


def test_nothing_to_count_is_said() -> None:
    with pytest.raises(InputError, match="no dialogue"):
        corpus_statistics([])


@given(any_corpus)
def test_counts_close(corpus: list[Dialogue]) -> None:
    corpus = [each for each in corpus if any(turn.speaker == "user" for turn in each.turns)]
    if not corpus:
        return
    found = corpus_statistics(corpus)
    assert sum(each.count for each in found.intents) == found.dialogues == len(corpus)
    assert sum(each.percent for each in found.intents) == pytest.approx(100)
    assert sum(found.reaching) == found.rounds.total
    assert list(found.reaching) == sorted(found.reaching, reverse=True)
