"""Who gives a criterion: the judge, and what stands behind it."""

from __future__ import annotations

import inspect

from turnwise.foundation.errors import InputError
from turnwise.judges.judge import JUDGES
from turnwise.study.results import Instrument, Results

BEHIND = ("estimator", "listener")  # options by which a judge names the instrument that it reads


def given_by(instrument: Instrument, results: Results) -> str:
    """The judge, and the estimator, the listener or the models behind it."""
    behind = ", ".join(instrument.models)
    choice = next((c for c in results.study.judges if c.title == instrument.judge), None)
    if choice is not None and not behind:
        named = next((str(choice.options[option]) for option in BEHIND if choice.options.get(option)), "")
        behind = named or _default(choice.name)
    return f"{instrument.judge} ({behind})" if behind else instrument.judge


def _default(judge: str) -> str:
    try:
        parameters = inspect.signature(JUDGES.factory(judge)).parameters
    except InputError:  # the plug-in was there when the study ran and is not now
        return ""
    found = (parameters[option].default for option in BEHIND if option in parameters)
    return next((default for default in found if isinstance(default, str)), "")
