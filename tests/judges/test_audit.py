from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from turnwise.cli.audit import audit_command
from turnwise.dialogues.corpus import CORPORA
from turnwise.dialogues.dialogue import Dialogue
from turnwise.foundation.errors import InputError
from turnwise.judges.audit import Audit, audit
from turnwise.judges.judge import Sitting
from turnwise.judges.planting import Plant, Planter
from turnwise.judges.severity import FAILURES

# Least AUC on dialogues that were not used to set the thresholds, from the aims of the project.
AIMS = {"repetition": 0.9, "generic": 0.8, "topic_drift": 0.8, "misunderstanding": 0.7, "memory": 0.9}
ALARMS = 0.12  # greatest share of clean turns above mild


def _read(path: Path, name: str) -> tuple[Dialogue, ...]:
    return CORPORA.build(name).read(path).dialogues  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def held_out(demo_part: Callable[[str], Path]) -> Audit:
    return audit(_read(demo_part("travel"), "jsonl"), _read(demo_part("leisure"), "jsonl"), seed=1)


@pytest.mark.parametrize("failure", FAILURES)
def test_floors_on_the_held_out_half_of_the_demo_corpus(held_out: Audit, failure: str) -> None:
    found = next(c for c in held_out.certificates if c.failure == failure)
    assert found.auc.value is not None and found.auc.low is not None and found.auc.high is not None
    assert found.auc.low < found.auc.value <= found.auc.high
    assert found.auc.value >= AIMS[failure]
    assert found.false_alarms.value is not None and found.false_alarms.value <= ALARMS
    assert found.faults == 0


def test_grosser_failures_are_not_harder_to_see(held_out: Audit) -> None:
    for found in held_out.certificates:
        if found.failure in ("repetition", "generic", "topic_drift", "memory"):
            shares = {d.level: d.detected.value or 0.0 for d in found.by_level}
            assert shares["gross"] >= shares["mild"]


def test_the_confusion_accounts_for_every_plant(held_out: Audit) -> None:
    # A plant whose own judge abstained is in the confusion and not in `planted`; there is none here beyond memory's.
    for row, unseen, found in zip(held_out.confusion, held_out.unseen, held_out.certificates, strict=True):
        assert sum(row) + unseen == found.planted
        assert len(row) == len(FAILURES)
    for i, row in enumerate(held_out.confusion):
        assert row[i] == max(row), FAILURES[i]


def test_clean_turns_are_counted_once(held_out: Audit, demo_part: Callable[[str], Path]) -> None:
    written = sum(r.written is not None for d in _read(demo_part("travel"), "jsonl") for r in d.rounds())
    for found in held_out.certificates:
        assert found.clean + found.abstained >= written or found.abstained == 0
        if found.failure != "memory":
            assert found.clean == written


@pytest.mark.parametrize("failure", FAILURES)
def test_floors_with_mishearings(demo_part: Callable[[str], Path], failure: str) -> None:
    found = _noisy(demo_part)
    certificate = next(c for c in found.certificates if c.failure == failure)
    assert certificate.auc.value is not None
    assert certificate.auc.value >= AIMS[failure] - 0.1


_kept: list[Audit] = []


def _noisy(demo_part: Callable[[str], Path]) -> Audit:
    if not _kept:
        _kept.append(audit(_read(demo_part("travel"), "jsonl"), _read(demo_part("leisure"), "jsonl"), seed=1, word_errors=0.15))
    return _kept[0]


def test_floors_on_schema_guided_dialogues(sgd_folder: Path) -> None:
    dialogues = _read(sgd_folder / "dialogues_002.json", "sgd")
    found = audit(dialogues[::4], dialogues, seed=1)
    for certificate in found.certificates:
        assert certificate.auc.value is not None
        assert certificate.auc.value >= AIMS[certificate.failure]


def test_the_same_seed_gives_the_same_audit(corpus: tuple[Dialogue, ...]) -> None:
    some = corpus[:4] + corpus[40:44]
    one = audit(some, corpus, seed=5)
    assert one == audit(some, tuple(reversed(corpus)), seed=5)
    assert one != audit(some, corpus, seed=6)


def test_an_unannotated_corpus_has_no_certificate_for_memory(corpus: tuple[Dialogue, ...]) -> None:
    bare = tuple(
        msgspec.structs.replace(d, turns=tuple(msgspec.structs.replace(t, facts=(), asks=()) for t in d.turns))
        for d in corpus[:6] + corpus[40:46]
    )
    memory = audit(bare, bare, seed=1).certificates[FAILURES.index("memory")]
    assert (memory.auc.value, memory.clean, memory.planted) == (None, 0, 0)
    assert memory.abstained == 12 * 6 - 6 * 0 - sum(6 - len(d.rounds()) for d in bare)


