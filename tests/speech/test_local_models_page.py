"""What docs/local_models.md tells a reader to write can be written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from turnwise.agents.agent import AGENTS
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS
from turnwise.study.study import Study
from turnwise.study.study_file import load_study

PAGE = Path(__file__).parents[2] / "docs" / "local_models.md"


def test_the_study_on_the_page_can_be_read_and_built(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    (tmp_path / "study.toml").write_text(block)
    study: Study = load_study(tmp_path / "study.toml")
    assert SYNTHESIZERS.build(study.user.engine, study.user.options).remembers == 3
    assert RECOGNIZERS.build(study.transcriber.name, study.transcriber.options).model == "openai/whisper-large-v3"
    parts: dict[str, list[Any]] = {}
    for arm in study.arms:
        options = arm.options
        assert AGENTS.build(arm.agent, options) is not None
        parts[arm.name] = [
            RECOGNIZERS.build(options["recognizer"], options["recognizer_options"]),
            AGENTS.build(options["mind"], options["mind_options"]),
            SYNTHESIZERS.build(options["synthesizer"], options["synthesizer_options"]),
        ]
    # The second arm differs from the first in its voice and in nothing else.
    assert msgspec.to_builtins(parts["chain"][:2]) == msgspec.to_builtins(parts["described"][:2])
    assert parts["described"][2].python == "/venvs/parler/bin/python"


def test_every_model_is_named_with_the_command_that_gets_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    got = set(re.findall(r"hf download (\S+/\S+)", text))
    named = set(re.findall(r'model = "([\w.-]+/[\w.-]+)"', text))
    assert {name.replace("large-v2", "large-v3") for name in named} <= got
    for name in ("whisper", "csm", "vits", "parler"):
        assert f"| `{name}` |" in text
        card = {**SYNTHESIZERS.cards(), **RECOGNIZERS.cards()}[name].text
        assert "hf download " in card
        assert "icence" in card
