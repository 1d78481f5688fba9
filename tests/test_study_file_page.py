"""The page on the study file shows a file that is read, and leaves no key out."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from turnwise.agents.agent import Context
from turnwise.endpoints.endpoint import Endpoint, Price
from turnwise.study.study import Arm, JudgeChoice, Selection, SimulatedUser, Study, UserVoice
from turnwise.study.study_file import load_study

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "study_file.md").read_text(encoding="utf-8")


def test_the_file_on_the_page_is_read(tmp_path: Path) -> None:
    (study,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.toml").write_text(study)
    loaded = load_study(tmp_path / "study.toml")
    assert [arm.user_mode for arm in loaded.arms] == ["fixed", "fixed", "fixed", "live"]
    assert loaded.judges[0].title == "mine/dialogue_quality"


def test_every_key_is_on_the_page() -> None:
    records: tuple[type[msgspec.Struct], ...] = (
        Study, Selection, UserVoice, Arm, Context, JudgeChoice, SimulatedUser, Endpoint, Price,
    )  # fmt: skip
    missing = [
        f"{record.__name__}.{field}"
        for record in records
        for field in record.__struct_fields__
        if not re.search(rf"\b{field}\b", PAGE)
    ]
    assert missing == []
