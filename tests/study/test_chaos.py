"""More than ten thousand misfortunes befall one study, and a kill: nothing that they did not touch changes, whatever they touch is
told, and once the servers are healed the study ends as if nothing had ever happened.
"""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from disturbed_study import (
    ARMS,
    JUDGES,
    KEY,
    KEY_NAME,
    Place,
    World,
    attempts,
    calls,
    failed_attempts,
    place_of,
    table_of,
    world,
)
from servers.chaos import Deed
from servers.misfortunes import HEARING, LASTING, PASSING, SPEECH, WORDS
from small_study import opened
from turnwise.foundation.remote import Remote
from turnwise.judges.verdict import Fault, Outcome, Score, Silence
from turnwise.report.page import build
from turnwise.report.terminal import terminal_table
from turnwise.statistics.findings import findings
from turnwise.statistics.summary import summarise
from turnwise.statistics.summary_json import summary_json
from turnwise.study import experiment
from turnwise.study.experiment import carry_out, load_results
from turnwise.study.results import Results
from turnwise.study.study import Study
from turnwise.study.verify import verify

ENOUGH = 10_000
CALLS, ROUNDS = 16, 5
STAGE = {HEARING: "hear", WORDS: "think", SPEECH: "speak"}
BEFORE_THE_KILL = 1500  # requests
RUN = """
import functools, pathlib, sys, msgspec
from turnwise.foundation.remote import Remote
from turnwise.study import experiment
from turnwise.study.study import Study
if __name__ == "__main__":
    experiment.Remote = functools.partial(Remote, patience=0.001)
    study = msgspec.json.decode(pathlib.Path(sys.argv[1]).read_bytes(), type=Study)
    experiment.carry_out(study, pathlib.Path(sys.argv[2]), workers=1)
"""

Outcomes = dict[tuple[str, str, int, str], Outcome]


def outcomes(results: Results) -> Outcomes:
    return {
        (conversation.arm, conversation.dialogue.id, answered.number, name): outcome
        for conversation in results.conversations
        for answered in conversation.rounds
        for name, outcome in answered.outcomes.items()
    }


def expected_faults(deeds: Iterable[Deed]) -> dict[tuple[str, str, int, str], set[str]]:
    """The cells that must be at fault after a run, and the causes that may be named: what lasting misfortunes struck in that run."""
    struck: dict[Place, list[Deed]] = defaultdict(list)
    for deed in deeds:
        if deed.lasting:
            struck[place_of(deed.asked)].append(deed)
    found: dict[tuple[str, str, int, str], set[str]] = {}
    for arm in ARMS:
        for call in range(CALLS):
            stopped = False
            for round in range(1, ROUNDS + 1):
                mine = struck[Place(arm, call, round, "reply")]
                causes = {STAGE[d.asked.sort] if arm == "chain" else d.misfortune.cause for d in mine}
                for title, criteria in JUDGES.items():
                    judged = struck[Place(arm, call, round, title)]
                    for number, criterion in enumerate(criteria):
                        ends = {"first": number == 0, "last": number == len(criteria) - 1, "all": True}
                        own = (
                            {"blocked"}
                            if stopped
                            else causes or {d.misfortune.cause for d in judged if ends[d.misfortune.strikes]}
                        )
                        if own:
                            found[arm, f"call-{call:03d}", round, criterion] = own
                stopped = stopped or bool(causes)
    return found


def check(now: Outcomes, undisturbed: Outcomes, deeds: Iterable[Deed]) -> int:
    """Every cell is the undisturbed one or a fault that was to be expected; returns how many are."""
    at_fault = expected_faults(deeds)
    assert now.keys() == undisturbed.keys()
    for cell, outcome in now.items():
        if cell in at_fault:
            assert isinstance(outcome, Fault) and outcome.cause in at_fault[cell], (cell, outcome, at_fault[cell])
        else:
            assert outcome == undisturbed[cell], cell
    return len(at_fault)


def killed_in_the_middle(study: Study, out: Path, servers: World) -> str:
    """Carry out the study in a process of its own, kill it, and give back what it said."""
    (out.parent / "study.json").write_bytes(msgspec.json.encode(study))
    (out.parent / "run.py").write_text(RUN)
    begun = len(servers.chaos.met)
    with (out.parent / "said").open("wb") as said:
        command = [sys.executable, out.parent / "run.py", out.parent / "study.json", out]
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            while process.poll() is None and len(servers.chaos.met) < begun + BEFORE_THE_KILL:
                time.sleep(0.01)
            assert process.poll() is None, (out.parent / "said").read_text()
        finally:
            process.kill()
            process.wait()
    return (out.parent / "said").read_text()


def count(out: Path, where: str) -> int:
    with opened(out / "ledger.sqlite") as db:
        return int(db.execute(f"SELECT COUNT(*) FROM cell WHERE {where}").fetchone()[0])


