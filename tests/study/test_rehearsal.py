"""What a run would ask of servers is counted without asking, and the count is what the run then asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from servers.chat_server import chatting
from small_study import small_study
from turnwise.endpoints.endpoint import Endpoint, Price
from turnwise.study.expenses import expenses
from turnwise.study.experiment import carry_out
from turnwise.study.ledger import Ledger
from turnwise.study.plan import Plan, make_plan
from turnwise.study.reader import walk
from turnwise.study.rehearsal import Forecast, forecast


def chat_study(folder: Path, endpoint: Endpoint | None = None, count: int = 2, **changes: Any) -> Any:
    mind = {"model": "m", "endpoint": "here", "stream": False}
    chain = {"mind": "chat", "mind_options": mind, "recognizer": "stub", "synthesizer": "stub"}
    arms = {
        "chain": {"agent": "cascade", "options": chain},
        "text": {"agent": "chat", "options": mind, "context": {"user": "written"}},
        "near": {"agent": "echo", "context": {"user": "written"}},
    }
    endpoint = msgspec.structs.replace(endpoint or Endpoint("http://127.0.0.1:1/v1"), prices={"m": Price(1.0, 2.0)})
    return small_study(folder, count=count, arms=arms, endpoints={"here": msgspec.to_builtins(endpoint)}, **changes)


def counted(folder: Path, study: Any) -> tuple[Plan, tuple[Forecast, ...]]:
    plan = make_plan(study, folder)
    path = folder / "run" / "ledger.sqlite"
    if not path.exists():
        return plan, forecast(plan, (), ())
    with Ledger(path, write=False) as ledger:
        return plan, forecast(plan, walk(plan, ledger)[0], expenses(ledger.calls()))


def test_the_forecast_is_what_the_run_asks(tmp_path: Path) -> None:
    with chatting("openai", "Of course.") as server:
        study = chat_study(tmp_path, server.endpoint())
        _, before = counted(tmp_path, study)
        assert {(one.purpose, one.model): one.calls for one in before} == {("arm chain", "m"): 8, ("arm text", "m"): 8}
        assert not server.requests
        assert all(one.basis == "the text" and one.cost is not None and one.cost > 0 for one in before)
        assert carry_out(study, tmp_path / "run", workers=0).complete
        assert len(server.requests) == 16
        assert counted(tmp_path, study)[1] == ()  # nothing is missing
        more = chat_study(tmp_path, server.endpoint(), judges=["repetition", "generic"])
        assert counted(tmp_path, more)[1] == ()  # judges that ask nobody
        longer = chat_study(tmp_path, server.endpoint(), count=3)
        rest = counted(tmp_path, longer)[1]
        assert [one.calls for one in rest] == [4, 4]
        assert all(one.basis == "measured on 8 calls" for one in rest)


def test_longer_histories_take_more_tokens(tmp_path: Path) -> None:
    whole = counted(tmp_path, chat_study(tmp_path))[1]
    cut = counted(tmp_path, chat_study(tmp_path, context={"past": 0}))[1]
    assert all(one.usage.input > other.usage.input for one, other in zip(whole, cut, strict=True))


def test_many_dialogues_are_reckoned_from_some(tmp_path: Path) -> None:
    found = counted(tmp_path, chat_study(tmp_path, count=40))[1]
    assert [one.calls for one in found] == [160, 160]


def test_judges_count_each_repeat_and_only_the_last_round_where_they_judge_the_whole(tmp_path: Path) -> None:
    judges = [
        {"name": "dialogue_quality", "options": {"model": "j"}, "repeats": 3},
        {"name": "sales_dialogue", "options": {"model": "j"}, "label": "sales"},
    ]
    found = {one.purpose: one for one in counted(tmp_path, chat_study(tmp_path, judges=judges))[1]}
    assert found["judge dialogue_quality"].calls == 3 * 4 * 2 * 3  # repeats, rounds, dialogues, arms
    assert found["judge sales/sales_dialogue"].calls == 2 * 3
    assert found["judge dialogue_quality"].cost is None  # no price is declared


def test_the_command_says_it_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from turnwise.cli.dry_run import dry_run

    assert dry_run(chat_study(tmp_path), tmp_path / "run", tmp_path) == 0
    told = capsys.readouterr().out
    assert "16 calls; about" in told
    assert not (tmp_path / "run").exists()


def test_a_live_arm_is_reckoned_with_all_the_turns_its_user_may_take(tmp_path: Path) -> None:
    simulator = {"agent": "chat", "options": {"model": "u"}, "most_turns": 7}
    study = chat_study(tmp_path, simulator=simulator)
    live = msgspec.structs.replace(study, arms=(msgspec.structs.replace(study.arms[1], user_mode="live"),))
    found = {one.purpose: one.calls for one in counted(tmp_path, live)[1]}
    assert found == {"arm text": 2 * 7, "user": 2 * 6}  # the first words are always the same
