from __future__ import annotations

from judges.judging import Corpus, Open, Talk
from turnwise.judges.judge import Exchange, Sitting
from turnwise.judges.mishearing import Mishearing
from turnwise.judges.verdict import Abstention, Score


def _severity(opened: Sitting, exchange: Exchange) -> float:
    verdict = opened.decide(exchange)["repetition"]
    assert isinstance(verdict, Score)
    return verdict.value


QUESTION = "Which part of town would be easiest for everyone?"


def test_an_identical_reply_is_severe(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("repetition", demo)
    for text in [t.text for t in demo[0].turns if t.speaker == "agent"]:
        if len(text.split()) >= 8:
            exchange = talk("Hello.", "Hello.", "So?", text, "And now?", "Well, about that.", "Go on.", text)
            assert _severity(opened, exchange) >= 67


def test_a_reworded_copy_is_still_a_repetition(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("repetition", demo)
    again = "So, what part of town would be the easiest for everyone?"
    assert _severity(opened, talk("We are five.", QUESTION, "The old town.", again)) > 33


def test_a_misheard_copy_is_still_a_repetition(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("repetition", demo)
    hear = Mishearing((t.text for d in demo for t in d.turns), 0.1).heard
    found = [_severity(opened, talk("We are five.", hear(QUESTION, s), "Yes.", hear(QUESTION, s + 100))) for s in range(20)]
    assert sum(value > 33 for value in found) >= 16


def test_the_reason_quotes_what_was_said_before(demo: Corpus, talk: Talk, sitting: Open) -> None:
    verdict = sitting("repetition", demo).decide(talk("We are five.", QUESTION, "The old town.", QUESTION))["repetition"]
    assert isinstance(verdict, Score)
    assert "which part of town would be easiest for everyone" in verdict.reason


def test_courtesies_may_be_repeated(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("repetition", demo)
    for courtesy in ("You're welcome, have a great day!", "Thank you very much.", "Is there anything else I can help you with?"):
        assert _severity(opened, talk("Thanks.", courtesy, "Thanks again.", courtesy)) <= 33


def test_news_in_an_old_frame_is_progress(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("repetition", demo)
    before = "A table for four at the Olive Cradle."
    with_news = _severity(
        opened, talk("Four of us.", before, "On Saturday at seven.", "A table for four at the Olive Cradle, Saturday at seven.")
    )
    without = _severity(opened, talk("Four of us.", before, "On Saturday at seven.", "A table for four at the Olive Cradle."))
    assert with_news <= 33 < 67 <= without


def test_another_subject_is_no_repetition(demo: Corpus, talk: Talk, sitting: Open) -> None:
    opened = sitting("repetition", demo)
    assert _severity(opened, talk("Hello.", QUESTION, "Old town.", "The Golden Ladle serves curry until midnight.")) == 0


def test_the_opening_counts_as_said(demo: Corpus, talk: Talk, sitting: Open) -> None:
    import msgspec

    from turnwise.dialogues.dialogue import Turn

    exchange = msgspec.structs.replace(talk("Hello.", QUESTION), opening=(Turn("agent", QUESTION),))
    assert _severity(sitting("repetition", demo), exchange) >= 67


def test_silence_is_abstained_from(talk: Talk, sitting: Open) -> None:
    assert isinstance(sitting("repetition").decide(talk("Hello.", ""))["repetition"], Abstention)


def test_works_without_a_background(talk: Talk, sitting: Open) -> None:
    assert _severity(sitting("repetition"), talk("We are five.", QUESTION, "The old town.", QUESTION)) == 100
