"""A form that asks for several scores, each from 0 to 100 with its reason, in one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from turnwise.judges.judge import Criterion
from turnwise.judges.reading import MISSING, REASON, SCORE, Defect, Reading, folded, fullest, looked_up, objects, points, sentence
from turnwise.judges.verdict import Score


class Metric(msgspec.Struct, frozen=True):
    """One score that is asked for."""

    criterion: Criterion
    key: str  # what the score is called in the answer
    definition: str  # as the model is told
    spellings: tuple[str, ...] = ()  # other keys it is known to come under


class ScoreForm:
    """What is asked for, in words and as a schema, and how the answer is read."""

    def __init__(self, task: str, metrics: Sequence[Metric], reason: str = "one sentence") -> None:
        """`task` comes before the definitions; `reason` says how long a reason may be."""
        self._keys = tuple((metric.criterion.name, metric.key, _keys(metric)) for metric in metrics)
        self._reasons = tuple(folded(key) for key in REASON)
        self._scores = tuple(folded(key) for key in SCORE)
        self.criteria = tuple(metric.criterion.name for metric in metrics)
        definitions = "\n".join(f'- "{metric.key}": {metric.definition}' for metric in metrics)
        example = ", ".join(f'"{metric.key}": {{"reason": "<{reason}>", "score": <0 to 100>}}' for metric in metrics)
        self.instructions = (
            f"{task}\n\n{definitions}\n\n"
            "Each score is a whole number from 0 (not at all) to 100 (wholly); use all of the scale. Give the reason first. "
            f"Answer with one JSON object of this form and with nothing else:\n{{{example}}}"
        )
        self.schema: Mapping[str, Any] = _object({metric.key: _SCORED for metric in metrics})

    def read(self, text: str, said: Sequence[str] = ()) -> Reading:
        """The scores in an answer; whatever else was asked for is wrong, and how."""
        given = fullest(objects(text, said), [keys for _, _, keys in self._keys])
        scores: dict[str, Score] = {}
        wrong: dict[str, Defect] = {}
        for criterion, key, keys in self._keys:
            value = looked_up(given, keys)
            reason = ""
            if isinstance(value, dict):
                reason = sentence(looked_up(value, self._reasons))
                value = looked_up(value, self._scores)
            number = points(value, f'the score of "{key}"')
            if isinstance(number, Defect):
                wrong[criterion] = number if given else Defect(MISSING, f'no JSON object gives a score of "{key}"')
            else:
                scores[criterion] = Score(number, reason)
        return Reading(scores, wrong)


_SCORED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "minimum": 0, "maximum": 100}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}


def _object(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


def _keys(metric: Metric) -> tuple[str, ...]:
    names = (metric.key, metric.criterion.name, f"{metric.key} score", *metric.spellings)
    return tuple(dict.fromkeys(folded(name) for name in names))
