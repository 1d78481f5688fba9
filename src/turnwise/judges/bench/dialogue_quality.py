"""Naturalness and consistency of each agent turn, 0 to 100, as a language model scores them: the published dialogue judge.

Shows the model the conversation so far and the turn under judgement, one question per turn, and asks for the two scores with
a reason each, as "The Context Trap" (IWSDS 2026) and before it SalesAgent do. The definitions are theirs in our own words.
Departures: the conversation is fenced as data, nothing of it is cut, the model is told that the words may be misheard, the
answer is held to a schema where the server can, and an answer that cannot be read is asked for once more and then is a fault,
not 0. Sees what a reader sees: not the sound. A reply of which no word was understood is an abstention. A judge of the same
model as an agent may prefer that agent. What it finds moves with the model and its version: name one, and the same for every
arm.

Options: `model` (needed) and `endpoint` ("openai"); `temperature` (0), `most_tokens` (the server's own limit), `structured`
(true: send the schema), `extra` (further fields of the request); `user_words`: "written" (what the user's turns say) or
"heard" (what the study's transcriber heard of them); `setting`: what the model is told of the agent's task. The model's
licence and price are its provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnwise.judges.judge import Criterion, Exchange
from turnwise.judges.model_judge import ModelJudge, Question, model_judge, service
from turnwise.judges.retelling import FENCED, SETTING, TAKEN_DOWN, UNHEARD, UserWords, check_user_words, history, turn, understood
from turnwise.judges.score_form import Metric, ScoreForm
from turnwise.judges.verdict import Abstention

METRICS = (
    Metric(
        Criterion("naturalness", "points of 100", "higher", 0.0, 100.0),
        "naturalness",
        "how natural and human-like the content of the answer is, as something a person would say at this point.",
    ),
    Metric(
        Criterion("consistency", "points of 100", "higher", 0.0, 100.0),
        "consistency",
        "how coherent the answer is, in itself and with all that was said before: it takes up what it should and contradicts "
        "nothing.",
        ("consistancy",),
    ),
)


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
    check_user_words(user_words, "dialogue_quality")
    task = (
        f"You assess a spoken conversation between a user and an agent, one turn at a time. {setting}\n"
        f"You are given the conversation so far and then the turn you assess: what the user said and what the agent answered. "
        f"Score the agent's answer, and only that.\n\n{TAKEN_DOWN}\n\n{FENCED}\n\nThe scores:"
    )
    form = ScoreForm(task, METRICS)

    def question(exchange: Exchange) -> Question:
        if not understood(exchange.now.agent):
            return Question(None, settled=dict.fromkeys(form.criteria, Abstention(UNHEARD)))
        ask = f"Score the answer of agent {exchange.now.number}."
        return Question(form, (f"{history(exchange, user_words)}\n\n{turn(exchange, user_words)}\n\n{ask}",))

    return model_judge(
        __file__,
        version=1,
        criteria=tuple(metric.criterion for metric in METRICS),
        service=service(__file__, model, endpoint, temperature, most_tokens, structured, extra),
        forms=(form,),
        question=question,
    )
