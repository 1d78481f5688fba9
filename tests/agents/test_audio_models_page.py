"""The study snippets of docs/audio_models.md are studies: every arm, option and server in them exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from turnwise.agents.agent import AGENTS
from turnwise.foundation.place import place_of
from turnwise.study.study_file import read_study

PAGE = Path(__file__).resolve().parents[2] / "docs" / "audio_models.md"
SNIPPETS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PLACES = {"omni": "device", "mimo": "device", "hosted": "driver", "cascade": "driver"}


def test_there_are_some() -> None:
    assert len(SNIPPETS) == 6


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: re.findall(r'\[arms\."(.*?)"\]', text)[0])
def test_a_snippet_is_a_study(snippet: str) -> None:
    declared: dict[str, Any] = {"name": "page", "transcriber": "stub", "judges": ["repetition"], **tomllib.loads(snippet)}
    study = read_study(declared, "page")
    assert study.arms
    for arm in study.arms:
        built = AGENTS.build(arm.agent, arm.options)
        assert place_of(built) == PLACES[arm.agent]
        assert built.speaks
        if arm.agent == "cascade":
            mind = AGENTS.build(arm.options["mind"], arm.options["mind_options"])
            assert not mind.speaks