def test_plants_of_donors_are_replies_that_no_judge_has_learned(
    corpus: tuple[Dialogue, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from turnwise.judges import audit as module

    seen: dict[str, set[str]] = {"planted": set(), "learned": set()}
    plants, sittings = Planter.plants, module._sittings

    def planting(self: Planter, *given: Any) -> Iterator[Plant]:
        for plant in plants(self, *given):
            seen["planted"].add(plant.text)
            yield plant

    def opening(learned: tuple[Dialogue, ...]) -> dict[str, Sitting]:
        seen["learned"].update(turn.text for d in learned for turn in d.turns)
        return sittings(learned)

    monkeypatch.setattr(Planter, "plants", planting)
    monkeypatch.setattr(module, "_sittings", opening)
    judged, donors = corpus[0:1] + corpus[40:41], corpus[3:9] + corpus[50:56]
    audit(judged, corpus[10:30] + corpus[56:], 1, donors=donors)
    foreign = {turn.text for d in donors for turn in d.turns} - seen["learned"]
    assert foreign & seen["planted"]
    own = {turn.text for d in judged for turn in d.turns}
    assert not (seen["learned"] - own - {turn.text for d in donors for turn in d.turns}) & seen["planted"]
    with pytest.raises(InputError, match="both a donor of plants and learned from"):
        audit(judged, corpus, 1, donors=donors)


def test_nothing_to_audit_is_an_error() -> None:
    with pytest.raises(InputError, match="no dialogue"):
        audit((), (), seed=1)


def test_command_prints_json(demo_part: Callable[[str], Path]) -> None:
    arguments = [str(demo_part("travel")), "--format", "jsonl", "--limit", "2", "--json", "--word-errors", "0.1", "--seed", "3"]
    result = CliRunner().invoke(audit_command, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["dialogues"], found["background"], found["seed"], found["word_errors"]) == (2, 24, 3, 0.1)
    assert [c["failure"] for c in found["certificates"]] == list(FAILURES)


def test_command_takes_plants_from_donors(demo_part: Callable[[str], Path], tmp_path: Path) -> None:
    lines = demo_part("travel").read_text(encoding="utf-8").splitlines(keepends=True)
    judged, others = tmp_path / "judged.jsonl", [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for path, part in zip((judged, *others), (lines[::3], lines[1::3], lines[2::3]), strict=True):
        path.write_text("".join(part), encoding="utf-8")
    donating = [word for path in others for word in ("--donors", str(path))]
    arguments = [str(judged), "--format", "jsonl", "--background", str(demo_part("leisure")), *donating]
    result = CliRunner().invoke(audit_command, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    donors = tuple(d for path in others for d in _read(path, "jsonl"))
    found = audit(_read(judged, "jsonl"), _read(demo_part("leisure"), "jsonl"), seed=1, donors=donors)
    assert json.loads(result.output) == json.loads(msgspec.json.encode(found))
    assert (found.dialogues, found.background, found.donors) == (8, 32, 16)
    assert found != audit(_read(judged, "jsonl"), _read(demo_part("leisure"), "jsonl"), seed=1)
    result = CliRunner().invoke(audit_command, [*arguments, "--limit", "2"])
    assert "2 dialogues judged, 32 learned from, plants from 16 others" in result.output
    result = CliRunner().invoke(audit_command, [*arguments, "--donors", str(demo_part("leisure"))])
    assert isinstance(result.exception, InputError) and "both a donor of plants and learned from" in str(result.exception)


def test_command_prints_tables_of_the_embedded_corpus() -> None:
    result = CliRunner().invoke(audit_command, ["--limit", "2"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "2 dialogues judged" in result.output
    for failure in FAILURES:
        assert failure in result.output


def test_command_wants_to_know_the_format(demo_part: Callable[[str], Path]) -> None:
    result = CliRunner().invoke(audit_command, [str(demo_part("travel"))])
    assert isinstance(result.exception, InputError)
    assert "--format" in result.exception.hint


def test_command_refuses_a_rate_above_one() -> None:
    assert CliRunner().invoke(audit_command, ["--word-errors", "3"]).exit_code == 2


def test_the_published_figures_are_the_ones_the_command_gives(held_out: Audit) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
    section = text.split("### Held out: demo corpus")[1].split("###")[0]
    for found in held_out.certificates:
        row = next(line for line in section.splitlines() if line.startswith(f"| {found.failure} |"))
        auc, planted = row.split("|")[2].split()[0], row.split("|")[4].split("/")[0]
        assert found.auc.value == pytest.approx(float(auc), abs=0.02)
        assert found.planted == int(planted)


def test_the_published_figures_of_unseen_plants_are_the_ones_the_command_gives(sgd_folder: Path, tmp_path: Path) -> None:
    from turnwise.cli.corpus import corpus_group

    every = tmp_path / "every.jsonl"
    convert = ["convert", str(sgd_folder / "dialogues_002.json"), "--format", "sgd", "--to", "jsonl", "--out", str(every)]
    assert CliRunner().invoke(corpus_group, convert).exit_code == 0
    lines = every.read_text(encoding="utf-8").splitlines(keepends=True)
    for start, name in enumerate(("judged", "learned", "donors")):
        (tmp_path / f"{name}.jsonl").write_text("".join(lines[start::3]), encoding="utf-8")
    judged, learned, donors = (str(tmp_path / f"{name}.jsonl") for name in ("judged", "learned", "donors"))
    seen = [judged, "--format", "jsonl", "--background", learned, "--seed", "1", "--json"]
    text = (Path(__file__).resolve().parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
    section = text.split("### Plants whose words")[1].split("###")[0]
    for column, arguments in ((2, seen), (3, [*seen, "--donors", donors])):
        result = CliRunner().invoke(audit_command, arguments)
        assert result.exit_code == 0, result.output
        for found in json.loads(result.output)["certificates"][2:]:
            row = next(line for line in section.splitlines() if line.startswith(f"| {found['failure']} |"))
            assert found["auc"]["value"] == pytest.approx(float(row.split("|")[column].split()[0]), abs=0.005)
