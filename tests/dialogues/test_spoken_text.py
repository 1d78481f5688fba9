from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwise.dialogues.spoken_text import is_direction, mended, unquoted, without_directions, without_emphasis


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Hello there."', "Hello there."),
        ('  "Hello."  ', "Hello."),
        ("\u201cHello.\u201d", "Hello."),
        ('\\"Hello.\\"', "Hello."),
        ('""Hello.""', "Hello."),
        ('"I saw "Up" today."', 'I saw "Up" today.'),
        ('"I saw "Up""', 'I saw "Up"'),
        ('"Yes" and "no"', '"Yes" and "no"'),
        ('"Hi," he said, "bye"', '"Hi," he said, "bye"'),
        ("\u201ca\u201d or \u201cb\u201d", "\u201ca\u201d or \u201cb\u201d"),
        ('I said "no"', 'I said "no"'),
        ('"', '"'),
        ('""', '""'),
        ("", ""),
    ],
)
def test_unquoted(text: str, expected: str) -> None:
    assert unquoted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "directions"),
    [
        ("Well *pause* yes.", "Well yes.", ("*pause*",)),
        ("*laughs* Right.", "Right.", ("*laughs*",)),
        ("That is funny (laughs).", "That is funny.", ("(laughs)",)),
        ("(Pauses) Let me see.", "Let me see.", ("(Pauses)",)),
        ("Hm [softly chuckling], why not?", "Hm, why not?", ("[softly chuckling]",)),
        ("*clears throat* Now.", "Now.", ("*clears throat*",)),
        ("No (a long awkward silence) no.", "No (a long awkward silence) no.", ()),
        ("No (long pause) no.", "No no.", ("(long pause)",)),
        ("(he sighs) Fine (she nods).", "Fine.", ("(he sighs)", "(she nods)")),
        ("**smiles** Hello", "Hello", ("**smiles**",)),
        ("*pause*", "", ("*pause*",)),
        ("Call (312) 555-0100 now.", "Call (312) 555-0100 now.", ()),
        ("The inn (the one on Main Street) is full.", "The inn (the one on Main Street) is full.", ()),
        (
            "Teas (types of green tea) and clear skies (clear skies).",
            "Teas (types of green tea) and clear skies (clear skies).",
            (),
        ),
        ("I *really* mean it.", "I *really* mean it.", ()),
        ("2 * 3 * 4 = 24", "2 * 3 * 4 = 24", ()),
        ("I paused and laughed.", "I paused and laughed.", ()),
        ("The lift (pauses at floor 3) is slow.", "The lift (pauses at floor 3) is slow.", ()),
        ("()", "()", ()),
        ("(**)", "(**)", ()),
    ],
)
def test_directions(text: str, expected: str, directions: tuple[str, ...]) -> None:
    assert without_directions(text) == (expected, directions)


def test_a_verb_that_begins_ordinary_asides_counts_between_stars_only() -> None:
    assert is_direction("clears throat", starred=True)
    assert not is_direction("clears customs", starred=False)
    assert is_direction("nodding slowly")
    assert not is_direction("")


def test_emphasis_keeps_the_word() -> None:
    assert without_emphasis("I *really* mean **it**.") == ("I really mean it.", ("*really*", "**it**"))
    assert without_emphasis("2 * 3 * 4") == ("2 * 3 * 4", ())


def test_characters_no_voice_can_carry() -> None:
    assert mended("plain ü \u00a0 \U0001f600\n") == ("plain ü \u00a0 \U0001f600\n", "")
    clean, what = mended("a\x00b\ud800c\x1b")
    assert clean == "a b c "
    assert what == "replaced by a space: U+0000, U+001B, U+D800"


pieces = st.lists(
    st.sampled_from(
        [
            *'"*()[] \n',
            "pause",
            "laughs",
            "(laughs)",
            "*sighs*",
            '\\"',
            "\u201c",
            "\u201d",
            "word",
            "(312) 555",
            ".",
            "**",
            "softly",
        ]
    ),
    max_size=14,
).map("".join)


@given(pieces | st.text(max_size=30))
def test_each_leaves_its_own_result_unchanged(text: str) -> None:
    once, _ = mended(text)
    assert mended(once) == (once, "")
    assert unquoted(unquoted(text)) == unquoted(text)
    kept, _ = without_directions(text)
    assert without_directions(kept) == (kept, ())
    bare, _ = without_emphasis(text)
    assert without_emphasis(bare) == (bare, ())


@given(st.text(st.characters(exclude_characters='*()[]"\\\u201c\u201d', exclude_categories=("Cs", "Cc")), max_size=60))
def test_text_without_marks_is_left_alone(text: str) -> None:
    assert without_directions(text) == (text, ())
    assert without_emphasis(text) == (text, ())
    assert unquoted(text) == text.strip()
