"""Clips that are gone or damaged come back; where they come back otherwise, all that follows from them is done anew."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from small_study import opened, small_study
from turnwise.foundation.errors import StorageError
from turnwise.judges.verdict import Score
from turnwise.speech.clip_store import ClipStore
from turnwise.study.experiment import CarriedOut, carry_out, load_results
from turnwise.study.results import Answered
from turnwise.study.study import Study
from turnwise.study.verify import verify

PARROT = '''"""Says something else every time it is asked, aloud; keeps a diary."""
from turnwise.agents.agent import Reply
from turnwise.endpoints import calls
from turnwise.endpoints.calls import Call
from turnwise.foundation.errors import EngineError
from turnwise.speech.engines.stub import encode
asked = []
down = False
same = False
class Parrot:
    place, speaks = "driver", True
    def identity(self): return {}
    def reach(self, around):
        self.clips = around.clips
        return self
    async def answer(self, view, *, seed):
        asked.append((view.dialogue, view.round, tuple(past.text for past in view.past if past.speaker == "agent")))
        calls.note(Call("house", "m", "/chat", 0.5, cost=1.0))
        if down: raise EngineError("connection", "nobody is at home")
        words = f"round {view.round} of {view.dialogue}" + ("" if same else f", said for the {len(asked)}th time")
        return Reply(words, self.clips.keep(encode(words)))
    async def close(self): pass
def agent(): return Parrot()
'''


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "parrot.py").write_text(PARROT)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("parrot", None)
    yield importlib.import_module("parrot")
    sys.modules.pop("parrot", None)


def study_of(folder: Path, **changes: Any) -> Study:
    arms = {"a": {"agent": "parrot:agent", "context": {"user": "written"}}}
    return small_study(folder, count=2, rounds=3, **{"arms": arms, **changes})


def run(folder: Path, **changes: Any) -> CarriedOut:
    return carry_out(study_of(folder, **changes), folder / "run", workers=0)


def rounds(folder: Path, dialogue: str) -> tuple[Answered, ...]:
    return next(c.rounds for c in load_results(folder / "run").conversations if c.dialogue.id == dialogue)


def clip_file(folder: Path, dialogue: str, round: int) -> Path:
    reply = rounds(folder, dialogue)[round - 1].reply
    assert reply is not None and reply.clip is not None
    return ClipStore(folder / "run" / "clips").path(reply.clip)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("how", ["gone", "empty", "damaged"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_sound_that_can_be_had_again_comes_back_as_it_was(tmp_path: Path, how: str, workers: int) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "run", workers=0)
    flacs = sorted((tmp_path / "run" / "clips").rglob("*.flac"))
    before = [path.read_bytes() for path in flacs]
    for path in flacs:
        if how == "gone":
            path.unlink()
        elif how == "empty":
            path.write_bytes(b"")
        else:
            damage(path)
    if how == "damaged":  # what is in the files shows when something is to be made of them
        assert carry_out(study, tmp_path / "run", workers=workers).already
        study = small_study(tmp_path, judges=["repetition", "wer"])
    done = carry_out(study, tmp_path / "run", workers=workers)
    assert (done.complete, done.already) == (True, False)
    assert done.tally.remarks == (f"clips that were gone or damaged, made again as they were: {len(flacs)}",)
    assert [path.read_bytes() for path in flacs] == before
    assert not verify(tmp_path / "run").wrong
    again = carry_out(study, tmp_path / "run", workers=workers)
    assert again.already
    assert again.tally.remarks == ()


def test_another_sound_takes_the_place_of_the_lost_one_and_renames_what_follows(tmp_path: Path, parrot: Any) -> None:
    assert run(tmp_path).complete
    before = {name: rounds(tmp_path, name) for name in ("call-000", "call-001")}
    clip_file(tmp_path, "call-001", 2).unlink()
    asked = len(parrot.asked)
    done = run(tmp_path)
    assert done.complete
    assert done.tally.remarks == (
        "clips that were gone or damaged and came out otherwise when they were made again: 1; all that follows from them was "
        "done anew",
    )
    now = {name: rounds(tmp_path, name) for name in ("call-000", "call-001")}
    assert now["call-000"] == before["call-000"]
    assert now["call-001"][0] == before["call-001"][0]
    # The turn was asked again, and the next one, which was shown it; nothing else was.
    said = [answered.reply.text for answered in now["call-001"] if answered.reply]
    assert parrot.asked[asked:] == [("call-001", 2, (said[0],)), ("call-001", 3, tuple(said[:2]))]
    assert [answered.transcript for answered in now["call-001"]] == said  # and each was heard and judged as it is now
    assert said[1:] == ["round 2 of call-001, said for the 7th time", "round 3 of call-001, said for the 8th time"]
    assert all(isinstance(answered.outcomes["repetition"], Score) for answered in now["call-001"])
    assert verify(tmp_path / "run").wrong == ()  # of the sound that is lost no file is owed
    assert run(tmp_path).already
    # What was recorded is still there, and all that was paid is in the accounts.
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        kept = db.execute("SELECT key, again FROM cell WHERE kind = 'reply' ORDER BY seq").fetchall()
        assert [number for _, number in kept] == [0] * 6 + [1, 0]
        assert len({key for key, _ in kept}) == 7
    assert sum(e.cost or 0.0 for e in load_results(tmp_path / "run").expenses) == 7.0  # the old third reply is of no use now
    assert verify(tmp_path / "run").clips == 7


def test_it_may_be_lost_again(tmp_path: Path, parrot: Any) -> None:
    run(tmp_path)
    for time in range(3):
        clip_file(tmp_path, "call-000", 1).unlink()
        assert run(tmp_path).complete
        with opened(tmp_path / "run" / "ledger.sqlite") as db:
            assert db.execute("SELECT MAX(again) FROM cell").fetchone() == (time + 1,)
    assert verify(tmp_path / "run").wrong == ()


def test_a_run_that_is_killed_on_the_way_goes_on(tmp_path: Path, parrot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan had been finished; it is not any more, from the first row that takes the place of another."""
    run(tmp_path)
    clip_file(tmp_path, "call-001", 1).unlink()
    answer = parrot.Parrot.answer

    async def killed(self: Any, view: Any, *, seed: int) -> Any:
        if view.round == 2:
            raise StorageError("no room")
        return await answer(self, view, seed=seed)

    monkeypatch.setattr(parrot.Parrot, "answer", killed)
    with pytest.raises(StorageError, match="no room"):
        run(tmp_path)
    assert clip_file(tmp_path, "call-001", 1).is_file()  # the new one; nothing is missing now but what follows
    monkeypatch.setattr(parrot.Parrot, "answer", answer)
    done = run(tmp_path)
    assert (done.complete, done.already) == (True, False)
    assert all(isinstance(a.outcomes["repetition"], Score) for a in rounds(tmp_path, "call-001"))
    assert run(tmp_path).already


