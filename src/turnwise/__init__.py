"""Turnwise: which spoken agent keeps the thread of a conversation, where does it lose it, and why.

Everything named here is loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("turnwise")
except PackageNotFoundError:  # run from a source tree without installation
    __version__ = "0.0.0"

_PUBLIC = {
    "Abstention": "turnwise.judges.verdict",
    "Agent": "turnwise.agents.agent",
    "Arm": "turnwise.study.study",
    "Clip": "turnwise.speech.clip",
    "Context": "turnwise.agents.agent",
    "Dialogue": "turnwise.dialogues.dialogue",
    "Fact": "turnwise.dialogues.dialogue",
    "Fault": "turnwise.judges.verdict",
    "Judge": "turnwise.judges.judge",
    "Reply": "turnwise.agents.agent",
    "Results": "turnwise.study.results",
    "Score": "turnwise.judges.verdict",
    "Silence": "turnwise.judges.verdict",
    "Sound": "turnwise.foundation.audio",
    "Study": "turnwise.study.study",
    "Turn": "turnwise.dialogues.dialogue",
    "TurnwiseError": "turnwise.foundation.errors",
    "View": "turnwise.agents.agent",
    "build_report": "turnwise.report.page",
    "carry_out": "turnwise.study.experiment",
    "load_results": "turnwise.study.experiment",
    "load_study": "turnwise.study.study_file",
    "read_study": "turnwise.study.study_file",
    "summarise": "turnwise.statistics.summary",
    "tidy": "turnwise.statistics.table",
    "verify": "turnwise.study.verify",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'turnwise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
