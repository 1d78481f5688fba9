"""What is read of the answers of models that hear, and what is asked of them."""

from __future__ import annotations

import json

import pytest

from turnwise.listening.rating_answer import INSTRUCTIONS, ORDER, SCHEMA, read_answer
from turnwise.listening.ratings import DIMENSIONS

WHOLE = {"noi": 1.8, "col": 3.6, "dis": 4.2, "loud": 3.9, "mos": 2.4}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WHOLE),
        f"Gladly:\n```json\n{json.dumps(WHOLE, indent=1)}\n```",
        json.dumps({name.upper(): value for name, value in WHOLE.items()}),
        json.dumps({name: str(value) for name, value in WHOLE.items()}),
        json.dumps({name: f"{value}/5" for name, value in WHOLE.items()}),
        '{"noise": 1.8, "coloration": 3.6, "discontinuity": 4.2, "loudness": 3.9, "overall quality": 2.4}',
        f'<think>Perhaps {{"mos": 5}}?</think>{json.dumps(WHOLE)}',
        f'First I thought {{"mos": 1.0, "noi": 1}}, but {json.dumps(WHOLE)}.',
        json.dumps({**WHOLE, "remark": "a hum"}),
        json.dumps({"ratings": WHOLE, "remark": "a hum"}),
        json.dumps({name: {"score": value, "why": "so"} for name, value in WHOLE.items()}),
        json.dumps({name: str(value).replace(".", ",") for name, value in WHOLE.items()}),
        '{"noise": 1.8, "coloration": 3.6, "discontinuity": 4.2, "loudness": 3.9, "overall_quality": 2.4}',
    ],
)
def test_all_forms_of_a_whole_answer_are_read(text: str) -> None:
    reading = read_answer(text)
    assert reading.wrong == {}
    assert reading.values == WHOLE


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.9, "mos is 0.9, which is not within 1 to 5"),
        (5.5, "mos is 5.5, which is not within 1 to 5"),
        (85, "mos is 85, which is not within 1 to 5"),
        (True, "mos is true, which is no number"),
        ("good", 'mos is "good", which is no number'),
        ([3], "mos is [3], which is no number"),
        ({"score": 3, "value": 2}, 'mos is {"score": 3, "value": 2}, which is no number'),
        ("3 or 4", 'mos is "3 or 4", which is no number'),
        (None, "mos is missing"),
    ],
)
def test_a_wrong_rating_is_a_reason(value: object, said: str) -> None:
    reading = read_answer(json.dumps({**WHOLE, "mos": value}))
    assert reading.wrong == {"mos": said}
    assert reading.values == {name: WHOLE[name] for name in ("noi", "col", "dis", "loud")}


@pytest.mark.parametrize(
    "text", ["", "I cannot rate this.", "about 2.4", "{", '{"mos": 3', "{}", '{"a": 1}', "[1, 2]", '{"mos": NaN}']
)
def test_an_answer_without_ratings_gives_none(text: str) -> None:
    reading = read_answer(text)
    assert reading.values == {}
    assert set(reading.wrong) == set(DIMENSIONS)


def test_noisiness_is_no_key() -> None:
    assert set(read_answer('{"noisiness": 4.5, "mos": 3}').values) == {"mos"}


def test_infinity_and_hostile_numbers_are_none() -> None:
    assert read_answer('{"mos": Infinity}').values == {}
    assert read_answer('{"mos": 1e999}').values == {}
    assert read_answer('{"mos": ' + "9" * 5000 + "}").values == {}
    assert read_answer("{" * 100_000).values == {}


def test_the_schema_and_the_words_ask_for_the_same() -> None:
    assert set(ORDER) == set(DIMENSIONS) == set(SCHEMA["properties"]) == set(SCHEMA["required"])
    assert ORDER[-1] == "mos", "the whole is judged after its parts"
    assert all(f'"{name}": <1 to 5>' in INSTRUCTIONS for name in ORDER)
    assert "1 is very noisy, 3 neither noisy nor clean, 5 completely clean" in INSTRUCTIONS
    assert "1 is severely discontinuous" in INSTRUCTIONS


@pytest.mark.parametrize(
    ("given", "said"), [("5.0000001", "5.0000001"), ("-1", "-1"), ("0.99999999", "0.99999999"), ('"6,5"', '"6,5"')]
)
def test_a_reason_quotes_the_number_as_it_was_given(given: str, said: str) -> None:
    """Rounded it would be one that is within the scale."""
    text = json.dumps({**WHOLE, "dis": 3.0}).replace('"dis": 3.0', f'"dis": {given}')
    assert read_answer(text).wrong == {"dis": f"dis is {said}, which is not within 1 to 5"}


def test_no_number_is_quoted_too() -> None:
    text = json.dumps({**WHOLE, "mos": 3.0}).replace('"mos": 3.0', '"mos": NaN')
    assert read_answer(text).wrong == {"mos": 'mos is "NaN", which is no number'}
