"""The frame agent as a whole: it keeps the thread when shown it, loses it when not, and says so."""

import re
from pathlib import Path

import pytest

from agents.rehearsal import Tally, demo, errors, rehearse, vocabulary
from turnwise.agents.agent import AGENTS, Past, Surroundings, View
from turnwise.agents.cues import plain
from turnwise.agents.roster.frame import FrameSession, agent
from turnwise.foundation.errors import EngineError, InputError
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engine import Material


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> FrameSession:
    return agent().open(Surroundings(ClipStore(tmp_path_factory.mktemp("clips")), Material()))


def talk(session: FrameSession, *said: str, past: bool = True, seed: int = 5) -> list[str]:
    shown: list[Past] = []
    replies = []
    for number, text in enumerate(said, start=1):
        view = View("d", number, "", tuple(shown) if past else (), text, None)
        replies.append(session.answer(view, seed=seed).text)
        shown += [Past("user", text), Past("agent", replies[-1])]
    return replies


WISHES = (
    "Hello, it has been raining all day here.",
    "We need a restaurant for four people.",
    "Friday at seven thirty would be good, and we love Italian food.",
    "Somewhere in the old town, and not too expensive.",
)


def test_the_demo_corpus_with_full_memory(session: FrameSession) -> None:
    tally = rehearse(demo(), session)
    assert tally.dialogues == len(demo()) >= 48
    assert tally.share(tally.slots_right, tally.slots) >= 0.95
    assert tally.share(tally.probes_right, tally.probes) >= 0.95
    assert tally.intents_right >= 0.95 * tally.dialogues
    assert (tally.asked_again, tally.repeated, tally.repeated_sentences) == (0, 0, 0)
    assert (tally.too_short, tally.too_long) == (0, 0)
    assert tally.questions >= tally.dialogues  # it does ask for what is missing


def test_the_demo_corpus_shown_the_last_turn_only(session: FrameSession) -> None:
    tally = rehearse(demo(), session, past=0)
    assert tally.share(tally.slots_right, tally.slots) < 0.1
    assert tally.share(tally.probes_right, tally.probes) < 0.1
    assert tally.asked_again > 5
    assert tally.repeated_sentences > 10
    assert (tally.too_short, tally.too_long) == (0, 0)


def test_more_of_the_past_is_kept_the_more_of_it_is_shown(session: FrameSession) -> None:
    some = demo()[::6]
    shares = [rehearse(some, session, past=past) for past in (0, 2, 5)]
    kept = [t.share(t.slots_right, t.slots) for t in shares]
    assert kept == sorted(kept)
    assert kept[0] < kept[1] < kept[2]


def test_misheard_words_cost_something_but_not_the_thread(session: FrameSession) -> None:
    dialogues = demo()
    tally: Tally = rehearse(dialogues, session, mangle=errors(0.15, vocabulary(dialogues)))
    assert 0.65 <= tally.share(tally.slots_right, tally.slots) < 1.0
    assert 0.5 <= tally.share(tally.probes_right, tally.probes) < 1.0
    assert tally.intents_right >= 0.8 * tally.dialogues
    assert tally.repeated == 0


def test_values_are_acknowledged_in_words(session: FrameSession) -> None:
    replies = talk(session, *WISHES)
    assert "four people" in replies[1].lower()
    for words in ("friday", "seven thirty", "italian"):
        assert words in replies[2].lower()
    assert "old town" in replies[3].lower()
    assert "cheap" in replies[3]
    assert session.catalogue.named(replies[3])  # something concrete is recommended


def test_memory_is_tested_and_owned_up_to(session: FrameSession) -> None:
    *_, reply = talk(session, *WISHES, "Sorry, which day did I say, and for how many?")
    assert "Friday" in reply
    assert "four people" in reply
    *_, reply = talk(session, *WISHES[:2], "Which day did I say?")
    assert "day" in reply
    assert not re.search("monday|tuesday|wednesday|thursday|friday|saturday|sunday", reply.lower())
    (reply,) = talk(session, "Sorry, which day did I say?")
    assert "day" in reply


