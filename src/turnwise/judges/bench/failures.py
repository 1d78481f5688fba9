"""Five kinds of failure per agent turn with their severity, 0 to 100, as a language model sees them: the published failure judge.

Asks in one question about `generic`, `topic_drift`, `repetition`, `misunderstanding` and `memory`: whether the turn shows it,
how severe it is (0 none, 1-33 mild, 34-66 moderate, 67-100 severe) and why; and which failure is the main one. The kinds and
bands are those of "The Context Trap" (IWSDS 2026) in our own words; the criteria have the names of the judges without an LLM,
so that both can stand in one report under a label each. A score's reason reads "present, primary: ...", "present: ..." or
"absent: ..."; "primary unclear" where the model did not name the main failure in a way that fits the rest.
A failure that is present with severity 0, absent with another severity, or named as the main one though absent is a
contradiction: the model is told so once, and then it is a fault of that criterion.
Sees what a reader sees: not the sound. A reply of which no word was understood is an abstention. Severities of one model are
not those of another.

Options: `model` (needed) and `endpoint` ("openai"); `temperature` (0), `most_tokens` (the server's own limit), `structured`
(true: send the schema), `extra` (further fields of the request); `user_words`: "written" or "heard"; `setting`: what the
model is told of the agent's task. The model's licence and price are its provider's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnwise.judges.judge import Exchange
from turnwise.judges.model_judge import ModelJudge, Question, model_judge, service
from turnwise.judges.reading import (
    MISSING,
    REASON,
    Defect,
    Reading,
    folded,
    fullest,
    looked_up,
    objects,
    points,
    sentence,
    truth,
)
from turnwise.judges.retelling import FENCED, SETTING, TAKEN_DOWN, UNHEARD, UserWords, check_user_words, history, turn, understood
from turnwise.judges.severity import criterion
from turnwise.judges.verdict import Abstention, Score

CONTRADICTION = "contradiction"
OVERALL = "overall_assessment"
NO_FAILURE = ("none", "null", "no failure", "n/a")
# By criterion: what the failure is called in the answer, and what it is.
FAILURES = {
    "generic": (
        "generic_response",
        "the answer is vague or reads like a template: it could be given to anybody and passes over the user's particulars.",
    ),
    "topic_drift": (
        "topic_switching",
        "the answer turns to another subject without having dealt with what the user said.",
    ),
    "repetition": (
        "repetition",
        "the answer says again what the agent has said before, or asks again what it has asked, and nothing moves on.",
    ),
    "misunderstanding": (
        "misunderstanding",
        "the answer takes something that the user put plainly for something else.",
    ),
    "memory": (
        "lack_of_memory",
        "the answer has lost something that was said earlier in the conversation.",
    ),
}


class FailureForm:
    """What is asked for, in words and as a schema, and how the answer is read."""

    def __init__(self, task: str) -> None:
        names = [key for key, _ in FAILURES.values()]
        definitions = "\n".join(f'- "{key}": {definition}' for key, definition in FAILURES.values())
        each = '{"present": <true or false>, "severity": <0 to 100>, "reason": "<one sentence>"}'
        primary = ", ".join(f'"{key}"' for key in names)
        example = ", ".join(f'"{key}": {each}' for key in names)
        overall = (
            '{"has_failure": <true or false>, "primary_failure": "<the main one by its name, or none>", '
            '"explanation": "<one sentence>"}'
        )
        self.criteria = tuple(FAILURES)
        self.instructions = (
            f"{task}\n\n{definitions}\n\n"
            "A severity is a whole number: 0 where the failure is absent, 1 to 33 where it is mild, 34 to 66 where it is "
            'moderate and 67 to 100 where it is severe. "present" is true exactly where the severity is above 0.\n'
            f'"primary_failure" is one of {primary}, and only one that is present, or "none" where none is.\n'
            "Answer with one JSON object of this form and with nothing else:\n"
            f'{{{example}, "{OVERALL}": {overall}}}'
        )
        self.schema: Mapping[str, Any] = _object(
            {
                **{
                    key: _object(
                        {
                            "present": {"type": "boolean"},
                            "severity": {"type": "integer", "minimum": 0, "maximum": 100},
                            "reason": {"type": "string"},
                        }
                    )
                    for key in names
                },
                OVERALL: _object(
                    {
                        "has_failure": {"type": "boolean"},
                        "primary_failure": {"type": "string", "enum": [*names, "none"]},
                        "explanation": {"type": "string"},
                    }
                ),
            }
        )

    def read(self, text: str, said: Sequence[str] = ()) -> Reading:
        """Severities with their reasons; whatever is missing or contradicts itself is wrong, and how."""
        given = fullest(objects(text, said), list(_KEYS.values()))
        wrong: dict[str, Defect] = {}
        severities: dict[str, float] = {}
        reasons: dict[str, str] = {}
        for name, (key, _) in FAILURES.items():
            found = _severity(looked_up(given, _KEYS[name]), key)
            if isinstance(found, Defect):
                wrong[name] = found
            else:
                severities[name], reasons[name] = found
        primary = _primary(given.get(folded(OVERALL)), severities, wrong)
        scores = {
            name: Score(severity, _reason(severity, reasons[name], primary, name))
            for name, severity in severities.items()
            if name not in wrong
        }
        return Reading(scores, wrong)


def _severity(value: Any, key: str) -> tuple[float, str] | Defect:
    if not isinstance(value, dict):
        return Defect(MISSING, f'"{key}" is missing' if value is None else f'"{key}" is not an object with present and severity')
    present = truth(value.get("present"), f'"present" of "{key}"')
    severity = points(value.get("severity"), f'"severity" of "{key}"')
    if isinstance(present, Defect):
        return present
    if isinstance(severity, Defect):
        return severity
    if present is not (severity > 0):
        return Defect(CONTRADICTION, f'"{key}" is {"present" if present else "absent"} and yet has the severity {severity:g}')
    return severity, sentence(looked_up(value, _REASONS))


def _primary(value: Any, severities: Mapping[str, float], wrong: dict[str, Defect]) -> str:
    """The criterion of the main failure, "none", or "" where it is unclear; what is amiss goes to `wrong`."""
    if not isinstance(value, dict):
        wrong[OVERALL] = Defect(MISSING, f'"{OVERALL}" is missing')
        return ""
    present = [name for name, severity in severities.items() if severity > 0]
    whole = len(severities) == len(FAILURES)
    told = value.get(folded("primary_failure"))
    named = folded(told) if isinstance(told, str) else ""
    main = next((name for name, keys in _KEYS.items() if named in keys), "")
    if main and severities.get(main) == 0:
        key = FAILURES[main][0]
        wrong[main] = Defect(CONTRADICTION, f'"{key}" is absent and yet named as the primary failure')
        return ""
    if not main and named not in _NONE:
        wrong[OVERALL] = Defect(MISSING, '"primary_failure" is not one of the five failures or "none"')
        return ""
    if not main and present:
        wrong[OVERALL] = Defect(CONTRADICTION, '"primary_failure" is "none" although a failure is present')
        return ""
    has = truth(value.get(folded("has_failure")), '"has_failure"')
    if isinstance(has, Defect):
        wrong[OVERALL] = has
    elif whole and has is not bool(present):
        wrong[OVERALL] = Defect(CONTRADICTION, f'"has_failure" is {str(has).lower()}, which does not fit the severities')
    return main or "none"


def _reason(severity: float, reason: str, primary: str, name: str) -> str:
    state = "present" if severity else "absent"
    if severity and primary == name:
        state = "present, primary"
    elif severity and not primary:
        state = "present, primary unclear"
    return f"{state}: {reason}" if reason else state


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


_KEYS = {name: tuple(dict.fromkeys((folded(key), folded(name)))) for name, (key, _) in FAILURES.items()}
_REASONS = tuple(folded(key) for key in REASON)
_NONE = tuple(folded(word) for word in NO_FAILURE)


def judge(
    model: str,
    endpoint: str = "openai",
    temperature: float | None = 0.0,
    most_tokens: int | None = None,
    structured: bool = True,
    extra: Mapping[str, Any] | None = None,
    user_words: UserWords = "written",
    setting: str = SETTING,
) -> ModelJudge:
    check_user_words(user_words, "failures")
    form = FailureForm(
        f"You look for failures in a spoken conversation between a user and an agent, one turn at a time. {setting}\n"
        "You are given the conversation so far and then the turn you assess: what the user said and what the agent answered. "
        f"Look for five kinds of failure in the agent's answer, and only there.\n\n{TAKEN_DOWN}\n\n{FENCED}\n\nThe failures:"
    )

    def question(exchange: Exchange) -> Question:
        if not understood(exchange.now.agent):
            return Question(None, settled=dict.fromkeys(form.criteria, Abstention(UNHEARD)))
        ask = f"Which failures does the answer of agent {exchange.now.number} show?"
        return Question(form, (f"{history(exchange, user_words)}\n\n{turn(exchange, user_words)}\n\n{ask}",))

    return model_judge(
        __file__,
        version=1,
        criteria=tuple(criterion(name) for name in FAILURES),
        service=service(__file__, model, endpoint, temperature, most_tokens, structured, extra),
        forms=(form,),
        question=question,
    )
