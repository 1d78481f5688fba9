"""Each misfortune of a server alone: what an attempt mends leaves no trace but in the accounts, what lasts is a fault of its
cause,
and a healed server leaves nothing behind.

One study for each sort of request; each call of it meets another misfortune.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from disturbed_study import KEY, KEY_NAME, World, attempts, calls, failed_attempts, files_with_the_key, place_of, table_of, world
from servers.chaos import Asked
from servers.misfortunes import ALOUD, HARMLESS, HEARING, JUDGE, LASTING, MUTE, PASSING, SPEECH, WORDS, Misfortune
from turnwise.foundation.remote import Remote
from turnwise.study import experiment
from turnwise.study.experiment import carry_out
from turnwise.study.verify import verify

ARM = {JUDGE: "text", ALOUD: "hosted", MUTE: "mute", WORDS: "text", SPEECH: "chain", HEARING: "chain"}
STAGE = {SPEECH: ("speak", "openai_speech"), HEARING: ("hear", "openai_transcription")}
FIRST, LAST = ("a/naturalness", "generic"), ("a/consistency", "memory")
SORTS = list(ARM)


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
    study = servers.study(tmp_path, len(kinds), 2, arms=(ARM[sort],), retries=1)
    assert carry_out(study, tmp_path / "healthy", workers=0).complete

    def chosen(asked: Asked) -> Misfortune | None:
        return kinds[place_of(asked).call] if asked.sort == sort else None

    servers.chaos.choose(chosen, times=1)
    assert carry_out(study, tmp_path / "run", workers=0).complete
    assert table_of(tmp_path / "run").equals(table_of(tmp_path / "healthy"))
    made, deeds = calls(tmp_path / "run"), servers.chaos.deeds
    assert {deed.misfortune.name for deed in deeds} == {kind.name for kind in kinds}
    assert failed_attempts(made) == attempts(deeds)
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
        if sort == JUDGE:
            struck = {"all": True, "first": criterion in FIRST, "last": criterion in LAST}[misfortune.strikes]
            assert (status, cause) == (("fault", misfortune.cause) if struck else ("scored", None)), misfortune.name
        elif round == 1:
            stage, part = STAGE.get(sort, (misfortune.cause, ""))
            assert (status, cause) == ("fault", stage), misfortune.name
            assert sort not in STAGE or reason.startswith(f"{part}: {misfortune.cause}: "), misfortune.name
        else:
            stage, _ = STAGE.get(sort, (misfortune.cause, ""))
            assert (status, cause, reason) == ("fault", "blocked", f"round 1 of this dialogue failed: {stage}")
    made, deeds = calls(tmp_path / "run"), servers.chaos.deeds
    assert failed_attempts(made) == attempts(deeds)
    assert sum(call.attempts for call in made) == len(servers.chaos.met)
    for number, misfortune in enumerate(kinds):
        mine = [deed for deed in deeds if place_of(deed.asked).call == number]
        questions = 6 if sort == JUDGE else 1  # two rounds, of which one judge judges each twice
        twice = 2 if misfortune.attempt and misfortune.again else 1
        if sort == JUDGE and not misfortune.attempt and misfortune.cause not in ("refused", "broken-answer"):
            twice = 2  # the question was put again with a remark on the answer
        assert len(mine) == questions * twice, misfortune.name
    servers.chaos.choose(None)
    assert carry_out(study, tmp_path / "run", workers=0).complete
    assert table_of(tmp_path / "run").equals(table_of(tmp_path / "healthy"))
    assert verify(tmp_path / "run").wrong == ()
    assert files_with_the_key(tmp_path) == []
