"""More than ten thousand misfortunes befall one study, and a kill: nothing that they did not touch changes, whatever they touch
is told, and once the servers are healed the study ends as if nothing had ever happened.
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
from collections.abc import Iterable
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
    files_with_the_key,
    place_of,
    table_of,
    world,
)
from servers.chaos import Deed
from servers.misfortunes import HEARING, LASTING, PASSING, SPEECH, WORDS
from small_study import opened
from turnwise.endpoints.remote import Remote
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

ENOUGH = 10_000  # misfortunes
CALLS, ROUNDS, CONNECTIONS = 16, 5, 32
STAGE = {HEARING: "hear", WORDS: "think", SPEECH: "speak"}  # of the chain, by what was asked
BEFORE_THE_KILL = 1500  # requests
QUICKLY = partial(Remote, patience=0.001)
RUN = """
import functools, pathlib, sys, msgspec
from turnwise.endpoints.remote import Remote
from turnwise.study import experiment
from turnwise.study.study import Study
if __name__ == "__main__":
    experiment.Remote = functools.partial(Remote, patience=0.001)
    study = msgspec.json.decode(pathlib.Path(sys.argv[1]).read_bytes(), type=Study)
    experiment.carry_out(study, pathlib.Path(sys.argv[2]), workers=1)
