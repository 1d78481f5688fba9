"""Results as a page must show them: with sound, with text that would like to be markup, and with all that can be missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from made_results import made_results
from turnwise.agents.agent import Context, Reply, Timings
from turnwise.foundation.audio import Sound
from turnwise.judges.verdict import Abstention, Fault, Score, Silence
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.study.results import Answered, Conversation, Results

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "</script><script>window.hacked = 3</script>",
    "]]> <!-- {{ 7 * 7 }} {% raw %} ${window.hacked = 4} `window.hacked = 5`",
    "line\u2028separator\u2029and \u202etfel ot thgir\u202c and \u05e9\u05dc\u05d5\u05dd",
    "Supercalifragilistic" * 40,
    "' onmouseover='window.hacked = 6' javascript:window.hacked=7",
)
RATE = 8000


def tone(seconds: float, hertz: float) -> Sound:
    time = np.arange(int(seconds * RATE), dtype=np.float32) / RATE
    return Sound((0.2 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), RATE)


def spoken_results(folder: Path, arms: tuple[str, ...] = ("frame", "frame-last-turn"), dialogues: int = 4) -> Results:
    """Every turn with a clip of 0.6 s for the user and of 0.9 s for the agent."""
    store = ClipStore(folder / "clips")
    user, agent = store.keep(tone(0.6, 440.0)), store.keep(tone(0.9, 220.0))
    results = made_results(arms, dialogues, (4, 6), clips=folder / "clips")
    return with_rounds(results, lambda a: msgspec.structs.replace(a, user_clip=user, reply=_with_clip(a.reply, agent)))


def hostile_results() -> Results:
    """Every word that comes from a model, a judge, a user or a study is hostile, arm and criterion names included."""
    made = made_results((HOSTILE[0], "b" + HOSTILE[1]), 3, 7, text=HOSTILE[0], notes=(HOSTILE[2],))
    results = few(made, ("consistency", "naturalness", "repetition", "memory"))

    def infect(answered: Answered) -> Answered:
        text = HOSTILE[answered.number % len(HOSTILE)]
        first, second, third, *others = answered.outcomes
        outcomes = {
            first: Score(40.0, text),
            second: Abstention(text),
            third: Fault(HOSTILE[1], text),
            **{name: answered.outcomes[name] for name in others},
        }
        reply = Reply(text, heard=text, timings=Timings(), notes=(text,))
        return msgspec.structs.replace(
            answered, reply=reply, transcript=text[::-1], user_heard=text, shown=(f"user: {text}",), outcomes=outcomes
        )

    results = with_rounds(results, infect)
    arms = tuple(
        msgspec.structs.replace(arm, instructions=HOSTILE[1], options={HOSTILE[2]: HOSTILE[0]}, context=Context(past=0))
        for arm in results.study.arms
    )
    study = msgspec.structs.replace(results.study, name=HOSTILE[1], arms=arms)
    conversations = []
    for c in results.conversations:
        dialogue = msgspec.structs.replace(c.dialogue, id=f"{c.dialogue.id} {HOSTILE[1]}", intent=HOSTILE[0])
        conversations.append(msgspec.structs.replace(c, dialogue=dialogue))
    return msgspec.structs.replace(results, study=study, conversations=tuple(conversations))


def broken_results() -> Results:
    """No agent ever answered."""
    return with_rounds(
        made_results(("a", "b"), 2, 3),
        lambda a: msgspec.structs.replace(
            a,
            reply=None,
            transcript=None,
            fault=Fault("timeout", "no answer"),
            outcomes={name: Fault("upstream", "no reply") for name in a.outcomes},
        ),
    )


def silent_results() -> Results:
    return with_rounds(
        made_results(("a",), 2, 3),
        lambda a: msgspec.structs.replace(
            a, reply=Reply("", timings=Timings()), transcript=None, outcomes={name: Silence() for name in a.outcomes}
        ),
    )


def few(results: Results, criteria: tuple[str, ...] = ("consistency", "memory", "first_audio")) -> Results:
    """The same run judged by fewer criteria: every criterion costs two figures."""
    kept = with_rounds(results, lambda a: msgspec.structs.replace(a, outcomes={name: a.outcomes[name] for name in criteria}))
    return msgspec.structs.replace(kept, instruments=tuple(i for i in results.instruments if i.criterion.name in criteria))


def with_rounds(results: Results, change: Callable[[Answered], Answered]) -> Results:
    conversations = tuple(Conversation(c.arm, c.dialogue, tuple(change(a) for a in c.rounds)) for c in results.conversations)
    return msgspec.structs.replace(results, conversations=conversations)


def _with_clip(reply: Reply | None, clip: Clip) -> Reply | None:
    return None if reply is None else msgspec.structs.replace(reply, clip=clip)