def test_a_correction_replaces_the_value(session: FrameSession) -> None:
    replies = talk(session, *WISHES, "Actually, make it Saturday instead of Friday.", "Could you sum up what you have?")
    assert "Saturday" in replies[4]
    assert "Saturday" in replies[5]
    assert "Friday" not in replies[5]
    for words in ("four people", "seven thirty", "Italian", "old town", "cheap"):
        assert words in replies[5]


def test_questions_are_answered_from_the_catalogue(session: FrameSession) -> None:
    replies = talk(session, *WISHES, "Is there parking, and how long does it take?")
    (item,) = session.catalogue.named(replies[3])
    assert plain(item.answers["parking"]) in plain(replies[4])


def test_booking_names_everything_and_ends_kindly(session: FrameSession) -> None:
    replies = talk(session, *WISHES, "Lovely, please book it.", "Thank you, goodbye.")
    assert re.search("booked|reserved|confirmed|booking", replies[4])
    for words in ("four people", "Friday", "seven thirty", "Italian", "old town", "cheap"):
        assert words in replies[4]
    assert "?" not in replies[5]


def test_the_same_turn_over_and_over_never_gets_the_same_reply(session: FrameSession) -> None:
    for text in ("I see.", "Please book a table in a restaurant for four.", "Which day did I say?", "Thank you."):
        replies = talk(session, *[text] * 12)
        assert len({plain(reply) for reply in replies}) == 12


def test_same_view_and_seed_same_reply_and_another_seed_another_wording(session: FrameSession) -> None:
    assert talk(session, *WISHES, seed=3) == talk(session, *WISHES, seed=3)
    assert len({tuple(talk(session, *WISHES, seed=seed)) for seed in range(4)}) == 4


def test_nothing_survives_between_calls(session: FrameSession) -> None:
    alone = talk(session, "Which day did I say?")
    talk(session, *WISHES)
    assert talk(session, "Which day did I say?") == alone
    blind = talk(session, *WISHES, "Which day did I say?", past=False)
    assert blind[-1] == alone[0]


def test_empty_words_are_answered_and_sound_is_refused(session: FrameSession) -> None:
    assert len(talk(session, "")[0].split()) >= 8
    with pytest.raises(EngineError) as caught:
        session.answer(View("d", 1, "", (), None, None), seed=1)
    assert caught.value.cause == "no-text"


def test_identity_and_phrases() -> None:
    frame = agent()
    identity = frame.identity()
    assert {"domains.toml", "catalogue.toml", "phrases.toml", "policy", "mentions"} <= identity.keys()
    assert AGENTS.identity("frame") == AGENTS.identity("frame")
    phrases = frame.phrases()
    assert len(set(phrases)) == len(phrases)
    assert "what about the Copper Lantern" in phrases
    assert "i would like italian" in phrases
    assert max(len(phrase.split()) for phrase in phrases) <= 9


def test_other_domains(tmp_path: Path) -> None:
    (tmp_path / "domains.toml").write_text(
        '[intents.BuyHat]\ndescription = "buy a hat"\ncues = ["hat"]\nslots = ["color"]\n'
        'color = { ask = ["Which color?"], kind = "choice", values = { red = [], blue = ["navy"] } }\n'
    )
    own = agent(domains=str(tmp_path))
    session = own.open(Surroundings(ClipStore(tmp_path), Material()))
    replies = talk(session, "I need a hat.", "Navy, please.", "Which color did I say?")
    assert "color" in replies[0]
    assert "blue" in replies[1]
    assert "blue" in replies[2]
    assert AGENTS.identity("frame", {"domains": str(tmp_path)}) != AGENTS.identity("frame")
    with pytest.raises(InputError, match="cannot be read"):
        agent(domains=str(tmp_path / "nowhere")).open(Surroundings(ClipStore(tmp_path), Material()))
