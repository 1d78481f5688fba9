"""Which recordings a judge with ears is played, and in which order."""

from __future__ import annotations

import pytest

from judges.asked import exchange
from turnwise.foundation.errors import InputError
from turnwise.judges.listening import check_earlier_clips, earlier_recordings, played
from turnwise.speech.clip import Clip

A, B, C, D, E = (Clip(f"b2:{n:032x}", 16000, 1.0) for n in range(5))


@pytest.mark.parametrize(
    ("most", "numbers"),
    [(0, []), (1, [1]), (2, [1, 5]), (3, [1, 4, 5]), (4, [1, 3, 4, 5]), (5, [1, 3, 4, 5]), (16, [1, 3, 4, 5])],
)
def test_the_first_and_then_the_latest(most: int, numbers: list[int]) -> None:
    told = exchange(*[("u", "a")] * 6, clips=(A, None, B, C, D, E))
    assert [each.number for each in earlier_recordings(told, most)] == numbers


def test_the_present_one_is_never_among_the_earlier() -> None:
    assert earlier_recordings(exchange(("u", "a"), clips=(A,)), 3) == ()
    assert earlier_recordings(exchange(("u", "a"), ("u", "a"), clips=(None, A)), 3) == ()


def test_each_is_named() -> None:
    told = exchange(*[("u", "a")] * 3, clips=(A, B, C))
    assert played(C, 3, earlier_recordings(told, 1)) == (
        "Recording of agent 1, an earlier answer, to compare with:",
        A,
        "Recording of agent 3, the answer you assess:",
        C,
    )


@pytest.mark.parametrize("number", [-1, 17])
def test_a_number_out_of_reason_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=f"which: earlier_clips is {number}, expected 0 to 16"):
        check_earlier_clips(number, "which")