"""

Where = tuple[str, str, int, str]  # arm, dialogue, round, criterion


def test_ten_thousand_misfortunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(experiment, "Remote", QUICKLY)
    monkeypatch.setenv(KEY_NAME, KEY)
    healthy, runs = tmp_path / "healthy", [tmp_path / "run-0"]
    with world(most=16, lasting=0.06) as servers:
        chaos = servers.chaos
        study = servers.study(tmp_path, CALLS, ROUNDS, retries=17, idle=0.4, connections=CONNECTIONS)
        assert carried_out(study, healthy, servers) == (True, [])
        assert not servers.refused
        undisturbed = outcomes(load_results(healthy))
        assert {type(o) for (arm, *_), o in undisturbed.items() if arm == "mute"} == {Silence}
        assert {type(o) for (arm, *_), o in undisturbed.items() if arm != "mute"} == {Score}
        chaos.answered.clear()

        at_fault: list[int] = []
        while len(chaos.deeds) < ENOUGH or len(at_fault) < 3:
            chaos.seed = len(at_fault) + 1
            if chaos.seed == 1:
                killed_in_the_middle(study, runs[0], servers)
            complete, deeds = carried_out(study, runs[-1], servers)
            at_fault.append(check(outcomes(load_results(runs[-1])), undisturbed, deeds))
            assert complete == (at_fault[-1] == 0)
            if chaos.seed == 1:
                told = shown(runs[0])
            if complete:  # there is nothing left to disturb
                runs.append(tmp_path / f"run-{len(runs)}")
        assert len(chaos.deeds) >= ENOUGH
        assert at_fault[0] >= 100  # cells, so that those which are not say something
        assert {deed.misfortune.name for deed in chaos.deeds} >= {kind.name for kind in PASSING}

        chaos.seed = None
        for run in runs:
            assert carried_out(study, run, servers) == (True, [])
            check_same(run, healthy)
        # What was answered was not asked again, but for the mind of a chain whose voice failed and what the kill interrupted.
        asked = Counter(one.content for one in chaos.answered if place_of(one).arm != "chain" or one.sort != WORDS)
        assert sum(times - len(runs) for times in asked.values() if times > len(runs)) <= 3 * CONNECTIONS
    assert files_with_the_key(tmp_path) == []
    assert all(KEY not in text for text in (told, caplog.text, *capfd.readouterr()))


def outcomes(results: Results) -> dict[Where, Outcome]:
    return {
        (conversation.arm, conversation.dialogue.id, answered.number, name): outcome
        for conversation in results.conversations
        for answered in conversation.rounds
        for name, outcome in answered.outcomes.items()
    }


def carried_out(study: Study, out: Path, servers: World) -> tuple[bool, list[Deed]]:
    """One run in this process, of which every attempt must be in the accounts: whether all is done, and what befell it."""
    before = calls(out) if (out / "ledger.sqlite").exists() else []
    met, deeds = len(servers.chaos.met), len(servers.chaos.deeds)
    done = carry_out(study, out, workers=0)
    made, mine = calls(out)[len(before) :], servers.chaos.deeds[deeds:]
    failed, meant = failed_attempts(made), attempts(mine)
    # A busy machine may let attempts time out by themselves, also before they arrive. They are mended as the others are.
    spurious = failed.pop("timeout", 0) - meant.pop("timeout", 0)
    assert failed == meant
    assert 0 <= sum(call.attempts for call in made) - (len(servers.chaos.met) - met) <= spurious
    return done.complete, mine


def check(now: dict[Where, Outcome], undisturbed: dict[Where, Outcome], deeds: Iterable[Deed]) -> int:
    """Every cell is the undisturbed one, or a fault where one was to be expected; returns the number of those."""
    expected = expected_faults(deeds)
    assert now.keys() == undisturbed.keys()
    for cell, outcome in now.items():
        if cell in expected:
            assert isinstance(outcome, Fault) and outcome.cause in expected[cell], (cell, outcome, expected[cell])
        else:
            assert outcome == undisturbed[cell], cell
    return len(expected)


def expected_faults(deeds: Iterable[Deed]) -> dict[Where, set[str]]:
    """The cells that must be at fault after a run, and the causes that may be named: those of the lasting misfortunes in it."""
    struck: dict[Place, list[Deed]] = defaultdict(list)
    for deed in deeds:
        if deed.lasting:
            struck[place_of(deed.asked)].append(deed)
    found: dict[Where, set[str]] = {}
    for arm in ARMS:
        for call in range(CALLS):
            stopped = False
            for round in range(1, ROUNDS + 1):
                replying = struck[Place(arm, call, round, "reply")]
                causes = {STAGE[deed.asked.sort] if arm == "chain" else deed.misfortune.cause for deed in replying}
                causes = {"blocked"} if stopped else causes
                for title, criteria in JUDGES.items():
                    for criterion in criteria:
                        judging = [deed.misfortune for deed in struck[Place(arm, call, round, title)]]
                        ends = {"all": True, "first": criterion == criteria[0], "last": criterion == criteria[-1]}
                        own = causes or {misfortune.cause for misfortune in judging if ends[misfortune.strikes]}
                        if own:
                            found[arm, f"call-{call:03d}", round, criterion] = own
                stopped = stopped or bool(causes)
    return found


def killed_in_the_middle(study: Study, out: Path, servers: World) -> None:
    """Begin to carry out the study in a process of its own, and kill it."""
    folder = out.parent
    (folder / "study.json").write_bytes(msgspec.json.encode(study))
    (folder / "run.py").write_text(RUN)
    enough = len(servers.chaos.met) + BEFORE_THE_KILL
    with (folder / "said").open("wb") as said:
        command = [sys.executable, folder / "run.py", folder / "study.json", out]
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            while process.poll() is None and len(servers.chaos.met) < enough:
                time.sleep(0.01)
            assert process.poll() is None, (folder / "said").read_text()
        finally:
            process.kill()
            process.wait()
    met = -1
    while met != len(servers.chaos.met):  # what it had sent may still be on its way
        met = len(servers.chaos.met)
        time.sleep(0.5)
    assert verify(out).wrong == ()
    assert count(out, "outcome = 'done' AND kind = 'verdict'") > 20


def count(out: Path, which: str) -> int:
    with opened(out / "ledger.sqlite") as db:
        return int(db.execute(f"SELECT COUNT(*) FROM cell WHERE {which}").fetchone()[0])


def shown(out: Path) -> str:
    """The report of a run under chaos: the mute arm is there and last, and all accounts close; returns what the report says."""
    results = load_results(out)
    summary = summarise(results)  # refuses accounts that do not close
    known = {kind.cause for kind in (*PASSING, *LASTING)} | {*STAGE.values(), "blocked"}
    book = summary.accounting
    assert book.faults.keys() <= known
    assert book.total.fault == sum(book.faults.values()) > 0
    assert book.by_arm["mute"].planned == CALLS * ROUNDS * 7
    assert summary.ranking[-1] == "mute" and set(summary.ranking) == set(ARMS)
    assert any(f.text.startswith("mute ranks last: no turn of it could be scored") for f in findings(summary))
    console = Console(file=io.StringIO(), width=150, force_terminal=True, record=True)
    console.print(terminal_table(summary))
    table = console.export_text()
    assert [line.split()[0] for line in table.splitlines() if line.split()[:1] and line.split()[0] in ARMS] == list(ARMS)
    page = build(results, out, figures=False, summary=summary).read_bytes()
    blocks = re.findall(rb'<script type="application/octet-stream" id="[^"]+">([A-Za-z0-9+/=\s]+)</script>', page)
    packed = [zlib.decompress(base64.b64decode(block)) for block in blocks]
    assert any(b"says on call 15 round" in block for block in packed)
    return "\n".join((table, *(block.decode() for block in packed)))


def check_same(run: Path, healthy: Path) -> None:
    """A run whose servers were healed is the one that never failed."""
    results, expected = load_results(run), load_results(healthy)
    assert table_of(run).equals(table_of(healthy))
    assert said(results) == said(expected)
    assert untimed(summary_json(summarise(results))) == untimed(summary_json(summarise(expected)))
    for kind in ("reply", "verdict"):
        assert count(run, f"outcome = 'done' AND kind = '{kind}'") == count(healthy, f"kind = '{kind}'")
    assert verify(run).wrong == ()


def said(results: Results) -> list[Any]:
    """Everything that was said and heard, without the seconds."""
    return [
        (
            c.arm,
            c.dialogue.id,
            a.number,
            a.user_clip,
            a.user_heard,
            a.reply.text,
            a.reply.clip,
            a.reply.heard,
            a.transcript,
            a.shown,
        )
        for c in results.conversations
        for a in c.rounds
        if a.reply is not None
    ]


def untimed(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without what is measured and paid anew in every run."""
    arms = {name: {key: value for key, value in about.items() if key != "latency"} for name, about in summary["about"].items()}
    told = [finding for finding in summary["findings"] if finding["kind"] not in ("latency", "cost")]
    rest = {key: value for key, value in summary.items() if key not in ("created", "spending")}
    return {**rest, "about": arms, "findings": told}
