"""Which servers a study speaks to: every endpoint that a plug-in of it is given, or takes where it is given none."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from turnwise.agents.agent import AGENTS
from turnwise.foundation.catalog import Catalog
from turnwise.foundation.plugin import naming
from turnwise.judges.judge import JUDGES
from turnwise.speech.engine import RECOGNIZERS, SYNTHESIZERS
from turnwise.study.study import Study

_CATALOGS = {"agent": AGENTS, "recognizer": RECOGNIZERS, "synthesizer": SYNTHESIZERS}


def endpoints_of(study: Study) -> tuple[str, ...]:
    """Names of endpoints, each once, in the order of the study."""
    return tuple(dict.fromkeys(_named(study)))


def _named(study: Study) -> Iterator[str]:
    for arm in study.arms:
        yield from _of(AGENTS, arm.agent, arm.options)
        with naming("agent", arm.agent):
            agent = AGENTS.build(arm.agent, arm.options)
            parts = tuple(agent.parts()) if hasattr(agent, "parts") else ()
        for key, _ in parts:
            kind, name, options = json.loads(key)
            yield from _of(_CATALOGS[kind], name, options)
    for judge in study.judges:
        yield from _of(JUDGES, judge.name, judge.options)
    yield from _of(SYNTHESIZERS, study.user.engine, study.user.options)
    yield from _of(RECOGNIZERS, study.transcriber.name, study.transcriber.options)
    if study.simulator is not None:
        yield from _of(AGENTS, study.simulator.agent, study.simulator.options)


def _of(catalog: Catalog, name: str, options: Mapping[str, Any]) -> Iterator[str]:
    with naming(catalog.kind, name):
        parameter = inspect.signature(catalog.factory(name)).parameters.get("endpoint")
    endpoint = options.get("endpoint", parameter.default if parameter is not None else None)
    if isinstance(endpoint, str) and endpoint:
        yield endpoint
