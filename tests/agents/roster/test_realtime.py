"""The Realtime agent against a real socket: what is sent and when, what counts as the answer, and what is a fault."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local_server import served
from servers.realtime_server import Event, RealtimeServer, Session
from turnwise.agents.agent import AGENTS, Around, Past, Reply, View
from turnwise.agents.realtime_answer import RealtimeAnswer
from turnwise.agents.roster.realtime import OWN_AS_WORDS, Script, Turn
from turnwise.endpoints.calls import Call, Usage, recording
from turnwise.endpoints.endpoint import Endpoint
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.resampling import resample
from turnwise.speech.clip_store import ClipStore, to_pcm

RATE = 24000
FAST: dict[str, Any] = {"pace": 0.0}


def noise(seconds: float = 0.3, rate: int = RATE, seed: int = 1) -> Sound:
    return Sound(np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate)).astype(np.float32), rate)


class Stage:
    """One server, one clip store, and an agent that is asked."""

    def __init__(self, folder: Path, server: RealtimeServer, **endpoint: Any) -> None:
        self.server = server
        self.clips = ClipStore(folder / "clips")
        self.calls: list[Call] = []
        self.took = 0.0  # seconds
        self.endpoint = {"retries": 0, "idle": 5.0, **endpoint}

    def ask(self, view: View, **options: Any) -> Reply:
        async def turn(url: str) -> Reply:
            remote = Remote({"here": Endpoint(f"{url}/v1", **self.endpoint)}, patience=0.01)
            built = AGENTS.build("realtime", {"endpoint": "here", "model": "fake-1", **FAST, **options})
            session = built.reach(Around(self.clips, remote, None))  # type: ignore[arg-type]
            try:
                with recording() as self.calls:
                    started = time.perf_counter()
                    reply: Reply = await session.answer(view, seed=1)
                    self.took = time.perf_counter() - started
                    return reply
            finally:
                await session.close()
                await remote.close()

        with served(self.server.app()) as place:
            return asyncio.run(turn(place.url))

    def refused(self, view: View | None = None, **options: Any) -> tuple[str, str]:
        with pytest.raises(EngineError) as caught:
            self.ask(view or self.view(), **options)
        return caught.value.cause, caught.value.message

    def view(self, past: Sequence[Past] = (), text: str | None = None, sound: Sound | None = None) -> View:
        clip = None if text is not None else self.clips.keep(sound or noise())
        return View("merge_0001", 2, "Be kind.", tuple(past), text, clip)

    @property
    def session(self) -> Session:
        (only,) = self.server.sessions
        return only


def test_settings_and_turn_as_the_protocol_has_them(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer())
    sound = noise()
    reply = stage.ask(stage.view(sound=sound), voice="ash", query={"region": "eu"})
    session = stage.session
    assert session.query == {"model": "fake-1", "region": "eu"}
    assert session.of("session.update") == [
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "model": "fake-1",
                "instructions": "Be kind.",
                "output_modalities": ["audio"],
                "truncation": "disabled",
                "audio": {
                    "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None},
                    "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash"},
                },
            },
        }
    ]
    kinds = [event["type"] for _, event in session.events]
    assert kinds == ["session.update", *["input_audio_buffer.append"] * 8, "input_audio_buffer.commit", "response.create"]
    assert session.of("input_audio_buffer.commit") == [{"type": "input_audio_buffer.commit"}]
    assert session.of("response.create") == [{"type": "response.create"}]
    assert np.array_equal(session.heard(), to_pcm(sound))
    assert {len(base64.b64decode(e["audio"])) for e in session.of("input_audio_buffer.append")[:-1]} == {2 * 960}  # 40 ms
    assert session.closed

    assert reply.text == "Hello there."
    assert reply.clip is not None
    assert (reply.clip.rate, reply.clip.seconds) == (24000, 0.1)
    assert np.array_equal(to_pcm(stage.clips.load(reply.clip)), stage.server.sound)
    assert reply.notes == ()
    assert reply.heard is None
    assert (reply.timings.hear, reply.timings.think, reply.timings.speak) == (None, None, None)


def test_the_key_goes_with_the_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_TEST_KEY", "k-1234567890")
    stage = Stage(tmp_path, RealtimeServer(), key="REALTIME_TEST_KEY")
    stage.ask(stage.view())
    assert stage.session.headers["Authorization"] == "Bearer k-1234567890"


def test_the_turn_is_sent_at_the_pace_it_is_spoken(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(delay=0.15))
    reply = stage.ask(stage.view(sound=noise(0.6)), pace=1.0)
    appended = stage.session.times("input_audio_buffer.append")
    assert len(appended) == 15
    assert appended[-1] - appended[0] > 0.4  # of 0.56 s: they arrive in their time, not all at once
    assert stage.took >= 0.6 + 0.15

    # The clock starts when the last sample was due, 0.6 s after the first.
    first = reply.timings.first_audio
    assert first is not None
    assert 0.15 <= first <= stage.took - 0.6


def test_another_pace_and_none(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(delay=0.1))
    reply = stage.ask(stage.view(sound=noise(0.6)), pace=0.5)
    assert stage.took >= 0.3 + 0.1
    assert reply.timings.first_audio is not None
    assert 0.1 <= reply.timings.first_audio <= stage.took - 0.3

    stage = Stage(tmp_path, RealtimeServer(delay=0.1))
    reply = stage.ask(stage.view(sound=noise(4.0)))  # without pace the clock starts at the last byte
    assert stage.took < 3.0
    assert reply.timings.first_audio is not None
    assert 0.1 <= reply.timings.first_audio <= stage.took


@pytest.mark.parametrize("rate", [16000, 8000])
def test_the_server_is_given_its_own_rate(tmp_path: Path, rate: int) -> None:
    stage = Stage(tmp_path, RealtimeServer())
    sound = noise(0.3, 22050)
    reply = stage.ask(stage.view(sound=sound), input_rate=rate, output_rate=rate)
    assert stage.session.settings["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": rate}
    stored = stage.clips.load(stage.clips.keep(sound))
    assert np.array_equal(stage.session.heard(), to_pcm(resample(stored, rate)))
    assert reply.clip is not None
    assert reply.clip.rate == rate


def test_the_past_is_sent_as_items_before_the_user_speaks(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer())
    earlier = stage.clips.keep(noise(0.2, seed=2))
    own = stage.clips.keep(noise(0.2, seed=3))
    past = [
        Past("agent", "Welcome!"),
        Past("user", None, earlier),
        Past("agent", "Which day?", own),
        Past("user", "On friday.", earlier),
    ]
    reply = stage.ask(stage.view(past))
    pcm = base64.b64encode(to_pcm(stage.clips.load(earlier)).astype("<i2").tobytes()).decode()
    assert stage.session.items == [
        {"id": "past_000", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Welcome!"}]},
        {"id": "past_001", "type": "message", "role": "user", "content": [{"type": "input_audio", "audio": pcm}]},
        {"id": "past_002", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Which day?"}]},
        {
            "id": "past_003",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_audio", "audio": pcm}, {"type": "input_text", "text": "On friday."}],
        },
    ]
    kinds = [event["type"] for _, event in stage.session.events]
    assert kinds[:6] == ["session.update", *["conversation.item.create"] * 4, "input_audio_buffer.append"]
    assert reply.notes == (OWN_AS_WORDS,)


def test_own_past_that_is_shown_as_sound_alone_is_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer())
    with pytest.raises(InputError, match="takes no sound of the assistant's own past turns"):
        stage.ask(stage.view([Past("agent", None, stage.clips.keep(noise()))]))
    assert stage.server.attempts == 0


def test_a_past_that_is_not_confirmed_is_a_fault_unless_the_study_takes_it_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(confirms=False), idle=0.2)
    past = [Past("user", "Hello."), Past("agent", "Welcome!")]
    assert stage.refused(stage.view(past)) == ("context", "the server did not confirm 2 of 2 past turns within 0.2 s")
    assert stage.session.of("input_audio_buffer.append") == []
    stage = Stage(tmp_path, RealtimeServer(confirms=False))
    reply = stage.ask(stage.view(past), confirm=False)
    assert reply.text == "Hello there."
    assert reply.notes == ("whether the server took the past turns is unknown: it was not asked to confirm them",)


def test_a_turn_of_words_is_sent_as_words(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(delay=0.1))
    reply = stage.ask(stage.view(text="Two tickets, please."))
    kinds = [event["type"] for _, event in stage.session.events]
    assert kinds == ["session.update", "conversation.item.create", "response.create"]
    assert stage.session.items == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Two tickets, please."}]}
    ]
    assert reply.timings.first_audio is not None
    assert 0.1 <= reply.timings.first_audio <= stage.took
    assert stage.refused(View("d", 1, "", (), None, None))[0] == "no-input"


def test_settings_of_the_user_go_deep_into_ours(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer())
    stage.ask(stage.view(), extra={"max_output_tokens": 300, "audio": {"output": {"speed": 1.1}}, "truncation": "auto"})
    settings = stage.session.settings
    assert settings["max_output_tokens"] == 300
    assert settings["truncation"] == "auto"
    assert settings["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.1}
    assert settings["audio"]["input"]["turn_detection"] is None


def test_older_names_of_events(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(family="older"))
    reply = stage.ask(stage.view([Past("user", "Hello.")]))
    assert (reply.text, reply.notes) == ("Hello there.", ())
    assert reply.clip is not None
    assert np.array_equal(to_pcm(stage.clips.load(reply.clip)), stage.server.sound)


def test_the_streaming_form_of_vllm_omni(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(family="vllm"), dialect="vllm-omni")
    reply = stage.ask(stage.view(), input_rate=16000)
    assert (reply.text, reply.notes) == ("Hello there.", ())
    assert reply.clip is not None
    assert reply.clip.rate == 16000  # as the events say
    assert np.array_equal(to_pcm(stage.clips.load(reply.clip)), stage.server.sound)
    assert stage.session.of("session.update")[0]["model"] == "fake-1"
    assert stage.session.of("input_audio_buffer.commit") == [{"type": "input_audio_buffer.commit", "final": True}]
    assert stage.calls[0].usage == Usage(input=7, output=3)


def test_events_that_come_twice_are_used_once(tmp_path: Path) -> None:
    def twice(events: list[Event]) -> list[Event]:
        sounds = [event for event in events if event["type"].endswith("audio.delta")]
        return [*events[:-1], *sounds[:2], events[2], events[-1]]

    stage = Stage(tmp_path, RealtimeServer(change=twice))
    reply = stage.ask(stage.view())
    assert (reply.text, reply.notes) == ("Hello there.", ("events that the server sent twice, used once: 3",))
    assert reply.clip is not None
    assert np.array_equal(to_pcm(stage.clips.load(reply.clip)), stage.server.sound)


def test_the_final_words_count(tmp_path: Path) -> None:
    def other(events: list[Event]) -> list[Event]:
        events[-1]["response"]["output"][0]["content"][0]["transcript"] = "Hello, dear."
        return events

    stage = Stage(tmp_path, RealtimeServer(change=other))
    reply = stage.ask(stage.view())
    assert reply.text == "Hello, dear."
    assert reply.notes == ("the server's final words differ from those it sent before: 'Hello there.'",)


def test_without_words_at_the_end_those_before_count(tmp_path: Path) -> None:
    def without(*kinds: str) -> Callable[[list[Event]], list[Event]]:
        def change(events: list[Event]) -> list[Event]:
            events[-1]["response"]["output"] = []
            return [event for event in events if event["type"] not in kinds]

        return change

    for kinds in ((), ("response.output_audio_transcript.done",), ("response.output_audio_transcript.delta",)):
        stage = Stage(tmp_path, RealtimeServer(change=without(*kinds)))
        reply = stage.ask(stage.view())
        assert (reply.text, reply.notes) == ("Hello there.", ()), kinds


def test_order_between_words_and_sound_does_not_matter(tmp_path: Path) -> None:
    def shuffled(events: list[Event]) -> list[Event]:
        """The ends before the pieces, sound before words, the beginning in the middle."""
        body = sorted(events[:-1], key=lambda e: (e["type"].endswith("delta"), "audio.delta" not in e["type"]))
        return [*body, events[-1]]

    stage = Stage(tmp_path, RealtimeServer(change=shuffled))
    reply = stage.ask(stage.view())
    assert (reply.text, reply.notes) == ("Hello there.", ())
    assert reply.clip is not None
    assert np.array_equal(to_pcm(stage.clips.load(reply.clip)), stage.server.sound)


def test_what_the_server_heard_is_kept_of_this_turn_only(tmp_path: Path) -> None:
    kind = "conversation.item.input_audio_transcription.completed"

    def heard(events: list[Event]) -> list[Event]:
        told = [{"type": kind, "item_id": "item_user", "transcript": "two tickets"}]
        return [*told, {"type": kind, "item_id": "past_000", "transcript": "hello"}, *events]

    stage = Stage(tmp_path, RealtimeServer(change=heard))
    assert stage.ask(stage.view([Past("user", None, stage.clips.keep(noise()))])).heard == "two tickets"


def test_what_was_used_is_recorded_as_one_call(tmp_path: Path) -> None:
    usage = {
        "total_tokens": 253,
        "input_tokens": 132,
        "output_tokens": 121,
        "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64},
        "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
    }
    stage = Stage(tmp_path, RealtimeServer(usage=usage))
    stage.ask(stage.view())
    (call,) = stage.calls
    assert call.usage == Usage(input=119, output=30, audio_input=13, audio_output=91)
    assert (call.endpoint, call.model, call.path, call.estimated) == ("here", "fake-1", "/realtime", False)
    assert call.answered_by == "fake-1"

    stage = Stage(tmp_path, RealtimeServer(usage=usage, status="failed", details={"type": "failed"}))
    stage.refused()
    assert stage.calls[0].usage.audio_output == 91  # paid for all the same
    assert stage.calls[0].failed == "refused"


@pytest.mark.parametrize(
    ("status", "details", "cause", "told"),
    [
        ("failed", {"type": "failed", "error": {"type": "server_error", "message": "overloaded"}}, "server-error", "overloaded"),
        (
            "failed",
            {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
            "rate-limit",
            "slow down",
        ),
        ("failed", None, "refused", "does not say why"),
        ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, "incomplete", "incomplete: max_output_tokens"),
        ("incomplete", {"type": "incomplete", "reason": "content_filter"}, "incomplete", "content_filter"),
        ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "cancelled", "turn_detected"),
        ("in_progress", None, "broken-answer", "in_progress"),
    ],
)
def test_an_answer_that_did_not_complete_is_a_fault(
    tmp_path: Path, status: str, details: Event | None, cause: str, told: str
) -> None:
    found = Stage(tmp_path, RealtimeServer(status=status, details=details)).refused()
    assert found[0] == cause
    assert told in found[1]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"type": "invalid_request_error", "code": "invalid_value", "message": "no such voice"}, "refused"),
        ({"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "no such voice"}, "rate-limit"),
        ({"type": "server_error", "message": "no such voice"}, "server-error"),
    ],
)
@pytest.mark.parametrize("kind", ["session.update", "input_audio_buffer.append", "response.create"])
def test_an_error_event_is_a_fault_whenever_it_comes(tmp_path: Path, error: Event, cause: str, kind: str) -> None:
    found = Stage(tmp_path, RealtimeServer(error_on={kind: error})).refused(pace=0.2)
    assert found == (cause, "endpoint here: /realtime was answered with an error: no such voice")


def test_a_bare_word_as_error(tmp_path: Path) -> None:
    def error(events: list[Event]) -> list[Event]:
        return [{"type": "error", "error": "Model is at capacity: overloaded", "code": None}]

    assert Stage(tmp_path, RealtimeServer(change=error)).refused()[0] == "server-error"


def test_no_key_is_in_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_TEST_PASS", "k-1234567890")
    error = {"type": "invalid_request_error", "message": "k-1234567890 may not do this"}
    stage = Stage(tmp_path, RealtimeServer(error_on={"session.update": error}), key="REALTIME_TEST_PASS")
    assert stage.refused()[1].endswith("[REALTIME_TEST_PASS] may not do this")


@pytest.mark.parametrize("kind", ["session.update", "input_audio_buffer.commit", "response.create"])
def test_a_line_that_breaks_is_a_fault(tmp_path: Path, kind: str) -> None:
    def cut(events: list[Event]) -> list[Event]:
        return events[:4]

    cause, message = Stage(tmp_path, RealtimeServer(closes_on=kind, change=cut)).refused(pace=1.0)
    assert cause == "connection"
    assert "out of order" in message


def test_the_reason_for_which_a_line_broke_is_waited_for() -> None:
    """The line breaks while something is being sent; why is still on its way."""

    class Breaking:
        async def send(self, message: Event) -> None:
            raise EngineError("connection", "closed")

        async def receive(self) -> Any:
            await asyncio.sleep(0.2)
            raise EngineError("rate-limit", "slow down")

    async def turn() -> None:
        built = AGENTS.build("realtime", {"model": "fake-1"})
        script = Script(({},), (), (), (), None, ())
        await Turn(built, Remote().line("local"), script, RealtimeAnswer((), EngineError)).take_place(Breaking())  # type: ignore[arg-type]

    with pytest.raises(EngineError, match="slow down"):
        asyncio.run(turn())


def test_a_server_that_falls_silent_is_a_fault(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(silent_on="response.create"), idle=0.3)
    assert stage.refused() == ("timeout", "endpoint here: /realtime sent nothing for 0.3 s")


def test_a_server_may_be_silent_while_the_user_speaks(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(), idle=0.4)
    assert stage.ask(stage.view(sound=noise(0.9)), pace=1.0).text == "Hello there."


def test_an_answer_without_end_is_a_fault(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RealtimeServer(delay=0.8), timeout=0.5)
    assert stage.refused() == ("timeout", "endpoint here: no end of the answer within 0.5 s")


def test_a_server_that_answers_before_it_is_asked_is_a_fault(tmp_path: Path) -> None:
    cause, message = Stage(tmp_path, RealtimeServer(early=True)).refused(pace=1.0)
    assert (cause, message.partition(":")[0]) == ("contract", "the server began to answer before the turn was over")


def test_two_answers_are_a_fault(tmp_path: Path) -> None:
    def two(events: list[Event]) -> list[Event]:
        second = {**events[3], "event_id": "other", "response_id": "resp_2"}
        return [*events[:-1], second, events[-1]]

    assert Stage(tmp_path, RealtimeServer(change=two)).refused() == ("contract", "the server gives two answers to one turn")


def test_words_without_sound_are_a_fault_and_nothing_at_all_is_silence(tmp_path: Path) -> None:
    mute = np.zeros(0, dtype=np.int16)
    assert Stage(tmp_path, RealtimeServer(sound=mute)).refused() == (
        "empty-audio",
        "the server gave words and no sound: 'Hello there.'",
    )
    stage = Stage(tmp_path, RealtimeServer(words=(), sound=mute))
    assert stage.ask(stage.view()) == Reply("")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"type": "response.output_audio.delta", "response_id": "resp_1", "delta": "%%%"}, "broken-audio"),
        ({"type": "response.output_audio.delta", "response_id": "resp_1", "delta": 7}, "broken-answer"),
        ({"type": "response.done", "response": None}, "broken-answer"),
        ({"kind": "response.done"}, "broken-answer"),
    ],
)
def test_events_that_cannot_be_read_are_faults(tmp_path: Path, change: Event, cause: str) -> None:
    def broken(events: list[Event]) -> list[Event]:
        return [*events[:-1], change, events[-1]]

    assert Stage(tmp_path, RealtimeServer(change=broken)).refused()[0] == cause


@pytest.mark.parametrize(
    "trouble",
    [
        {"refuses": (429, {"Retry-After": "0.01"})},
        {"error_on": {"response.create": {"code": "rate_limit_exceeded", "message": "slow down"}}},
        {"closes_on": "input_audio_buffer.commit"},
    ],
)
def test_what_another_attempt_may_mend_is_tried_again_from_the_start(tmp_path: Path, trouble: dict[str, Any]) -> None:
    stage = Stage(tmp_path, RealtimeServer(times=2, **trouble), retries=3)
    reply = stage.ask(stage.view([Past("user", "Hello.")]))
    assert (reply.text, reply.notes) == ("Hello there.", ())
    assert stage.server.attempts == 3
    (call,) = stage.calls
    assert (call.attempts, len(call.failures), call.failed) == (3, 2, "")
    last = stage.server.sessions[-1]
    assert [event["type"] for _, event in last.events][:2] == ["session.update", "conversation.item.create"]
    assert len(last.of("input_audio_buffer.append")) == 8


def test_a_wrong_key_or_model_is_for_the_user_to_mend(tmp_path: Path) -> None:
    for status in (401, 404):
        stage = Stage(tmp_path, RealtimeServer(refuses=(status, {})), retries=3)
        with pytest.raises(InputError):
            stage.ask(stage.view())
        assert stage.server.attempts == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [({"model": ""}, "model is empty"), ({"input_rate": 100}, "input_rate is 100"), ({"pace": -1.0}, "pace is -1")],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        AGENTS.build("realtime", {"model": "fake-1", **options})


def test_it_says_what_it_is() -> None:
    built = AGENTS.build("realtime", {"model": "fake-1"})
    assert (built.place, built.speaks, built.models) == ("driver", True, ("fake-1",))
    assert {"shared", "endpoint", "model", "soxr", "soundfile"} == set(built.identity())