def test_what_cannot_be_made_again_is_a_fault_until_it_can(tmp_path: Path, parrot: Any) -> None:
    run(tmp_path)
    said = rounds(tmp_path, "call-001")
    clip_file(tmp_path, "call-001", 2).unlink()
    parrot.down = True
    done = run(tmp_path)
    assert (done.complete, done.tally.faults) == (False, 1)
    assert done.tally.remarks == (
        "clips that are gone or damaged and could not be made again: 1, first connection: nobody is at home; what follows from "
        "them waits for the next run",
    )
    assert rounds(tmp_path, "call-001") == said  # what was recorded is still what is shown
    parrot.down = False
    assert run(tmp_path).complete
    assert rounds(tmp_path, "call-001") != said


def test_a_damaged_clip_is_found_before_anything_is_made_of_it(tmp_path: Path, parrot: Any) -> None:
    """In a changed study: judges, a transcriber or another arm may need any clip of the conversation."""
    run(tmp_path)
    parrot.same = True
    path = clip_file(tmp_path, "call-000", 1)
    damage(path)
    assert run(tmp_path).already
    assert any("FLAC" in line or "other samples" in line for line in verify(tmp_path / "run").wrong)
    done = run(tmp_path, judges=["repetition", "generic"])
    assert done.complete
    assert "came out otherwise" in done.tally.remarks[0]
    assert not path.exists()
    assert verify(tmp_path / "run").wrong == ()


