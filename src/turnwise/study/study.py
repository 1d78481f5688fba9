"""The experiment as declared: corpus, user's voice, arms, transcriber, judges, seed. Plain frozen records, no behaviour."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from turnwise.agents.agent import Context
from turnwise.endpoints.endpoint import Endpoint


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A plug-in by name, with its options."""

    name: str
    options: dict[str, Any] = {}


class JudgeChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A judge by name, with its options; a label where one run has several of a name, or several that give one criterion."""

    name: str
    options: dict[str, Any] = {}
    label: str = ""  # its criteria are called "label/criterion"
    repeats: int = 1  # times each turn is judged; the turn's score is the mean

    @property
    def title(self) -> str:
        """What it is called in this study."""
        plain = self.name if ":" in self.name else self.name.replace("-", "_")
        return f"{self.label}/{plain}" if self.label else plain


class SimulatedUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who plays the user in arms with `user_mode = "live"`: a text agent that is shown the conversation from the user's side."""

    agent: str = "chat"
    options: dict[str, Any] = {}
    persona: str = ""
    task: str = ""  # what the user wants; the dialogue's intent and facts where empty
    willingness: Literal["no_preference", "not_interested_2", "not_interested_4", "not_interested_all"] = "no_preference"
    most_turns: int = 20  # user turns after which the conversation ends


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which dialogues are played."""

    format: str = "demo"
    path: str | None = None  # relative to the study file; None for the embedded corpus
    n: int | None = None  # how many; None for all
    by: Literal["intent"] | None = "intent"  # proportional by intent, or None for a plain draw
    seed: int | None = None  # of the draw; the study's seed where not given
    ids: tuple[str, ...] = ()  # exactly these, instead of a draw


class UserVoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the user's turns are spoken, and what is done to the sound."""

    engine: str = "espeak"
    options: dict[str, Any] = {}
    perturb: tuple[Choice, ...] = ()  # in this order


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One agent under one condition."""

    name: str
    agent: str
    options: dict[str, Any] = {}
    context: Context = Context()
    instructions: str = ""
    perturb: tuple[Choice, ...] | None = None  # instead of the study's, for this arm's user audio
    base: str = ""  # the arm this one was derived from
    user_mode: Literal["fixed", "live"] = "fixed"  # the written user turns, or the study's simulated user


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A study with everything inherited resolved."""

    name: str
    arms: tuple[Arm, ...]
    corpus: Selection = Selection()
    user: UserVoice = UserVoice()
    transcriber: Choice = Choice("pocketsphinx")
    judges: tuple[JudgeChoice, ...] = ()
    simulator: SimulatedUser | None = None
    endpoints: dict[str, Endpoint] = {}
    seed: int = 1
    on_fault: Literal["stop", "skip"] = "stop"  # after a fault the dialogue stops, or goes on without that reply
    bar: dict[str, float] = {}  # criterion -> least acceptable mean of every arm; below it the command leaves with 1
