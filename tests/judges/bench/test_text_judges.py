"""What all judges without an LLM have in common."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import msgspec
import pytest

from judges.judging import Open
from turnwise.dialogues.dialogue import Dialogue
from turnwise.judges.instrument import SHARED, shared_digest
from turnwise.judges.judge import JUDGES, Judge
from turnwise.judges.mishearing import Mishearing
from turnwise.judges.planting import rendered
from turnwise.judges.severity import FAILURES, MILD
from turnwise.judges.verdict import Abstention, Score

NAMES = (*FAILURES, "naturalness", "consistency")
PERFECT = Mishearing((), 0.0).heard


@pytest.mark.parametrize("name", NAMES)
def test_decides_its_examples(name: str, sitting: Open) -> None:
    judge: Judge = JUDGES.build(name)
    assert judge.examples
    opened = sitting(name)
    for exchange, verdicts in judge.examples:
        assert opened.decide(exchange) == verdicts
    opened.close()


@pytest.mark.parametrize("name", NAMES)
def test_criterion_is_named_after_the_file(name: str) -> None:
    judge: Judge = JUDGES.build(name)
    assert [c.name for c in judge.criteria] == [name]
    assert judge.version >= 1
    assert not judge.hears
    assert judge.background is (name in FAILURES)
    card = JUDGES.card(name).text
    assert "Sees" in card
    assert "not" in card


@pytest.mark.parametrize("name", FAILURES)
def test_never_reads_later_turns(name: str, demo: tuple[Dialogue, ...], sitting: Open) -> None:
    """The verdict on a round is the same whatever the dialogue goes on to say, also in the background."""
    dialogue = demo[2]
    cut = msgspec.structs.replace(dialogue, turns=dialogue.turns[:8])
    others = tuple(d for d in demo if d.id != dialogue.id)
    whole, part, none = sitting(name, demo), sitting(name, (*others, cut)), sitting(name, others)
    for number in (2, 4):
        written = dialogue.rounds()[number - 1].written
        assert written is not None
        exchange = rendered(dialogue, number, written.text, PERFECT, 1)
        said = [s.decide(exchange)[name] for s in (whole, part, none)]
        values = [v.value if isinstance(v, Score) else None for v in said]
        if values[0] is None:
            assert values == [None] * 3
        else:
            assert max(values) - min(values) < 5  # type: ignore[type-var, operator]


def test_a_dialogue_in_the_background_is_judged_as_if_it_were_absent(demo: tuple[Dialogue, ...], sitting: Open) -> None:
    """Its own turns teach nothing; what it adds to the known words moves single verdicts, in either direction."""
    moved: list[float] = []
    crossed = 0
    whole = {name: sitting(name, demo) for name in FAILURES}
    for dialogue in demo[::12]:
        others = [d for d in demo if d.id != dialogue.id]
        absent = {name: sitting(name, others) for name in FAILURES}
        for each in dialogue.rounds():
            for name in FAILURES:
                if each.written is not None:
                    exchange = rendered(dialogue, each.number, each.written.text, PERFECT, 1)
                    with_it, without = whole[name].decide(exchange)[name], absent[name].decide(exchange)[name]
                    assert type(with_it) is type(without)
                    if isinstance(with_it, Score) and isinstance(without, Score):
                        moved.append(without.value - with_it.value)
                        crossed += (with_it.value > MILD) != (without.value > MILD)
    assert abs(sum(moved) / len(moved)) < 0.5  # points of severity
    assert crossed <= 0.02 * len(moved)


@pytest.mark.parametrize("name", FAILURES)
def test_order_of_the_background_does_not_matter(name: str, demo: tuple[Dialogue, ...], sitting: Open) -> None:
    shuffled = list(demo)
    random.Random(9).shuffle(shuffled)
    one, other = sitting(name, demo), sitting(name, shuffled)
    for dialogue in demo[:4]:
        for each in dialogue.rounds():
            exchange = rendered(dialogue, each.number, "Which day would suit you, and how many people?", PERFECT, 1)
            assert one.decide(exchange) == other.decide(exchange)


@pytest.mark.parametrize("name", FAILURES)
def test_scores_are_severities_with_a_reason(name: str, demo: tuple[Dialogue, ...], sitting: Open) -> None:
    opened = sitting(name, demo)
    draw = random.Random(4)
    replies = [t.text for d in demo for t in d.turns if t.speaker == "agent"]
    hear = Mishearing(replies, 0.25).heard
    for dialogue in demo[:10]:
        for each in dialogue.rounds():
            verdict = opened.decide(rendered(dialogue, each.number, draw.choice(replies), hear, 1))[name]
            assert isinstance(verdict, Score | Abstention)
            assert verdict.reason
            assert isinstance(verdict, Abstention) or 0 <= verdict.value <= 100


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize(
    "reply", ["", "...", "x", "uh", "\u4f60\u597d", "<script>alert('no')</script>", "7 7 7 7:99", "a" * 3000]
)
def test_odd_replies_are_judged_or_abstained_from(name: str, reply: str, demo: tuple[Dialogue, ...], sitting: Open) -> None:
    opened = sitting(name, demo)
    for background in ((), demo):
        opened = sitting(name, background)
        verdict = opened.decide(rendered(demo[0], 6, reply, lambda text, seed: text, 1))[name]
        assert isinstance(verdict, Score | Abstention)
    if reply in ("", "..."):
        assert isinstance(verdict, Abstention) or name == "topic_drift"


@pytest.mark.parametrize("name", NAMES)
def test_identity_covers_the_shared_code(name: str) -> None:
    judge: Judge = JUDGES.build(name)
    assert judge.identity()["shared"] == shared_digest()
    assert JUDGES.identity(name) == JUDGES.identity(name)


def test_shared_code_is_all_that_the_judges_import() -> None:
    """Whatever a text judge imports of this stage is in the fingerprint or is a contract."""
    names = ", ".join(f"turnwise.judges.bench.{name}" for name in NAMES)
    code = f"import {names}, sys; print(*sorted(m for m in sys.modules if m.startswith('turnwise.judges.')))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    used = {m.removeprefix("turnwise.judges.") for m in out if not m.startswith("turnwise.judges.bench")}
    assert used - {"judge", "verdict", "instrument"} == set(SHARED)


def test_importing_a_judge_is_cheap() -> None:
    code = "import turnwise.judges.bench.memory, sys; print('sklearn' in sys.modules, 'scipy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]


def test_a_verdict_takes_a_few_milliseconds(demo: tuple[Dialogue, ...], sitting: Open) -> None:
    exchanges = [
        rendered(d, r.number, r.written.text, PERFECT, 1) for d in demo[:12] for r in d.rounds() if r.written is not None
    ]
    for name in FAILURES:
        opened = sitting(name, demo)
        opened.decide(exchanges[0])
        start = time.process_time()
        for exchange in exchanges:
            opened.decide(exchange)
        assert (time.process_time() - start) / len(exchanges) < 0.02, name  # seconds; 0.5-2 ms on an idle machine
