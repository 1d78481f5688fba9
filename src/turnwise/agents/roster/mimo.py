"""MiMo-Audio-7B by its own library, in the Python interpreter where that is installed: speech in, speech out.

The better way to MiMo-Audio is `hosted` with a vLLM-Omni server (docs/audio_models.md has the commands): it batches, streams,
and takes limits. This agent is for machines with a clone of the model's repository and no server. The library needs versions of
torch and transformers that cannot stand beside ours, so it runs as another process, `python` in the folder `clone`, which is
asked one turn at a time. Nothing of it is changed, and nothing is done in its stead: what it does not offer is not offered
here.

What it is shown is what the library takes. User turns are sound only: where the context shows their words too, those are left
out and the reply notes it. Its own past turns are sound and words together, so the context should be `form = "both"`. A past
turn that it cannot take so (without sound: a written opening, `replies = "written"`; or its own without words, `form =
"audio"`) is an error ("unsupported-history"), or with `unspoken = "leave-out"` it is left out and counted in a note. The
instructions go into the first user turn, which is the library's place for them; where a past turn of the agent would stand
before it, the library would drop them, and that is an error too. With `aloud = false` it is text mode, words in and words out,
as the mind of a `cascade`; the instructions then stand before the first user turn's words in the same way.

The words are what the library gives, less the marks of its special tokens. No words and no sound is silence; words without
sound are an error ("empty-audio"). A process that dies ("worker-died"), answers something else ("broken-answer") or not in time
("timeout") is started anew for the next turn. Words and sound are made together, so `first_audio` is the time until all is
there, and there is no `think` of its own; in text mode `think` is that time.

Options, the first four needed: `python`, the interpreter; `clone`, the folder of the repository; `model` and `tokenizer`,
folders or hub ids of the two sets of weights; `aloud`; `voice`, a sound file with the voice it should have; `temperature` of
the text (none: the library's own, 0.6 aloud and 0.4 in text mode; top-p 0.95 either way); `unspoken`; `device` ("auto" or e.g.
"cuda:1"); `patience`, seconds for one answer. The library has no option for the length of an answer, for a repetition penalty
or for other numbers than bfloat16 in these functions.

Needs a GPU for the library (flash-attn). Licence of the weights: MIT, as their card says; that of the library is in its clone.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from turnwise.agents import mimo_worker
from turnwise.agents.agent import Past, Reply, Surroundings, Timings, View
from turnwise.agents.foreign_python import ForeignPython, foreign_environment
from turnwise.foundation.audio_files import read_sound, write_sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.foundation.fingerprint import file_digest, fingerprint
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import Place
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore, to_pcm
from turnwise.speech.weights import find_weights

LOADING = 1800.0  # seconds for the weights: 8 billion parameters from a slow disk
_MARKS = re.compile(r"<\|(?:sosp|eosp|empty|Human|SpeechLM|sostm|eostm|eot|im_start|im_end|endoftext)\|>")
_WORDS_LEFT_OUT = "words of past user turns left out, as this model takes their sound only: {}"
_TURNS_LEFT_OUT = "past turns left out, as this model takes none without both sound and words: {}"

Message = dict[str, Any]


@dataclass(frozen=True)
class Mimo:
    """The model with its options."""

    python: str
    clone: str
    model: str
    tokenizer: str
    aloud: bool
    voice: str
    temperature: float | None
    unspoken: str
    device: str
    patience: float
    place: Place = field(default="device", init=False)

    @property
    def speaks(self) -> bool:
        return self.aloud

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def identity(self) -> Mapping[str, str]:
        weights = {name: find_weights(where).identity()["weights"] for name, where in self._weights().items()}
        voice = {"voice": file_digest(self._voice())} if self.voice else {}
        there = {f"its {name}": version for name, version in _versions(self.python).items()}
        return {"shared": lineage(__file__), "clone": _sources(self._clone()), **there, **weights, **voice}

    def open(self, surroundings: Surroundings) -> MimoSession:
        clone = self._clone()
        folders = {name: str(find_weights(where).folder.resolve()) for name, where in self._weights().items()}
        voice = str(self._voice().resolve()) if self.voice else ""
        device = None if self.device == "auto" else self.device
        with ExitStack() as undone:
            session = MimoSession(self, surroundings.clips, clone, {**folders, "device": device}, voice)
            undone.callback(session.close)
            session.start()
            undone.pop_all()  # it is open, and whoever asked for it closes it
        return session

    def _weights(self) -> dict[str, str]:
        return {"model": self.model, "tokenizer": self.tokenizer}

    def _clone(self) -> Path:
        clone = Path(self.clone).expanduser()
        if not (clone / "src" / "mimo_audio" / "mimo_audio.py").is_file():
            hint = "git clone https://github.com/XiaomiMiMo/MiMo-Audio"
            raise InputError(f"mimo: {self.clone} is no clone of MiMo-Audio: it has no src/mimo_audio/mimo_audio.py", hint)
        return clone.resolve()

    def _voice(self) -> Path:
        voice = Path(self.voice).expanduser()
        if not voice.is_file():
            raise InputError(f"mimo: the voice {self.voice} does not exist")
        return voice


class MimoSession:
    """The library at work in its interpreter."""

    def __init__(self, mimo: Mimo, clips: ClipStore, clone: Path, opening: Mapping[str, Any], voice: str) -> None:
        self._mimo, self._clips, self._clone = mimo, clips, clone
        self._opening = {"do": "open", "clone": str(clone), **opening}
        self._voice = voice
        self._child: ForeignPython | None = None
        self._desk = tempfile.TemporaryDirectory(prefix="turnwise-mimo-")

    def start(self) -> ForeignPython:
        """The process with its weights loaded; started where there is none, or none any more."""
        if self._child is None or not self._child.running:
            self._child = ForeignPython([_interpreter(self._mimo.python), mimo_worker.__file__], self._clone)
            try:
                _checked(self._child.ask(self._opening, LOADING))
            except EngineError as error:
                self._child.close()
                if error.cause == "open":
                    raise InputError(f"mimo: the library in {self._clone} does not open: {error.message}") from error
                raise
        return self._child

    def answer(self, view: View, *, seed: int) -> Reply:
        return self._speak(view, seed) if self._mimo.aloud else self._write(view, seed)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
        self._desk.cleanup()

    def _speak(self, view: View, seed: int) -> Reply:
        if view.clip is None:
            raise EngineError(
                "no-input", "aloud, this model takes the user's turn as sound, and it was given as words or not at all"
            )
        messages, notes = self._spoken((*view.past, Past("user", view.text, view.clip)))
        if view.instructions and messages[0]["role"] != "user":
            raise EngineError("unsupported-history", "before a first turn of the agent the library drops the instructions")
        made = Path(self._desk.name) / "reply.wav"
        made.unlink(missing_ok=True)
        request = {"do": "speak", "messages": messages, "system": view.instructions, "voice": self._voice, "to": str(made)}
        text, seconds = self._asked(request, seed)
        clip = self._kept(made)
        if clip is None and text.strip():
            raise EngineError("empty-audio", f"no sound came for {text[:60]!r}")
        return Reply(text if text.strip() else "", clip, timings=Timings(first_audio=seconds), notes=notes)

    def _write(self, view: View, seed: int) -> Reply:
        if view.text is None:
            raise EngineError("no-input", "text mode takes the user's turn as words, and it was given as sound or not at all")
        turns = (*view.past, Past("user", view.text))
        if any(turn.text is None for turn in turns):
            raise EngineError("unsupported-history", "text mode takes words, and a past turn is shown as sound only")
        messages = [Message(role=_role(turn), content=turn.text) for turn in turns]
        if view.instructions:
            first = next(message for message in messages if message["role"] == "user")
            first["content"] = f"{view.instructions}\n\n{first['content']}"
        text, seconds = self._asked({"do": "write", "messages": messages}, seed)
        return Reply(text if text.strip() else "", timings=Timings(think=seconds))

    def _asked(self, request: Mapping[str, Any], seed: int) -> tuple[str, float]:
        child = self.start()
        began = time.perf_counter()
        answer = child.ask({**request, "seed": seed, "temperature": self._mimo.temperature}, self._mimo.patience)
        seconds = time.perf_counter() - began
        text = _checked(answer).get("text")
        if not isinstance(text, str):
            child.close()
            raise EngineError("broken-answer", "the library's worker gave an answer without words")
        return _MARKS.sub("", text), seconds

    def _spoken(self, turns: Sequence[Past]) -> tuple[list[Message], tuple[str, ...]]:
        """The turns as the library takes them, and notes on what it does not take."""
        messages: list[Message] = []
        words = left_out = 0
        for turn in turns:
            if turn.clip is None or (turn.speaker == "agent" and turn.text is None):
                if self._mimo.unspoken != "leave-out":
                    lacking = "sound" if turn.clip is None else "words"
                    hint = "context.form = 'both', or unspoken = 'leave-out'"
                    raise EngineError("unsupported-history", f"a past turn of the {turn.speaker} has no {lacking} ({hint})")
                left_out += 1
            elif turn.speaker == "agent":
                messages.append(Message(role=_role(turn), content={"text": turn.text, "audio": self._file(turn.clip)}))
            else:
                words += turn.text is not None
                messages.append(Message(role=_role(turn), content=self._file(turn.clip)))
        told = ((words, _WORDS_LEFT_OUT), (left_out, _TURNS_LEFT_OUT))
        return messages, tuple(note.format(count) for count, note in told if count)

    def _file(self, clip: Clip) -> str:
        """The clip as a WAV file, written once per session."""
        path = Path(self._desk.name) / f"{clip.digest.removeprefix('b2:')}.wav"
        if not path.is_file():
            write_sound(self._clips.load(clip), path)
        return str(path)

    def _kept(self, made: Path) -> Clip | None:
        """The sound that was made; None where it is silence, a second of which the library writes when nothing came."""
        if not made.is_file():
            return None
        try:
            sound = read_sound(made)
        except InputError as error:
            raise EngineError("broken-audio", f"the sound of the reply cannot be read: {error.message}") from error
        return self._clips.keep(sound) if to_pcm(sound).any() else None


def _role(turn: Past) -> str:
    return "user" if turn.speaker == "user" else "assistant"


def _checked(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    error = answer.get("error")
    if error is not None:
        raise EngineError(str(error["cause"]), str(error["message"])[:500])
    return answer


def _interpreter(python: str) -> str:
    return str(Path(python).expanduser()) if "/" in python else python


@lru_cache(maxsize=8)
def _versions(python: str) -> dict[str, str]:
    """What is installed beside the library."""
    command = [_interpreter(python), mimo_worker.__file__, "--versions"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=foreign_environment())
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"mimo: {python} does not work as a Python interpreter: {error}") from error
    return found


def _sources(clone: Path) -> str:
    """Name of the library as it is in the clone."""
    files = sorted((clone / "src").rglob("*.py"))
    return fingerprint(*(f"{path.relative_to(clone).as_posix()} {file_digest(path)}" for path in files))


def agent(
    python: str,
    clone: str,
    model: str,
    tokenizer: str,
    aloud: bool = True,
    voice: str = "",
    temperature: float | None = None,
    unspoken: str = "refuse",
    device: str = "auto",
    patience: float = 600.0,
) -> Mimo:
    for name, value in (("python", python), ("clone", clone), ("model", model), ("tokenizer", tokenizer)):
        if not value:
            raise InputError(f"mimo: {name} is empty")
    if temperature is not None and temperature < 0:
        raise InputError(f"mimo: temperature is {temperature}, expected 0 or more")
    if unspoken not in ("refuse", "leave-out"):
        raise InputError(f"mimo: unspoken is {unspoken!r}, expected 'refuse' or 'leave-out'")
    if patience <= 0:
        raise InputError(f"mimo: patience is {patience}, expected seconds above 0")
    if not aloud and voice:
        raise InputError(f"mimo: voice is {voice!r} and aloud is false: a text has no voice")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise InputError(f"mimo: device is {device!r}, expected 'auto', 'cpu', 'cuda' or 'cuda:1'")
    return Mimo(python, clone, model, tokenizer, aloud, voice, temperature, unspoken, device, patience)
