"""Ratings out of free text: what is read, what is not, and that nothing is put in its place (facts C.5 and C.7-3)."""

from __future__ import annotations

import time

import pytest

from turnwise.listening.rating_reading import RatingRead, read_rating, reading_rate, stated


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("… the overall MOS score is about **2.4**.", 2.4),  # C.7-3
        ("4 out of 5", 4.0),  # C.7-3
        ("MOS: 2.4", 2.4),
        ("MOS 2,4", 2.4),
        ("MOS of 3,4", 3.4),
        ("I rate it four", 4.0),
        ("four out of five", 4.0),
        ("two point three out of 5", 2.3),
        ("three and a half / 5", 3.5),
        ("**MOS:** 2.4", 2.4),
        ("**Final MOS → 2.4**", 2.4),
        ("MOS 2.4 ± 0.3", 2.4),
        ("MOS 3.5, i.e. between 3 and 4", 3.5),
        ("MOS 2.4 (95% CI 2.1-2.7)", 2.4),
        ("3 stars out of 5", 3.0),
        ("3.2 out of a possible 5", 3.2),
        ("On a 1-5 scale, 3", 3.0),
        ("3, on a scale from 1 (bad) to 5 (excellent)", 3.0),
        ("3, where 1 is bad and 5 is excellent", 3.0),
        ("The noise level is 1.8, the quality 2.4", 2.4),
        ("Quality level: 2.4", 2.4),
        ("Dimension (1) mos: 2.4", 2.4),
        ('{"mos": 2.4, "confidence": 3}', 2.4),
        ('{"mos_score": 2.4, "noise_score": 1.8, "seconds": 4}', 2.4),
        ('{"overall": {\n "comment": "noisy", "score": 2.4}, "noise": {"score": 1.8}}', 2.4),
        ('[{"aspect": "noise", "score": 1.8}, {"aspect": "overall", "score": 2.4}]', 2.4),
        ("## Overall quality\n\n2.4\n\n## Noise\n\n1.8", 2.4),
        ("| mos | noi |\n|---|---|\n| 2.4 | 1.8 |", 2.4),
        ("In 2019 2 microphones heard it: 3.1", 3.1),
        ("mos=2", 2.0),
        ("The mean opinion score is 3.25", 3.25),
        ("Overall, I'd rate this 2.4.", 2.4),
        ("The overall quality is 4.", 4.0),
        ("2.4/5 overall", 2.4),
        ("3/5", 3.0),
        ("Rating: 4 (out of 5)", 4.0),
        ('{"noi": 1.8, "mos": 2.4, "loud": 3}', 2.4),
        ("The noise is 1.8. I'd say 2.4.", 2.4),
        ("3.2 for noise, 2.4", 2.4),
        ("Overall the noise, at times heavy, leaves it at 2.4", 2.4),
        ("1. Noise: 2\n2. Loudness: 4\nMOS: 3.1", 3.1),
        ("(2) noise 1.8 (1) MOS 2.4", 2.4),
        ("On a scale of 1 to 5, 3", 3.0),
        ("quality 3.5 (1 = bad, 5 = excellent)", 3.5),
        ("I would say 4 on a 5-point scale.", 4.0),
        ("After 3 seconds at 2 kHz with 4 dB and 2 clicks, quality 3.5", 3.5),
        ("NISQA v2.0 and P.808 say 3", 3.0),
        ("MOS 3.0, so the overall quality is 3", 3.0),
        ("<think>maybe 4, or MOS 5</think> MOS 3", 3.0),
        ("The noise score is 2, so the overall score is 3.", 3.0),
        ("Quality: 3. The first word comes after 2 s.", 3.0),
    ],
)
def test_a_rating_is_read(text: str, value: float) -> None:
    assert read_rating(text) == RatingRead(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I cannot rate this", "no number"),  # C.7-3
        ("", "no number"),
        ("7 out of 10", "no number"),
        ("3 out of 10", "no number"),
        ("4/100", "no number"),
        ("It gets 5 stars", "no number"),
        ("-3", "no number"),
        ("−3", "no number"),
        ("It ends at 3.4kHz after 2.5s", "no number"),
        ("3/5 of the words are lost", "no number"),
        ("4 out of 5 listeners agree", "no number"),
        ("3 of 5 words", "no number"),
        ("speech and noise are 2:1 at 1:30", "no number"),
        ("The 2 speakers take 4 turns each", "no number"),
        ("I cannot rate it on a scale from 1 to 5", "no number"),
        ("Rate the two recordings", "no number"),
        ("1,200 samples", "no number"),
        ("The noise score is 3", "no number"),
        ("1. It starts\n2. It stops", "no number"),
        ("4 dB louder after 2 seconds", "no number"),
        ("<think>it is a 3", "no number"),
        ("I'd give it 3 or maybe 4.", "ambiguous"),
        ("MOS between 2 and 3", "ambiguous"),
        ("MOS 3-4", "ambiguous"),
        ("MOS 3,1 or 3,4", "ambiguous"),
        ("MOS 3.0, overall 2.0", "ambiguous"),
        ("mos 6.2", "out of range"),
        ("MOS: 0", "out of range"),
        ("MOS −2.4", "out of range"),
    ],
)
def test_a_missing_rating_has_a_reason_and_no_number(text: str, reason: str) -> None:
    assert read_rating(text) == RatingRead(None, reason)  # type: ignore[arg-type]


def test_the_failure_rate_counts_every_text() -> None:
    rate = reading_rate(map(read_rating, ["MOS 2", "no idea", "3 or 4", "MOS 4", "MOS 9"]))
    assert (rate.texts, rate.read, rate.failed) == (5, 2, {"ambiguous": 1, "no number": 1, "out of range": 1})
    assert rate.failure_rate == pytest.approx(0.6)
    assert reading_rate([]).failure_rate is None


def test_numbers_know_what_they_are_said_of() -> None:
    text = "Noise is 1.8, it is slightly distorted (3.6), loudness: 4; 2.5 for discontinuity. Overall 2.4, after 3 s."
    assert [(one.value, one.of) for one in stated(text)] == [
        (1.8, "noi"),
        (3.6, "col"),
        (4.0, "loud"),
        (2.5, "dis"),
        (2.4, "mos"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 20000,
        "overall " * 5000 + " 3 " * 3000,
        "noise, 3 " * 5000,
        "1 to 5 " * 5000,
        "<think>" * 9000,
        "|1" * 8000,
        "(1 " * 6000,
    ],
)
def test_a_text_that_runs_away_is_read_in_no_time(text: str) -> None:
    began = time.perf_counter()
    read_rating(text)
    assert time.perf_counter() - began < 3
