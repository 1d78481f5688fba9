"""The judges with ears: which recordings and words their model gets, when they abstain, and what they make of answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judges.asked import decided, exchange, texts
from servers.chat_server import Request, chatting
from turnwise.foundation.errors import InputError, StorageError
from turnwise.judges.judge import JUDGES, Exchange
from turnwise.judges.verdict import Abstention, Fault, Score
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.speech.engines.stub import encode

FIVE = ("audio_naturalness", "audio_clarity", "contextual_appropriateness", "voice_consistency", "engagement_quality")
CRITERIA = tuple("voice_consistency_heard" if key == "voice_consistency" else key for key in FIVE)


def answer(request: Request) -> str:
    """A score for each that is asked for, by its place."""
    schema = _schema(request)
    return json.dumps({key: {"reason": f"r{n}", "score": 50 + n} for n, key in enumerate(schema["properties"])})


def _schema(request: Request) -> dict[str, Any]:
    body = request.body
    return body["response_format"]["json_schema"]["schema"] if "messages" in body else body["generationConfig"]["responseSchema"]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return tmp_path / "clips"


def talk(clips: Path, *words: str | None) -> Exchange:
    store = ClipStore(clips)
    kept = [store.keep(encode(each)) if each is not None else None for each in words]
    return exchange(*((f"u{n}", f"written {n}") for n in range(1, len(words) + 1)), opening=("Hi.",), clips=kept)


@pytest.mark.parametrize("dialect", ["openai", "vllm", "vllm-omni", "sglang", "dashscope", "gemini"])
def test_the_recordings_are_sent_one_by_one_with_their_names(dialect: str, clips: Path) -> None:
    with chatting(dialect, json.dumps(dict.fromkeys(FIVE, 60))) as server:
        verdicts, _ = decided(server, "audio_quality", talk(clips, "one", "two", "three", "four"), clips)
    assert verdicts == dict.fromkeys(CRITERIA, Score(60.0))
    assert texts(server.requests[0])[1] == (
        "user",
        '<history>\nagent, before round 1: "Hi."\nuser 1: "u1"\nagent 1: "written 1"\nuser 2: "u2"\nagent 2: "written 2"\n'
        'user 3: "u3"\nagent 3: "written 3"\n</history>\n\n'
        '<turn>\nuser 4: "u4"\nagent 4: (see the recording below)\n</turn>',
        "Recording of agent 1, an earlier answer, to compare with:",
        "sound: one",
        "Recording of agent 3, an earlier answer, to compare with:",
        "sound: three",
        "Recording of agent 4, the answer you assess:",
        "sound: four",
        "Score the recording of agent 4.",
    )


def test_five_scores_by_name(clips: Path) -> None:
    with chatting("gemini", answer) as server:
        verdicts, _ = decided(server, "audio_quality", talk(clips, "one", "two"), clips)
    assert verdicts == {name: Score(50.0 + n, f"r{n}") for n, name in enumerate(CRITERIA)}
    system = texts(server.requests[0])[0][1]
    for key in FIVE:
        assert f'- "{key}": how ' in system
    assert "<one sentence of at most 20 words>" in system


@pytest.mark.parametrize(("options", "why"), [({}, "no earlier turn"), ({"earlier_clips": 0}, "no earlier recording is sent")])
def test_without_an_earlier_recording_the_voice_is_not_asked_about(options: dict[str, Any], why: str, clips: Path) -> None:
    told = talk(clips, *((None,) if not options else ("one",)), "two")
    with chatting("openai", answer) as server:
        verdicts, _ = decided(server, "audio_quality", told, clips, **options)
    assert list(_schema(server.requests[0])["properties"]) == [key for key in FIVE if key != "voice_consistency"]
    assert '"voice_consistency"' not in texts(server.requests[0])[0][1]
    assert [part for part in server.requests[0].turns[1] if part.startswith("sound: ")] == ["sound: two"]
    assert verdicts["voice_consistency_heard"] == Abstention(why)
    assert verdicts["engagement_quality"] == Score(53.0, "r3")
    assert verdicts.keys() == set(CRITERIA)


def test_a_turn_without_sound_is_not_judged(clips: Path) -> None:
    told = talk(clips, "one", None)
    with chatting("openai", answer) as server:
        assert decided(server, "audio_quality", told, clips)[0] == dict.fromkeys(CRITERIA, Abstention("no audio"))
        assert decided(server, "same_voice", told, clips)[0] == {"same_voice": Abstention("no audio")}
    assert not server.requests


def test_absent_and_useless_scores_are_faults_of_their_own(clips: Path) -> None:
    given = {"audio_naturalness": {"score": 70}, "audio_clarity": {"score": 0.9}, "engagement_quality": {"score": "N/A"}}
    with chatting("openai", json.dumps(given)) as server:
        verdicts, _ = decided(server, "audio_quality", talk(clips, "one", "two"), clips)
    assert verdicts["audio_naturalness"] == Score(70.0)
    assert {name for name, verdict in verdicts.items() if isinstance(verdict, Fault) and verdict.cause == "parse"} == set(
        CRITERIA[1:]
    )
    first, second = server.requests
    assert second.turns[: len(first.turns)] == first.turns  # the recordings are played again


def test_same_voice_compares_with_the_first_recording(clips: Path) -> None:
    with chatting("openai", '{"voice_consistency": {"reason": "alike", "score": 90}}') as server:
        verdicts, _ = decided(server, "same_voice", talk(clips, "one", "two", "three"), clips)
    assert verdicts == {"same_voice": Score(90.0, "alike")}
    (_, system), (_, words, *rest) = texts(server.requests[0])
    assert 'agent 2: "written 2"\n</history>' in words
    assert rest == [
        "Recording of agent 1, an earlier answer, to compare with:",
        "sound: one",
        "Recording of agent 3, the answer you assess:",
        "sound: three",
        "Score the recording of agent 3.",
    ]
    assert "and recordings of the agent. Score" in system


def test_same_voice_as_published_hears_one_recording_only(clips: Path) -> None:
    with chatting("gemini", '{"same_voice": 90}') as server:
        verdicts, _ = decided(server, "same_voice", talk(clips, "one", "two"), clips, earlier_clips=0)
        first, _ = decided(server, "same_voice", talk(clips, "one"), clips, earlier_clips=0)
    assert verdicts == first == {"same_voice": Score(90.0)}
    assert [part for part in server.requests[0].turns[1] if part.startswith("sound: ")] == ["sound: two"]
    assert "and a recording of the agent's answer. Score" in texts(server.requests[0])[0][1]


def test_the_first_recording_has_nothing_to_be_compared_with(clips: Path) -> None:
    with chatting("openai") as server:
        assert decided(server, "same_voice", talk(clips, "one"), clips)[0] == {"same_voice": Abstention("no earlier turn")}
        assert decided(server, "same_voice", talk(clips, None, "one"), clips)[0] == {"same_voice": Abstention("no earlier turn")}
    assert not server.requests


def test_a_lost_clip_is_for_the_user_to_mend(clips: Path) -> None:
    told = exchange(("u", "a"), clips=(Clip("b2:" + "0" * 32, 16000, 1.0),))
    with chatting("openai") as server, pytest.raises(StorageError, match="is missing"):
        decided(server, "audio_quality", told, clips)
    assert not server.requests


def test_what_the_judges_are() -> None:
    five, one = (JUDGES.build(name, {"model": "m"}) for name in ("audio_quality", "same_voice"))
    assert [criterion.name for criterion in five.criteria] == list(CRITERIA)
    assert [criterion.name for criterion in one.criteria] == ["same_voice"]
    for judge in (five, one):
        assert (judge.place, judge.hears, judge.models) == ("driver", True, ("m",))
        assert all((c.unit, c.better, c.low, c.high) == ("points of 100", "higher", 0.0, 100.0) for c in judge.criteria)
    for name in ("audio_quality", "same_voice"):
        with pytest.raises(InputError, match=f"{name}: earlier_clips is 17"):
            JUDGES.build(name, {"model": "m", "earlier_clips": 17})
        with pytest.raises(InputError, match=f"{name}: user_words is ''"):
            JUDGES.build(name, {"model": "m", "user_words": ""})
