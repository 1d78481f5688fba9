"""The embedded corpus: English sales dialogues written for this project, with every stated fact annotated.

Forty-eight or more conversations over at least eight intents, each in three phases (small talk, transition, task) with
6 to 12 user turns. The facts a user states and the slots either side asks for are annotated with canonical values, so that
a memory failure can be checked against what was said. Later user turns hark back to earlier ones on purpose. Small and
tidy by design: real callers hesitate, correct themselves and speak over the agent far more than these do.
Licence: Apache-2.0, as the project.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from turnwise.dialogues.corpus import Corpus, Irregularity, Reading
from turnwise.dialogues.dialogue import Dialogue
from turnwise.dialogues.json_lines import read as read_lines
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import fingerprint


def corpus() -> Corpus:
    return Corpus(licence="Apache-2.0", source="written for this project", read=read)


def read(path: Path | None = None) -> Reading:
    """The dialogues shipped in the package, in the order of their files."""
    if path is not None:
        raise InputError("the corpus 'demo' is part of the package and takes no file", "read a file of your own with 'jsonl'")
    dialogues: list[Dialogue] = []
    odd: list[Irregularity] = []
    digests: list[str] = []
    folder = files("turnwise.dialogues") / "demo"
    for entry in sorted((e for e in folder.iterdir() if e.name.endswith(".jsonl")), key=lambda e: e.name):
        with as_file(entry) as place:
            part = read_lines(place)
        dialogues.extend(part.dialogues)
        odd.extend(part.irregularities)
        digests.append(part.digest)
    if not dialogues:
        raise InputError("the package holds no demo dialogues", "the installation is incomplete: install turnwise again")
    return Reading(tuple(dialogues), tuple(odd), digests[0] if len(digests) == 1 else fingerprint("demo", *digests))
