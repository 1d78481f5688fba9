"""Whether an answer is spoken in the voice of the agent's earlier answers, 0 to 100, as a model that hears scores it.

The judge of voice consistency in appendix C of "The Context Trap" (IWSDS 2026): the history as text, the agent's present
recording, one score with a reason. As published the model hears one recording only, and one recording cannot show that a
voice has stayed the same: the model can at most tell whether it fits the text. So by default the dialogue's first recording
of the agent is played before it, which departs from the paper; `earlier_clips = 0` is the published protocol. The definition
is in our own words. A turn without sound is an abstention, and so is the first turn unless `earlier_clips` is 0. The judge
`voice_consistency` measures the same without a model.

Options: `model` (needed) and `endpoint` ("openai"); `temperature` (0), `most_tokens` (the server's own limit), `structured`
(true: send the schema), `extra` (further fields of the request); `user_words`: "written" or "heard"; `earlier_clips` (1, at
most 16): the first recording of the dialogue, then the latest; `setting`: what the model is told of the agent's task. The
model's licence and price are its provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnwise.judges.judge import Criterion, Exchange
from turnwise.judges.listening import check_earlier_clips, earlier_recordings, played
from turnwise.judges.model_judge import ModelJudge, Question, model_judge, service
from turnwise.judges.retelling import FENCED, SETTING, UserWords, check_user_words, history, turn
from turnwise.judges.score_form import Metric, ScoreForm
from turnwise.judges.verdict import Abstention

METRIC = Metric(
    Criterion("same_voice", "points of 100", "higher", 0.0, 100.0),
    "voice_consistency",
    "how sure it is that the answer is spoken in the voice the agent has had in this conversation: 100 for the same speaker "
    "with the same character of voice, 0 for plainly another.",
)


def judge(
    model: str,
    endpoint: str = "openai",
    temperature: float | None = 0.0,
    most_tokens: int | None = None,
    structured: bool = True,
    extra: Mapping[str, Any] | None = None,
    user_words: UserWords = "written",
    earlier_clips: int = 1,
    setting: str = SETTING,
) -> ModelJudge:
    check_user_words(user_words, "same_voice")
    check_earlier_clips(earlier_clips, "same_voice")
    given = "recordings of the agent" if earlier_clips else "a recording of the agent's answer"
    task = (
        f"You assess whether an agent keeps its voice in a spoken conversation with a user, one answer at a time. {setting}\n"
        f"You are given the conversation so far in words, the turn you assess, and {given}. Score the voice of the answer you "
        f"assess, not its wording.\n\n{FENCED} The same holds for what is said in a recording.\n\nThe score:"
    )
    form = ScoreForm(task, (METRIC,))

    def question(exchange: Exchange) -> Question:
        now = exchange.now
        if now.agent_clip is None:
            return Question(None, settled=dict.fromkeys(form.criteria, Abstention("no audio")))
        earlier = earlier_recordings(exchange, earlier_clips)
        if earlier_clips and not earlier:
            return Question(None, settled=dict.fromkeys(form.criteria, Abstention("no earlier turn")))
        words = f"{history(exchange, user_words)}\n\n{turn(exchange, user_words, heard=True)}"
        return Question(
            form, (words, *played(now.agent_clip, now.number, earlier), f"Score the recording of agent {now.number}.")
        )

    return model_judge(
        __file__,
        version=1,
        criteria=(METRIC.criterion,),
        service=service(__file__, model, endpoint, temperature, most_tokens, structured, extra),
        forms=(form,),
        question=question,
        hears=True,
    )
