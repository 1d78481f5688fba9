"""What a judge with ears is played: the agent's recording under judgement, and earlier ones to compare its voice with.

Each recording is sent by itself, after a line that says which it is: where recordings run into each other a model cannot tell
the turn it is asked about from those before. Of the earlier ones the first of the dialogue always goes along, so that a voice
which drifts little by little is still heard against the one it began with; then the latest.
"""

from __future__ import annotations

from turnwise.foundation.errors import InputError
from turnwise.judges.judge import Exchange, Spoken
from turnwise.speech.clip import Clip

MOST_EARLIER = 16  # recordings; servers take few more in one request


def check_earlier_clips(earlier_clips: int, judge: str) -> None:
    if not 0 <= earlier_clips <= MOST_EARLIER:
        raise InputError(f"{judge}: earlier_clips is {earlier_clips}, expected 0 to {MOST_EARLIER}")


def earlier_recordings(exchange: Exchange, most: int) -> tuple[Spoken, ...]:
    """Rounds whose replies are played before the one under judgement, in order."""
    spoken = tuple(each for each in exchange.rounds[:-1] if each.agent_clip is not None)
    if len(spoken) <= most:
        return spoken
    return (spoken[0], *spoken[len(spoken) - most + 1 :]) if most else ()


def played(clip: Clip, number: int, earlier: tuple[Spoken, ...]) -> tuple[str | Clip, ...]:
    """The recordings, each after the line that names it."""
    parts: list[str | Clip] = []
    for each in earlier:
        assert each.agent_clip is not None
        parts += (f"Recording of agent {each.number}, an earlier answer, to compare with:", each.agent_clip)
    return (*parts, f"Recording of agent {number}, the answer you assess:", clip)
