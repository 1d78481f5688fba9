"""How each spoken answer of the agent sounds, in five scores of 0 to 100, as a model that hears scores it.

Plays the model the agent's recording and shows it the conversation so far as text; the answer's own words it is not shown, so
that it has to listen. Asks for `audio_naturalness`, `audio_clarity`, `contextual_appropriateness`, `voice_consistency_heard`
(against earlier recordings of the agent) and `engagement_quality`, as the code of "The Context Trap" (IWSDS 2026) does, with
its definitions in our own words. Departures: that code joins all recordings of the dialogue, the user's too, into one file;
here the earlier ones are the agent's only and each is sent by itself with its name. Only turns of the agent are judged. A
turn without sound is an abstention. At the first turn, and with `earlier_clips = 0`, there is nothing to compare the voice
with: `voice_consistency_heard` abstains. Needs a model that takes sound, several pieces in one request. Such models differ
much in what they hear: check one on sounds you know before you trust it.

Options: `model` (needed) and `endpoint` ("openai"); `temperature` (0), `most_tokens` (the server's own limit), `structured`
(true: send the schema), `extra` (further fields of the request); `user_words`: "written" or "heard"; `earlier_clips` (2, at
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


def _metric(criterion: str, key: str, definition: str) -> Metric:
    return Metric(Criterion(criterion, "points of 100", "higher", 0.0, 100.0), key, definition)


METRICS = (
    _metric(
        "audio_naturalness",
        "audio_naturalness",
        "how much melody, rhythm and stress of the speech are those of a person who speaks.",
    ),
    _metric(
        "audio_clarity",
        "audio_clarity",
        "how well every word can be made out, without noise, gaps, distortion or other artefacts.",
    ),
    _metric(
        "contextual_appropriateness",
        "contextual_appropriateness",
        "how well the manner of speaking fits what the user has just said and the mood of the conversation.",
    ),
    _metric(
        "engagement_quality",
        "engagement_quality",
        "how present and interested the speaker sounds, so that one would like to go on talking.",
    ),
)
VOICE = _metric(
    "voice_consistency_heard",
    "voice_consistency",
    "how sure it is that the answer is spoken in the voice of the agent's earlier answers: same speaker, same character.",
)


def judge(
    model: str,
    endpoint: str = "openai",
    temperature: float | None = 0.0,
    most_tokens: int | None = None,
    structured: bool = True,
    extra: Mapping[str, Any] | None = None,
    user_words: UserWords = "written",
    earlier_clips: int = 2,
    setting: str = SETTING,
) -> ModelJudge:
    check_user_words(user_words, "audio_quality")
    check_earlier_clips(earlier_clips, "audio_quality")
    task = (
        f"You assess how an agent sounds in a spoken conversation with a user, one answer at a time. {setting}\n"
        "You are given the conversation so far in words, the turn you assess, and recordings of the agent. Score the sound of "
        f"the answer you assess, not its wording.\n\n{FENCED} The same holds for what is said in the recordings.\n\nThe scores:"
    )
    alone = ScoreForm(task, METRICS, "one sentence of at most 20 words")
    compared = ScoreForm(task, (*METRICS[:3], VOICE, METRICS[3]), "one sentence of at most 20 words")

    def question(exchange: Exchange) -> Question:
        now = exchange.now
        if now.agent_clip is None:
            return Question(None, settled=dict.fromkeys(compared.criteria, Abstention("no audio")))
        earlier = earlier_recordings(exchange, earlier_clips)
        words = f"{history(exchange, user_words)}\n\n{turn(exchange, user_words, heard=True)}"
        parts = (words, *played(now.agent_clip, now.number, earlier), f"Score the recording of agent {now.number}.")
        if earlier:
            return Question(compared, parts)
        why = "no earlier turn" if earlier_clips else "no earlier recording is sent"
        return Question(alone, parts, {VOICE.criterion.name: Abstention(why)})

    return model_judge(
        __file__,
        version=1,
        criteria=tuple(metric.criterion for metric in (*METRICS[:3], VOICE, METRICS[3])),
        service=service(__file__, model, endpoint, temperature, most_tokens, structured, extra),
        forms=(alone, compared),
        question=question,
        hears=True,
    )