def test_a_remembered_sound_that_is_damaged_is_spoken_again(tmp_path: Path) -> None:
    """What a voice has said is remembered for all arms: a new arm is not given what cannot be read."""
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    for path in (tmp_path / "run" / "clips").rglob("*.flac"):
        damage(path)
    options = {"recognizer": "stub", "mind": "echo", "synthesizer": "stub"}
    arms = {"chain": {"agent": "cascade", "options": options}, "again": {"agent": "cascade", "options": options}}
    assert carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0).complete
    for path in (tmp_path / "run" / "clips").rglob("*.flac"):
        damage(path)
    arms["more"] = {"base": "chain", "context": {"past": 0}}  # type: ignore[dict-item]
    assert carry_out(small_study(tmp_path, arms=arms), tmp_path / "run", workers=0).complete


def test_an_agent_whose_sound_has_a_damaged_file_can_keep_it_the_next_time(tmp_path: Path) -> None:
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    flacs = sorted((tmp_path / "run" / "clips").rglob("*.flac"))
    other = {"one": {"agent": "echo", "options": {"voice": True, "fixed_seconds": 0.5}}}  # it says the same, as another agent
    for path in flacs:
        damage(path)
    first = carry_out(small_study(tmp_path, arms=other), tmp_path / "run", workers=0)
    assert (first.complete, first.tally.faults) == (False, 3)
    for _ in range(4):  # rounds: each was stopped by the one before it
        last = carry_out(small_study(tmp_path, arms=other), tmp_path / "run", workers=0)
    assert last.complete
    assert verify(tmp_path / "run").wrong == ()


def test_a_file_that_may_not_be_read_is_not_thrown_away(tmp_path: Path) -> None:
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    path = next((tmp_path / "run" / "clips").rglob("*.flac"))
    path.unlink()
    path.mkdir()  # as root reads every file, something else that cannot be read
    with pytest.raises(StorageError, match="cannot be read: Is a directory"):
        carry_out(small_study(tmp_path, judges=["repetition", "generic"]), tmp_path / "run", workers=0)
    assert path.is_dir()


def test_a_ledger_of_before_is_read_as_it_is_and_brought_up_to_date(tmp_path: Path, parrot: Any) -> None:
    run(tmp_path)
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        db.execute("DROP INDEX cell_done")
        db.execute("ALTER TABLE cell DROP COLUMN again")
        db.execute("CREATE UNIQUE INDEX cell_done ON cell (key) WHERE outcome = 'done'")
        db.execute("DELETE FROM migration WHERE name = '_m0003_again'")
    before = (tmp_path / "run" / "ledger.sqlite").read_bytes()
    assert verify(tmp_path / "run").wrong == ()
    load_results(tmp_path / "run")
    assert (tmp_path / "run" / "ledger.sqlite").read_bytes() == before
    clip_file(tmp_path, "call-000", 3).unlink()
    assert run(tmp_path).complete
    assert verify(tmp_path / "run").wrong == ()


def test_a_clip_of_an_arm_that_was_dropped_keeps_nothing_from_being_done(tmp_path: Path) -> None:
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    fewer = small_study(tmp_path, arms={"text": {"agent": "echo", "context": {"user": "written"}}})
    assert carry_out(fewer, tmp_path / "run", workers=0).complete
    for path in (tmp_path / "run" / "clips").rglob("*.flac"):
        path.unlink()
    again = carry_out(fewer, tmp_path / "run", workers=0)
    assert (again.already, again.tally.remarks) == (True, ())
