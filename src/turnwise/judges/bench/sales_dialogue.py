"""A sales conversation as a whole, judged once at its end by a language model: SalesAgent's five scores, 0 to 100.

Shows the model the whole conversation and asks for `dialogue_naturalness`, `dialogue_coherence`, `dialogue_smoothness`,
`dialogue_aggressiveness` (of the agent; higher is worse) and `dialogue_consistency` (of the agent), each with a reason. The
five names are SalesAgent's, the definitions our own. Only a dialogue's last round is judged, the others abstain; a dialogue
that breaks off before, or whose last answer is silence, has no score.
Sees what a reader sees: not the sound. SalesAgent scored simulated conversations, in which the user answers the agent; where
the user's turns are fixed beforehand, coherence and smoothness also measure how well those turns happen to fit.

Options: `model` (needed) and `endpoint` ("openai"); `temperature` (0), `most_tokens` (the server's own limit), `structured`
(true: send the schema), `extra` (further fields of the request); `user_words`: "written" or "heard"; `setting`: what the
model is told of the agent's task. The model's licence and price are its provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from turnwise.judges.judge import Criterion, Exchange
from turnwise.judges.model_judge import ModelJudge, Question, model_judge, service
from turnwise.judges.retelling import FENCED, SETTING, TAKEN_DOWN, UserWords, check_user_words, conversation
from turnwise.judges.score_form import Metric, ScoreForm
from turnwise.judges.verdict import Abstention

NOT_LAST = "not the last round"


def _metric(name: str, key: str, definition: str, better: Literal["higher", "lower"] = "higher", *spellings: str) -> Metric:
    return Metric(Criterion(f"dialogue_{name}", "points of 100", better, 0.0, 100.0), key, definition, spellings)


METRICS = (
    _metric("naturalness", "naturalness", "how much it reads like people talking to each other."),
    _metric("coherence", "coherence", "how well each turn follows from those before and the whole hangs together."),
    _metric("smoothness", "smoothness", "how smoothly the agent leads from small talk to what it can help with."),
    _metric(
        "aggressiveness",
        "agent_aggressiveness",
        "how much the agent pushes: 0 where it leaves the user free, 100 where it presses on against the user's will.",
        "lower",
        "agent aggresiveness",
        "aggressiveness",
        "aggresiveness",
    ),
    _metric(
        "consistency",
        "agent_consistency",
        "how well the agent agrees with itself and with what the user has told it.",
        "higher",
        "agent consistancy",
        "consistency",
        "consistancy",
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
    check_user_words(user_words, "sales_dialogue")
    task = (
        f"You assess a spoken conversation between a user and an agent as a whole. {setting}\n\n"
        f"{TAKEN_DOWN}\n\n{FENCED}\n\nThe scores:"
    )
    form = ScoreForm(task, METRICS)

    def question(exchange: Exchange) -> Question:
        if not exchange.last:
            return Question(None, settled=dict.fromkeys(form.criteria, Abstention(NOT_LAST)))
        return Question(form, (f"{conversation(exchange, user_words)}\n\nScore this conversation.",))

    return model_judge(
        __file__,
        version=1,
        criteria=tuple(metric.criterion for metric in METRICS),
        service=service(__file__, model, endpoint, temperature, most_tokens, structured, extra),
        forms=(form,),
        question=question,
        at_end=True,
    )