def carried_out(study: Study, out: Path, servers: World) -> tuple[bool, list[Deed]]:
    """One run in this process, of which every attempt is in the accounts; whether all is done, and what befell it."""
    before = calls(out) if (out / "ledger.sqlite").exists() else []
    met, deeds = len(servers.chaos.met), len(servers.chaos.deeds)
    T=time.time(),time.process_time(),time.thread_time()
    done = carry_out(study, out, workers=0)
    print("T", time.time()-T[0], time.process_time()-T[1],time.thread_time()-T[2])
    made, mine = calls(out)[len(before) :], servers.chaos.deeds[deeds:]
    print("PHASE", sum(call.attempts for call in made), len(servers.chaos.met) - met, failed_attempts(made)-attempts(mine), attempts(mine)-failed_attempts(made))
    failed, meant = failed_attempts(made), attempts(mine)
    # A busy machine may let a call time out by itself; another attempt mends it as it mends the others.
    assert failed.pop("timeout", 0) >= meant.pop("timeout", 0)
    assert failed == meant
    return done.complete, mine


def untimed(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without what is measured or paid anew in every run."""
    arms = {name: {key: value for key, value in about.items() if key != "latency"} for name, about in summary["about"].items()}
    told = [finding for finding in summary["findings"] if finding["kind"] not in ("latency", "cost")]
    rest = {key: value for key, value in summary.items() if key not in ("created", "spending")}
    return {**rest, "about": arms, "findings": told}


def said(results: Results) -> list[Any]:
    """Everything that was said and heard, without the seconds."""
    return [
        (
            c.arm,
            c.dialogue.id,
            a.number,
            a.user_clip,
            a.user_heard,
            a.reply and (a.reply.text, a.reply.clip, a.reply.heard),
            a.shown,
        )
        for c in results.conversations
        for a in c.rounds
    ]


def page_blocks(page: Path) -> Iterator[bytes]:
    """What is packed into a page."""
    for packed in re.findall(rb"<script[^>]*>([A-Za-z0-9+/=\s]{40,})</script>", page.read_bytes()):
        yield zlib.decompress(base64.b64decode(packed))


def test_ten_thousand_misfortunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(experiment, "Remote", partial(Remote, patience=0.001))
    monkeypatch.setenv(KEY_NAME, KEY)
    told = []
    with world(most=16, lasting=0.06) as servers:
        chaos = servers.chaos
        study = servers.study(tmp_path, CALLS, ROUNDS, retries=17, idle=0.7)
        whole, _ = carried_out(study, tmp_path / "healthy", servers)
        assert whole and not servers.refused
        healthy = load_results(tmp_path / "healthy")
        undisturbed = outcomes(healthy)
        assert {type(o) for (arm, *_), o in undisturbed.items() if arm == "mute"} == {Silence}
        assert {type(o) for (arm, *_), o in undisturbed.items() if arm != "mute"} == {Score}

        folders = [tmp_path / "run-0"]
        faults, seed = [], 0
        while len(chaos.deeds) < ENOUGH or seed < 3:
            seed += 1
            chaos.seed = seed
            if seed == 1:
                told.append(killed_in_the_middle(study, folders[-1], servers))
                assert verify(folders[-1]).wrong == ()
                survived = count(folders[-1], "outcome = 'done'")
                assert survived > 100
            whole, deeds = carried_out(study, folders[-1], servers)
            faults.append(check(outcomes(load_results(folders[-1])), undisturbed, deeds))
            assert whole == (faults[-1] == 0)
            if seed == 1:
                told.append(shown(folders[-1]))
            if whole:
                folders.append(folders[0].with_name(f"run-{len(folders)}"))
        assert faults[0] > 100 and len(chaos.deeds) >= ENOUGH
        chaos.seed = None
        for out in folders:
            assert carried_out(study, out, servers)[0]
            again = load_results(out)
            assert table_of(out).equals(table_of(tmp_path / "healthy"))
            assert said(again) == said(healthy)
            assert untimed(summary_json(summarise(again))) == untimed(summary_json(summarise(healthy)))
            assert count(out, "outcome = 'done'") == count(tmp_path / "healthy", "outcome = 'done'")
            assert verify(out).wrong == ()
    print(Counter(d.misfortune.name for d in chaos.deeds), faults, len(chaos.met), len(folders))


def shown(out: Path) -> str:
    """The report of a run under chaos: the mute arm is there, and last; every fault has its cause in it; returns all its texts."""
    results = load_results(out)
    summary = summarise(results)  # refuses accounts that do not close
    known = {kind.cause for kind in (*PASSING, *LASTING)} | {*STAGE.values(), "blocked"}
    assert summary.accounting.faults.keys() <= known
    assert summary.accounting.total.fault == sum(summary.accounting.faults.values()) > 0
    assert summary.accounting.by_arm["mute"].planned == CALLS * ROUNDS * 7
    assert summary.ranking[-1] == "mute" and set(summary.ranking) == set(ARMS)
    assert [arm.name for arm in summary.shown][-1] == "mute"
    assert any(f.text.startswith("mute ranks last: no turn of it could be scored") for f in findings(summary))
    console = Console(file=io.StringIO(), width=150, force_terminal=True, record=True)
    console.print(terminal_table(summary))
    table = console.export_text()
    rows = [line.split()[0] for line in table.splitlines() if line.split()[:1] and line.split()[0] in ARMS]
    assert rows == ["hosted", "chain", "text", "mute"]
    page = build(results, out, figures=False, summary=summary)
    return table + b"\n".join(page_blocks(page)).decode("utf-8", "replace")
