"""Which criterion plays which part: labels, several judges of one thing, and what is heard but not sound."""

from __future__ import annotations

import pytest

from made_results import INSTRUMENTS
from turnwise.judges.judge import Criterion
from turnwise.statistics.roles import is_sound, label_of, measure, plain_name, roles_of
from turnwise.study.results import Instrument


def given(judge: str, *names: str, unit: str = "points of 100") -> list[Instrument]:
    label = judge.rpartition("/")[0]
    labelled = (f"{label}/{name}" if label else name for name in names)
    return [Instrument(Criterion(name, unit, "higher", 0.0, 100.0), judge, "b2:1") for name in labelled]


def test_a_label_is_no_part_of_what_is_measured() -> None:
    roles = roles_of(
        [
            *given("gpt/dialogue_quality", "naturalness", "consistency"),
            *given("gpt/failures", "generic_response", "topic_switching", "repetition", "misunderstanding", "lack_of_memory"),
            *given("gpt/same_voice", "voice_consistency"),
        ]
    )
    assert roles.thread == "gpt/consistency"
    assert roles.sense == ("gpt/consistency", "gpt/naturalness")
    assert roles.failures == tuple(
        f"gpt/{name}" for name in ("repetition", "generic_response", "topic_switching", "misunderstanding", "lack_of_memory")
    )
    assert roles.sound == ("gpt/voice_consistency",)
    assert roles.passed_over == ()


def test_the_first_in_the_order_of_the_study_plays_the_part() -> None:
    embedded = [
        *given("consistency", "consistency"),
        *given("memory", "memory"),
        *given("voice_consistency", "voice_consistency"),
    ]
    asked = [*given("gpt/dialogue_quality", "naturalness", "consistency"), *given("gpt/failures", "lack_of_memory", "repetition")]
    asked += given("gpt/same_voice", "voice_consistency")
    first = roles_of([*embedded, *asked])
    assert (first.thread, first.passed_over) == ("consistency", ("gpt/consistency",))
    assert first.failures == ("gpt/repetition", "memory")
    assert first.sound == ("voice_consistency",)
    second = roles_of([*asked, *embedded])
    assert (second.thread, second.passed_over) == ("gpt/consistency", ("consistency",))
    assert second.failures == ("gpt/repetition", "gpt/lack_of_memory")
    assert second.sound == ("gpt/voice_consistency",)


def test_one_judge_that_gives_both_is_read_by_its_consistency() -> None:
    five = ("naturalness", "coherence", "smoothness", "aggressiveness", "consistency")
    roles = roles_of(given("gpt/salesagent", *five))
    assert (roles.thread, roles.passed_over) == ("gpt/consistency", ("gpt/coherence",))
    assert roles.sense == ("gpt/consistency", "gpt/coherence", "gpt/naturalness", "gpt/smoothness")
    assert roles_of([*given("one", "coherence"), *given("two", "consistency")]).thread == "coherence"


def test_what_is_rated_by_ear_is_not_all_sound() -> None:
    """Whether a turn suits its context is a matter of its words: against the thread it would correlate by what it is."""
    five = ("audio_naturalness", "audio_clarity", "contextual_appropriateness", "voice_consistency", "engagement_quality")
    for judge in ("audio_quality", "gemini/audio_quality"):
        label = f"{judge.rpartition('/')[0]}/".lstrip("/")
        found = roles_of([*given("consistency", "consistency"), *given(judge, *five)])
        assert found.sound == tuple(f"{label}{name}" for name in ("audio_naturalness", "audio_clarity", "voice_consistency"))
        assert found.thread == "consistency"


@pytest.mark.parametrize(
    ("judge", "name", "unit", "sound"),
    [
        ("sound_quality", "ovrl", "MOS 1-5", True),
        ("elsewhere", "mos", "MOS 1-5", True),
        ("llm", "overall", "points of 100", False),  # an overall verdict on a dialogue is none on its sound
        ("sound_quality", "overall", "MOS 1-5", True),
        ("x/same_voice", "same_voice", "points of 100", True),
        ("dialogue_quality", "naturalness", "points of 100", False),
    ],
)
def test_sound_by_name_judge_and_unit(judge: str, name: str, unit: str, sound: bool) -> None:
    assert is_sound(given(judge, name, unit=unit)[0]) is sound


def test_names_with_and_without_a_label() -> None:
    (labelled,) = given("a/package.module:judge", "words/s")
    (bare,) = given("package.module:judge", "words/s")
    assert (label_of(labelled), plain_name(labelled)) == ("a", "words/s")
    assert (label_of(bare), plain_name(bare)) == ("", "words/s")
    assert measure(given("gpt/failures", "Lack-of memory")[0]) == measure(given("memory", "memory")[0]) == "memory"


def test_the_embedded_bench_is_read_as_before() -> None:
    roles = roles_of(INSTRUMENTS)
    assert (roles.thread, roles.sound, roles.passed_over) == ("consistency", ("voice_consistency", "overall"), ())
