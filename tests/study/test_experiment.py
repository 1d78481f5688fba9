"""One study end to end with stub engines: what is done, done once, recorded, and told."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from small_study import dialogues, opened, raw_study, small_study, write_corpus
from turnwise.foundation.errors import InputError, StorageError
from turnwise.judges.verdict import Abstention, Fault, Score, Silence
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.ledger import Ledger
from turnwise.study.results import Results
from turnwise.study.run_folder import RunFolder
from turnwise.study.study import Study
from turnwise.study.study_file import read_study
from turnwise.study.verify import verify


def outcomes(results: Results) -> dict[tuple[str, str, int, str], Any]:
    return {
        (conversation.arm, conversation.dialogue.id, answered.number, name): outcome
        for conversation in results.conversations
        for answered in conversation.rounds
        for name, outcome in answered.outcomes.items()
    }


def cells(out: Path) -> Counter[tuple[str, str]]:
    with opened(out / "ledger.sqlite") as db:
        return Counter(db.execute("SELECT kind, outcome FROM cell").fetchall())


def test_a_study_is_done_once(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    out = tmp_path / "run"
    first = carry_out(study, out, workers=0)
    assert first.complete
    assert not first.already
    # 3 dialogues x 4 rounds; two spoken arms share the user's clips; echo answers both alike only where it is shown alike
    counted = cells(out)
    assert counted["user-clip", "done"] == 12
    assert counted["user-transcript", "done"] == 12
    assert not any(outcome == "fault" for _, outcome in counted)
    before = (out / "ledger.sqlite").read_bytes()
    again = carry_out(study, out, workers=0)
    assert again.already
    assert again.tally.made == 0
    assert (out / "ledger.sqlite").read_bytes() == before


def test_every_planned_outcome_is_there(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "run", workers=0)
    results = load_results(tmp_path / "run")
    criteria = [instrument.criterion.name for instrument in results.instruments]
    found = outcomes(results)
    assert len(found) == len(study.arms) * 3 * 4 * len(criteria)
    assert not [o for o in found.values() if isinstance(o, Fault)]
    assert {type(o) for o in found.values()} <= {Score, Abstention}
    for conversation in results.conversations:
        for answered in conversation.rounds:
            assert answered.reply is not None
            assert answered.transcript == answered.reply.text
            if conversation.arm == "text":
                assert answered.user_clip is None
            else:
                assert answered.user_heard == answered.user.text
            if conversation.arm == "short":
                assert answered.shown == ()
            else:
                assert len(answered.shown) == 2 * (answered.number - 1)


def test_processes_and_this_process_give_the_same_results(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "one", workers=0)
    carry_out(study, tmp_path / "two", workers=2)
    assert outcomes(load_results(tmp_path / "one")) == outcomes(load_results(tmp_path / "two"))


def test_results_do_not_depend_on_the_order_of_arms(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "one", workers=0)
    carry_out(msgspec.structs.replace(study, arms=study.arms[::-1]), tmp_path / "two", workers=0)
    assert outcomes(load_results(tmp_path / "one")) == outcomes(load_results(tmp_path / "two"))


def with_echo(study: Study, arm: str, **options: Any) -> Study:
    arms = tuple(msgspec.structs.replace(a, options={**a.options, **options}) if a.name == arm else a for a in study.arms)
    return msgspec.structs.replace(study, arms=arms)


def test_a_fault_stops_its_dialogue_and_nothing_else(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "good", workers=0)
    broken = carry_out(with_echo(study, "voice", fail_on=[2]), tmp_path / "bad", workers=0)
    assert not broken.complete
    good, bad = outcomes(load_results(tmp_path / "good")), outcomes(load_results(tmp_path / "bad"))
    for place, outcome in bad.items():
        arm, _, round, _ = place
        if arm != "voice" or round == 1:
            assert outcome == good[place]
        else:
            assert isinstance(outcome, Fault)
            assert outcome.cause == ("planned" if round == 2 else "blocked")


def test_stepping_over_a_fault_goes_on_without_that_reply(tmp_path: Path) -> None:
    study = with_echo(small_study(tmp_path, on_fault="skip"), "voice", fail_on=[2])
    carry_out(study, tmp_path / "run", workers=0)
    results = load_results(tmp_path / "run")
    (conversation,) = [c for c in results.conversations if (c.arm, c.dialogue.id) == ("voice", "call-000")]
    assert [answered.fault.cause if answered.fault else None for answered in conversation.rounds] == [None, "planned", None, None]
    assert [line.split(":")[0] for line in conversation.rounds[2].shown] == ["user", "agent", "user"]
    assert all(not isinstance(o, Fault) for o in conversation.rounds[2].outcomes.values())


def test_silence_is_silence(tmp_path: Path) -> None:
    study = with_echo(small_study(tmp_path), "voice", silent_on=[1, 3])
    done = carry_out(study, tmp_path / "run", workers=0)
    assert done.complete
    for (arm, _, round, _), outcome in outcomes(load_results(tmp_path / "run")).items():
        assert isinstance(outcome, Silence) == (arm == "voice" and round in (1, 3))


def test_faults_are_retried_and_successes_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that fails while a file is there, as a server that is down."""
    (tmp_path / "flaky.py").write_text(
        '"""An agent that fails while its server is down."""\n'
        "import os\nfrom turnwise.agents.agent import Reply\nfrom turnwise.foundation.errors import EngineError\n"
        "class Flaky:\n    speaks = False\n    def __init__(self, down): self.down = down\n    def identity(self): return {}\n"
        "    def open(self, surroundings): return self\n"
        "    def answer(self, view, *, seed):\n"
        "        if os.path.exists(self.down) and view.round == 3: raise EngineError('down', 'no connection')\n"
        "        return Reply(f'answer {view.round} to {view.text}')\n"
        "    def close(self): pass\n"
        "def agent(down): return Flaky(down)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    down = tmp_path / "down"
    down.touch()
    arms = {"flaky": {"agent": "flaky:agent", "options": {"down": str(down)}, "context": {"user": "written"}}}
    study = small_study(tmp_path, arms=arms)
    out = tmp_path / "run"
    first = carry_out(study, out, workers=0)
    assert (first.complete, cells(out)["reply", "done"], cells(out)["reply", "fault"]) == (False, 6, 3)
    down.unlink()
    second = carry_out(study, out, workers=0)
    assert second.complete
    assert cells(out)["reply", "done"] == 12
    assert cells(out)["reply", "fault"] == 3  # the record of what happened stays
    assert not [o for o in outcomes(load_results(out)).values() if isinstance(o, Fault)]


def test_a_changed_study_redoes_only_what_it_changes(tmp_path: Path) -> None:
    raw = raw_study(write_corpus(tmp_path, dialogues(3)))
    out = tmp_path / "run"
    carry_out(read_study(raw, "x"), out, workers=0)
    before = cells(out)
    raw["arms"]["short"]["options"] = {"prefix": "So you mean:"}
    changed = carry_out(read_study(raw, "x"), out, workers=0)
    after = cells(out)
    assert changed.complete
    assert after["user-clip", "done"] == before["user-clip", "done"]
    assert after["reply", "done"] == before["reply", "done"] + 12
    results = load_results(out)
    assert {a.reply.text[:3] for c in results.conversations if c.arm == "short" for a in c.rounds if a.reply} == {"So "}
    assert {a.reply.text[:3] for c in results.conversations if c.arm == "voice" for a in c.rounds if a.reply} == {"You"}
    del raw["arms"]["short"]  # and back to less: nothing is done, and nothing of the dropped arm is shown
    fewer = carry_out(read_study(raw, "x"), out, workers=0)
    assert fewer.tally.made == 0
    assert {c.arm for c in load_results(out).conversations} == {"voice", "text"}


def test_another_seed_of_the_draw_keeps_what_is_common(tmp_path: Path) -> None:
    raw = raw_study(write_corpus(tmp_path, dialogues(6)))
    raw["corpus"]["ids"] = ["call-001", "call-002"]
    out = tmp_path / "run"
    carry_out(read_study(raw, "x"), out, workers=0)
    before = cells(out)
    raw["corpus"]["ids"] = ["call-002", "call-003"]
    carry_out(read_study(raw, "x"), out, workers=0)
    assert cells(out)["user-clip", "done"] == before["user-clip", "done"] + 4


def test_perturbed_arms_hear_other_clips(tmp_path: Path) -> None:
    arms = {
        "clean": {"agent": "echo", "options": {"voice": True}},
        "noisy": {"base": "clean", "perturb": [{"name": "noise", "options": {"snr": 20}}]},
    }
    study = small_study(tmp_path, count=1, arms=arms, on_fault="skip")
    carry_out(study, tmp_path / "run", workers=0)
    clean, noisy = (c for c in load_results(tmp_path / "run").conversations)
    assert clean.rounds[0].user_clip is not None
    assert clean.rounds[0].user_clip.perturbation == ""
    # The stub's ear refuses what is not its own voice, so the noisy arm is at fault, by name, and never a guess.
    assert noisy.rounds[0].fault is not None
    assert noisy.rounds[0].fault.cause == "user-transcript"


def test_verification_finds_damage(tmp_path: Path) -> None:
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    assert verify(tmp_path / "run").wrong == ()
    flacs = sorted((tmp_path / "run" / "clips").rglob("*.flac"))
    flacs[0].unlink()
    flacs[1].write_bytes(flacs[1].read_bytes()[:40])
    wrong = verify(tmp_path / "run").wrong
    assert len(wrong) == 2
    assert any("missing" in line for line in wrong)
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        db.execute("DELETE FROM cell WHERE seq = 5")
    assert any("cells are gone" in line for line in verify(tmp_path / "run").wrong)


def test_two_processes_never_share_a_run(tmp_path: Path) -> None:
    place = RunFolder(tmp_path / "run")
    place.create()
    blocked: list[str] = []
    with place.writing():

        def second() -> None:
            try:
                carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
            except StorageError as error:
                blocked.append(error.message)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(blocked) == 1
    assert "another process is working on" in blocked[0]


def test_the_manifest_names_what_was_drawn(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "run", workers=0)
    manifest = msgspec.json.decode((tmp_path / "run" / "manifest.json").read_bytes())
    assert manifest["corpus"]["drawn"] == ["call-000", "call-001", "call-002"]
    assert manifest["corpus"]["digest"].startswith("b2:")
    assert manifest["study"]["seed"] == 7


def test_judges_that_need_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'consistency' needs the criterion"):
        carry_out(small_study(tmp_path, judges=["consistency"]), tmp_path / "run", workers=0)


def test_an_unknown_dialogue_is_refused(tmp_path: Path) -> None:
    raw = raw_study(write_corpus(tmp_path, dialogues(2)))
    raw["corpus"]["ids"] = ["../../etc/passwd"]
    with pytest.raises(InputError, match="no dialogue is called"):
        carry_out(read_study(raw, "x"), tmp_path / "run", workers=0)


def test_results_need_a_plan(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").close()
    with pytest.raises(StorageError, match="holds no plan"):
        load_results(tmp_path)


SEEDED = '''"""Says which seed it was given."""
from turnwise.agents.agent import Reply
{remark}
class Seeded:
    speaks = False
    def identity(self): return {{"version": "{version}"}}
    def open(self, surroundings): return self
    def answer(self, view, *, seed): return Reply(f"seed {{seed}}")
    def close(self): pass
def agent(mood="calm"): return Seeded()
'''


def test_seeds_come_from_the_study_and_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same study draws the same chances whatever the versions; arms of one agent share them; another seed has others."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "seeded.py").write_text(SEEDED.format(remark="", version="1"))
    arms = {
        "all": {"agent": "seeded:agent", "context": {"user": "written"}},
        "none": {"base": "all", "context": {"past": 0}},
        "glad": {"base": "all", "options": {"mood": "glad"}},
    }

    def said(out: str, seed: int) -> dict[str, list[str]]:
        carry_out(small_study(tmp_path, arms=arms, seed=seed), tmp_path / out, workers=0)
        found: dict[str, list[str]] = {}
        for conversation in load_results(tmp_path / out).conversations:
            found.setdefault(conversation.arm, []).extend(a.reply.text for a in conversation.rounds if a.reply)
        return found

    first = said("one", 7)
    assert first["all"] == first["none"]
    assert not set(first["all"]) & set(first["glad"])
    assert len(set(first["all"])) == 12  # every dialogue and round has its own
    assert not set(first["all"]) & set(said("other", 8)["all"])
    before = cells(tmp_path / "one")["reply", "done"]
    # Another version of the agent is another instrument: its cells are new, its chances are not.
    (tmp_path / "seeded.py").write_text(SEEDED.format(remark="LIMIT = 2", version="2"))
    assert said("one", 7) == first
    assert cells(tmp_path / "one")["reply", "done"] == 2 * before


def test_a_clip_that_is_gone_is_made_again_when_it_is_needed(tmp_path: Path) -> None:
    carry_out(small_study(tmp_path), tmp_path / "run", workers=0)
    flacs = sorted((tmp_path / "run" / "clips").rglob("*.flac"))
    for path in flacs:
        path.unlink()
    more = small_study(tmp_path, judges=["repetition", "wer"])  # something that needs them
    assert carry_out(more, tmp_path / "run", workers=0).complete
    assert sorted((tmp_path / "run" / "clips").rglob("*.flac")) == flacs
    assert not verify(tmp_path / "run").wrong


def test_a_row_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    carry_out(study, tmp_path / "run", workers=0)
    with opened(tmp_path / "run" / "ledger.sqlite") as db:
        db.execute("UPDATE cell SET payload = '{\"text\":' WHERE kind = 'transcript'")
    with pytest.raises(StorageError, match="cannot be read"):
        load_results(tmp_path / "run")
    with pytest.raises(StorageError, match="cannot be read"):
        carry_out(small_study(tmp_path, judges=["generic"]), tmp_path / "run", workers=0)
