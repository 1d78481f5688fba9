"""Each misfortune of a server alone: what an attempt mends leaves no trace but in the accounts, what lasts is a fault of its
cause, and a healed server leaves nothing behind. One study for each sort of request; each call of it meets another misfortune.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from disturbed_study import KEY, KEY_NAME, World, attempts, calls, failed_attempts, files_with_the_key, place_of, table_of, world
from servers.misfortunes import (
    ALOUD,
    HARMLESS,
    HEARING,
    JUDGE,
    LASTING,
    LIE,
    MUTE,
    NO_ENTRY,
    PASSING,
    SPEECH,
    TELLING,
    WORDS,
    Misfortune,
)
from small_study import opened
from turnwise.endpoints.remote import Remote
from turnwise.foundation.errors import InputError
from turnwise.study import experiment
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.study import JudgeChoice, UserVoice
from turnwise.study.verify import verify

ARM = {JUDGE: "text", ALOUD: "hosted", MUTE: "mute", WORDS: "text", SPEECH: "chain", HEARING: "chain"}
STAGE = {SPEECH: ("speak", "openai_speech"), HEARING: ("hear", "openai_transcription")}
FIRST, LAST = ("a/naturalness", "generic"), ("a/consistency", "memory")
SORTS = list(ARM)
SILENT = next(kind for kind in LASTING if kind.name == "silent sound" and SPEECH in kind.sorts)
BROKEN = next(kind for kind in PASSING if kind.name == "500")


@pytest.fixture(scope="module")
def servers() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, servers: World) -> None:
    monkeypatch.setattr(experiment, "Remote", partial(Remote, patience=0.001))
    monkeypatch.setenv(KEY_NAME, KEY)
    servers.chaos.choose(None)


def of_sort(sort: str, *kinds: Sequence[Misfortune]) -> list[Misfortune]:
    return [misfortune for each in kinds for misfortune in each if sort in misfortune.sorts]


@pytest.mark.parametrize("sort", SORTS)
def test_what_befalls_a_request_once_changes_nothing(tmp_path: Path, servers: World, sort: str) -> None:
    kinds = of_sort(sort, PASSING, HARMLESS)
    study = servers.study(tmp_path, len(kinds), 1, arms=(ARM[sort],), retries=1)
    assert carry_out(study, tmp_path / "healthy", workers=0).complete
    servers.chaos.choose(lambda asked: kinds[place_of(asked).call] if asked.sort == sort else None, times=1)
    assert carry_out(study, tmp_path / "run", workers=0).complete
    assert table_of(tmp_path / "run").equals(table_of(tmp_path / "healthy"))
    made, deeds = calls(tmp_path / "run"), servers.chaos.deeds
    assert {deed.misfortune.name for deed in deeds} == {kind.name for kind in kinds}
    assert _but_for_slowness(failed_attempts(made)) == _but_for_slowness(attempts(deeds))
    assert sum(call.attempts for call in made) == len(servers.chaos.met)
    assert not any(call.failed for call in made)
    assert files_with_the_key(tmp_path) == []


@pytest.mark.parametrize("sort", SORTS)
def test_what_lasts_is_a_fault_of_its_cause_until_the_server_is_healed(tmp_path: Path, servers: World, sort: str) -> None:
    kinds = of_sort(sort, PASSING, LASTING)
    study = servers.study(tmp_path, len(kinds), 2, arms=(ARM[sort],), retries=1)
    assert carry_out(study, tmp_path / "healthy", workers=0).complete
    servers.chaos.choose(lambda asked: kinds[place_of(asked).call] if asked.sort == sort else None)
    assert not carry_out(study, tmp_path / "run", workers=0).complete
    table = table_of(tmp_path / "run").select("dialogue", "round", "criterion", "status", "cause", "reason")
    for dialogue, round, criterion, status, cause, reason in table.rows():
        misfortune = kinds[int(dialogue.removeprefix("call-"))]
        stage, part = STAGE.get(sort, (misfortune.cause, ""))
        if sort == JUDGE:
            struck = {"all": True, "first": criterion in FIRST, "last": criterion in LAST}[misfortune.strikes]
            assert (status, cause) == (("fault", misfortune.cause) if struck else ("scored", None)), misfortune.name
        elif round == 1:
            assert (status, cause) == ("fault", stage), misfortune.name
            assert sort not in STAGE or reason.startswith(f"{part}: {misfortune.cause}: "), misfortune.name
        else:
            assert (status, cause, reason) == ("fault", "blocked", f"round 1 of this dialogue failed: {stage}")
    made, deeds = calls(tmp_path / "run"), servers.chaos.deeds
    assert _but_for_slowness(failed_attempts(made)) == _but_for_slowness(attempts(deeds))
    assert sum(call.attempts for call in made) == len(servers.chaos.met)
    for number, misfortune in enumerate(kinds):
        mine = [deed for deed in deeds if place_of(deed.asked).call == number]
        questions = 6 if sort == JUDGE else 1  # of two rounds, each judged once by one judge and twice by the other
        twice = bool(misfortune.attempt) and misfortune.again
        if sort == JUDGE and not misfortune.attempt:
            twice = misfortune.cause not in ("refused", "broken-answer")  # the question is put again, with what was wrong
        assert len(mine) == questions * (1 + twice), misfortune.name
    servers.chaos.choose(None)
    assert carry_out(study, tmp_path / "run", workers=0).complete
    assert table_of(tmp_path / "run").equals(table_of(tmp_path / "healthy"))
    assert verify(tmp_path / "run").wrong == ()
    assert files_with_the_key(tmp_path) == []


def test_a_run_that_steps_over_faults_ends_the_same_once_they_are_gone(tmp_path: Path, servers: World) -> None:
    study = msgspec.structs.replace(servers.study(tmp_path, 2, 3, retries=0), on_fault="skip")
    assert carry_out(study, tmp_path / "healthy", workers=0).complete
    servers.chaos.choose(lambda asked: BROKEN if place_of(asked).round == 1 and place_of(asked).purpose == "reply" else None)
    assert not carry_out(study, tmp_path / "run", workers=0).complete
    rounds = [[a.fault.cause if a.fault else "" for a in c.rounds] for c in load_results(tmp_path / "run").conversations]
    assert {tuple(one) for one in rounds} == {("server-error", "", ""), ("hear", "", "")}
    servers.chaos.choose(None)
    assert carry_out(study, tmp_path / "run", workers=0).complete
    assert table_of(tmp_path / "run").equals(table_of(tmp_path / "healthy"))


def test_a_key_in_what_is_no_error_is_taken_out(tmp_path: Path, servers: World) -> None:
    study = servers.study(tmp_path, 2, 2)
    servers.chaos.choose(lambda asked: next((kind for kind in TELLING if asked.sort in kind.sorts), None))
    assert carry_out(study, tmp_path / "run", workers=0).complete
    results = load_results(tmp_path / "run")
    for conversation in results.conversations:
        for answered in conversation.rounds:
            assert answered.reply is not None
            if conversation.arm != "mute":
                assert f"[{KEY_NAME}] " in answered.reply.text
                assert all(f" [{KEY_NAME}]" in outcome.reason for outcome in answered.outcomes.values())  # type: ignore[union-attr]
            if conversation.arm == "chain":
                assert (answered.reply.heard or "").endswith(f" [{KEY_NAME}]")
    told = {name for expense in results.expenses for name in expense.answered_by}
    assert f"m [{KEY_NAME}]" in told and KEY not in str(told)
    assert files_with_the_key(tmp_path) == []


def test_a_key_that_is_refused_stops_the_run_and_is_not_told(
    tmp_path: Path, servers: World, capfd: pytest.CaptureFixture[str]
) -> None:
    study = servers.study(tmp_path, 2, 3)
    assert carry_out(study, tmp_path / "healthy", workers=0).complete
    servers.chaos.choose(lambda asked: NO_ENTRY if place_of(asked).round == 2 else None)
    with pytest.raises(InputError, match="refuses the key in CHAOS_ACCESS") as caught:
        carry_out(study, tmp_path / "run", workers=0)
    assert KEY not in str(caught.value) and KEY not in "".join(capfd.readouterr())
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        assert db.execute("SELECT COUNT(*) FROM cell WHERE outcome = 'fault'").fetchone() == (0,)
        before = db.execute("SELECT COUNT(*) FROM cell WHERE kind = 'reply'").fetchone()[0]
    assert before > 0
    servers.chaos.choose(None)
    assert carry_out(study, tmp_path / "run", workers=0).complete
    assert table_of(tmp_path / "run").equals(table_of(tmp_path / "healthy"))
    assert files_with_the_key(tmp_path) == []


def test_a_user_whose_voice_is_silent_is_a_fault_and_not_a_turn(tmp_path: Path, servers: World) -> None:
    study = servers.study(tmp_path, 1, 2, arms=("hosted",))
    voice = UserVoice("openai_speech", {"endpoint": "speech", "model": "user", "voice": "u"})
    study = msgspec.structs.replace(study, user=voice)
    servers.chaos.choose(lambda asked: SILENT if asked.sort == SPEECH else None)
    assert not carry_out(study, tmp_path / "run", workers=0).complete
    first, second = load_results(tmp_path / "run").conversations[0].rounds
    assert first.fault is not None and second.fault is not None
    assert (first.fault.cause, first.fault.detail.split(":")[0], second.fault.cause) == ("user-audio", "empty-audio", "blocked")
    assert {asked.sort for asked in servers.chaos.met} == {SPEECH}  # nobody was asked to answer silence
    servers.chaos.choose(None)
    assert carry_out(study, tmp_path / "run", workers=0).complete


def test_a_rate_that_may_be_true_is_believed(tmp_path: Path, servers: World) -> None:
    """Nobody can see that a voice is twice as fast as it was meant: the reply stays as the server gave it, and what the
    transcriber makes of it is told.
    """
    study = servers.study(tmp_path, 1, 1, arms=("chain",))
    servers.chaos.choose(lambda asked: LIE if asked.sort == SPEECH else None)
    for chosen in (servers.chaos.chosen, None):
        servers.chaos.choose(chosen)
        assert not carry_out(study, tmp_path / "run", workers=0).complete
        (answered,) = load_results(tmp_path / "run").conversations[0].rounds
        assert answered.reply is not None and answered.reply.clip is not None and answered.reply.clip.rate == 16000
        assert {(o.cause, o.detail.split(":")[0]) for o in answered.outcomes.values()} == {("transcript", "not-understood")}  # type: ignore[union-attr]


def test_clips_that_are_gone_are_asked_for_again(tmp_path: Path, servers: World) -> None:
    study = servers.study(tmp_path, 1, 2, arms=("hosted", "chain"))
    assert carry_out(study, tmp_path / "run", workers=0).complete
    before = table_of(tmp_path / "run")
    for clip in (tmp_path / "run" / "clips").rglob("*.flac"):
        clip.unlink()
    more = msgspec.structs.replace(study, judges=(*study.judges, JudgeChoice("repetition", label="b")))
    assert carry_out(more, tmp_path / "run", workers=0).complete
    assert verify(tmp_path / "run").wrong == ()
    after = table_of(tmp_path / "run")
    assert after.filter(after["criterion"].cast(str).is_in(before["criterion"].unique().cast(str).to_list())).equals(before)


def test_a_judge_draws_by_the_study_and_not_by_the_clock(tmp_path: Path, servers: World) -> None:
    """The seconds that replies took are part of what a judge may see, but not of the chances it takes."""
    study = servers.study(tmp_path, 2, 2, arms=("text", "hosted"))
    seeds = []
    for name in ("one", "two"):
        servers.chaos.choose(None)
        assert carry_out(study, tmp_path / name, workers=0).complete
        asked = [one for one in servers.chaos.met if one.sort == JUDGE]
        seeds.append({(place_of(one), one.body["seed"]) for one in asked})
    assert seeds[0] == seeds[1]
    assert len({seed for _, seed in seeds[0]}) == 2 * 2 * 3  # calls, rounds, judgements: the same for both arms
    assert len(seeds[0]) == 2 * 2 * 2 * 3


def _but_for_slowness(found: Counter[str]) -> Counter[str]:
    """Without attempts that timed out: on a busy machine there may be more of them than were meant."""
    return Counter({cause: number for cause, number in found.items() if cause != "timeout"})
