"""A frame-filling text mind: small talk, then what the user wants, then everything it needs, without any language model.

It derives all it knows from what it is shown: the user's intent, the values of its slots (corrected when the user changes
their mind), what its own earlier turns asked, offered and booked. It asks for one missing thing at a time, acknowledges,
recommends from a small invented catalogue, repeats what it was told when asked, books, and says goodbye.

It understands English of the domains in `agents/knowledge/domains.toml` and nothing else: by cue words and patterns, with some
tolerance for words that merely sound right. It does not reason, does not know the world, and its small talk goes no further than
topic and mood. Shown less of the past it knows less, and says so or asks again. No package beyond the core; Apache-2.0.

Options: `domains`, a folder with a `domains.toml` (and a `catalogue.toml`, or it has nothing to recommend) instead of ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from turnwise.agents import policy
from turnwise.agents.agent import Reply, Surroundings, Timings, View
from turnwise.agents.catalogue import Catalogue, read_catalogue
from turnwise.agents.domains import KNOWLEDGE, Domains, load_domains
from turnwise.agents.frame_state import derive
from turnwise.agents.phrasebook import Phrasebook, read_phrasebook
from turnwise.foundation.errors import EngineError
from turnwise.foundation.fingerprint import file_digest, source_digest
from turnwise.speech import spoken_words

_CODE = (
    *("acts", "catalogue", "cues", "domains", "frame_state", "leaning", "likeness"),
    *("mentions", "phrasebook", "policy", "small_talk", "spoken_numbers"),
)
_DATA = ("cues.toml", "phrases.toml", "small_talk.toml")


@dataclass(frozen=True)
class Frame:
    """The agent, not yet opened."""

    folder: Path
    speaks = False

    def identity(self) -> Mapping[str, str]:
        here = Path(policy.__file__).parent
        depends = {name: source_digest(here / f"{name}.py") for name in _CODE}
        depends["spoken_words"] = source_digest(Path(spoken_words.__file__ or ""))
        depends |= {name: file_digest(KNOWLEDGE / name) for name in _DATA}
        for name in ("domains.toml", "catalogue.toml"):
            if (self.folder / name).is_file():
                depends[name] = file_digest(self.folder / name)
        return depends

    def phrases(self) -> tuple[str, ...]:
        """What a recogniser should expect around this agent: names and values in short carrier phrases."""
        domains = load_domains(self.folder)
        names = [f"what about {item.name}" for item in read_catalogue(domains, self.folder).items]
        forms = {form for i in domains.intents for s in i.slots for listed in s.values.values() for form in listed}
        return (*dict.fromkeys(names), *(f"i would like {form}" for form in sorted(forms)))

    def open(self, surroundings: Surroundings) -> FrameSession:
        domains = load_domains(self.folder)
        return FrameSession(domains, read_catalogue(domains, self.folder), read_phrasebook())


@dataclass(frozen=True)
class FrameSession:
    """The agent at work; it holds knowledge only, nothing of any conversation."""

    domains: Domains
    catalogue: Catalogue
    phrases: Phrasebook

    def answer(self, view: View, *, seed: int) -> Reply:
        if view.text is None:
            raise EngineError("no-text", "the agent 'frame' reads words and was given sound only: put it into a cascade")
        started = time.perf_counter()
        state = derive(view, self.domains, self.catalogue, policy.BOOKED)
        text = policy.reply(state, self.catalogue, self.phrases, seed=seed)
        return Reply(text, timings=Timings(think=time.perf_counter() - started))

    def close(self) -> None:
        pass


def agent(domains: str | None = None) -> Frame:
    return Frame(Path(domains) if domains else KNOWLEDGE)
