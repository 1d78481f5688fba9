"""The judge of a whole sales conversation: at its end, once, with SalesAgent's five scores and their misspellings."""

from __future__ import annotations

import json

import pytest

from judges.asked import decided, exchange, texts
from servers.chat_server import chatting
from turnwise.foundation.errors import InputError
from turnwise.judges.judge import JUDGES
from turnwise.judges.verdict import Abstention, Score

NAME = "sales_dialogue"
CRITERIA = (
    "dialogue_naturalness",
    "dialogue_coherence",
    "dialogue_smoothness",
    "dialogue_aggressiveness",
    "dialogue_consistency",
)
SAID = (("Hi.", "Hello!"), ("I am bored.", "A film, perhaps?"), ("Yes.", "At eight, then."))
SCORES = {"naturalness": 78, "coherence": 79, "smoothness": 68, "agent aggresiveness": 40, "agent consistancy": 81}


def test_the_whole_conversation_is_judged_at_its_end() -> None:
    with chatting("openai", json.dumps(SCORES)) as server:
        verdicts, calls = decided(server, NAME, exchange(*SAID, opening=("Welcome!",), last=True))
    assert verdicts == {name: Score(float(score)) for name, score in zip(CRITERIA, SCORES.values(), strict=True)}
    assert len(calls) == 1
    (_, system), (_, shown) = texts(server.requests[0])
    assert shown == (
        '<conversation>\nagent, before round 1: "Welcome!"\nuser 1: "Hi."\nagent 1: "Hello!"\nuser 2: "I am bored."\n'
        'agent 2: "A film, perhaps?"\nuser 3: "Yes."\nagent 3: "At eight, then."\n</conversation>\n\nScore this conversation.'
    )
    keys = ("naturalness", "coherence", "smoothness", "agent_aggressiveness", "agent_consistency")
    assert all(f'- "{key}": how ' in system for key in keys)
    assert list(server.requests[0].body["response_format"]["json_schema"]["schema"]["properties"]) == list(keys)


def test_no_other_round_is_judged() -> None:
    with chatting("openai", json.dumps(SCORES)) as server:
        verdicts, _ = decided(server, NAME, exchange(*SAID))
    assert not server.requests
    assert verdicts == dict.fromkeys(CRITERIA, Abstention("not the last round"))


def test_a_last_answer_that_nobody_understood_does_not_spoil_the_rest() -> None:
    with chatting("gemini", json.dumps(SCORES)) as server:
        verdicts, _ = decided(server, NAME, exchange(*SAID, ("Bye.", ""), last=True))
    assert verdicts["dialogue_smoothness"] == Score(68.0)
    assert 'user 4: "Bye."\nagent 4: (gave no answer)\n</conversation>' in texts(server.requests[0])[1][1]


def test_pushing_is_worse_the_higher() -> None:
    judge = JUDGES.build(NAME, {"model": "m"})
    assert judge.at_end
    assert {criterion.name: criterion.better for criterion in judge.criteria} == {
        **dict.fromkeys(CRITERIA, "higher"),
        "dialogue_aggressiveness": "lower",
    }
    with pytest.raises(InputError, match="sales_dialogue: user_words"):
        JUDGES.build(NAME, {"model": "m", "user_words": "x"})
