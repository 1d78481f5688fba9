"""PocketSphinx: a small recogniser of English that runs anywhere on one core, nothing to download.

Options. `ears` says whom the acoustic model expects: `people` is the model as it comes; `espeak` is the same model with its
means fitted to the eSpeak voices en-us+f5 and en-us+edward (see `speech/acoustic_adaptation.py`), by random words and by no
sentence of any corpus. `adapt` says where its idea of likely sentences comes from: `none` is the general model of the package;
`corpus` is a trigram model of the study's own material, with the heard dialogue left out: dialogues are put in `folds` folds
by their id, and each is heard with a model of the other folds and of the phrases that belong to no dialogue. `words` (1,000 to
72,544) is how many words of general English the general model listens for. `fast` scores every other frame only. Each result
says in its note which model heard it, and names the words of the material that have no pronunciation and cannot be heard.

Word errors and seconds of work per second of sound, one busy core, 40 sentences of a voice at 165 words per minute (6.6 min
in all) from dialogues that no setting was chosen on:

    ears    adapt   other          en-us+f5   en-us+edward   work
    people  none    words=20000      42.7 %      49.8 %      0.14
    people  corpus                   52.4 %      51.2 %      0.09
    espeak  none                      2.8 %       5.5 %      0.06
    espeak  none    fast              3.2 %       5.6 %      0.05
    espeak  none    words=20000       3.4 %       6.8 %      0.06
    espeak  corpus                   13.1 %      18.1 %      0.06

At 180 words per minute the fitted ears do as well (3.1 and 5.6 %); eSpeak voices they were not fitted to come to 4 to 9 % (f2,
klatt5, klatt2). For everybody else they are much worse than the model as it comes: Flite's slt 53 % against 16 %, its rms 25 %
against 8 % (12 sentences each), a noisy archive recording of a speech 95 % against 32 %. A model of 48 dialogues is too small
to beat the general one; with larger material it was not tried.

Sounds are resampled to 16 kHz, brought to one level and laid over soft noise (see `speech/sphinx.py`). The same sound gives
the same text, whatever was heard before; there is no chance in it and the seed is not used. A sound without speech gives an
empty text. A decoder holds Python's global lock:
use processes, not threads; each needs about 160 MB.

Licence: PocketSphinx and its model are under a BSD licence; so is what was fitted from them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import turnwise.speech.acoustic_adaptation as adaptation
import turnwise.speech.made_files as made_files
import turnwise.speech.sphinx as sphinx
import turnwise.speech.spoken_words as spoken
import turnwise.speech.trigram as trigram
from turnwise.foundation import resampling
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.fingerprint import file_digest, fingerprint, seed_of, source_digest
from turnwise.speech import level
from turnwise.speech.acoustic_adaptation import gaussians_bytes, read_gaussians
from turnwise.speech.engine import Heard, Hearing, Material
from turnwise.speech.made_files import made_file

ADAPTATIONS = ("none", "corpus")
EARS = ("people", "espeak")
BACKGROUND_WORDS = 5000  # of general English that a model of the corpus knows beside its own
FEWEST_WORDS, MOST_WORDS = 1000, 72_544  # of general English; the model knows no more
# Where the model fits, a narrower search loses nothing: errors 4.4 % before, 4.2 % after, in three quarters of the time.
_NARROW = {"wbeam": 1e-20, "pl_beam": 1e-6, "pl_pbeam": 1e-6, "pl_weight": 5.0, "maxhmmpf": 2000}
_FITTED = Path(__file__).with_name("pocketsphinx_espeak.npz")


def recognizer(
    adapt: str = "none", ears: str = "people", folds: int = 4, words: int = MOST_WORDS, fast: bool = False
) -> PocketSphinx:
    if adapt not in ADAPTATIONS:
        raise InputError(f"pocketsphinx: adapt is {adapt[:40]!r}, expected one of {', '.join(ADAPTATIONS)}")
    if ears not in EARS:
        raise InputError(f"pocketsphinx: ears is {ears[:40]!r}, expected one of {', '.join(EARS)}")
    if not 2 <= folds <= 64:
        raise InputError(f"pocketsphinx: folds is {folds}, expected 2 to 64")
    if not FEWEST_WORDS <= words <= MOST_WORDS:
        raise InputError(f"pocketsphinx: words is {words}, expected {FEWEST_WORDS} to {MOST_WORDS}")
    return PocketSphinx(adapt, ears, folds, words, fast)


class PocketSphinx(msgspec.Struct, frozen=True):
    """The recogniser with its options settled."""

    adapt: str
    ears: str
    folds: int
    words: int  # of general English
    fast: bool  # score every other frame only

    @property
    def adapts(self) -> bool:
        return self.adapt == "corpus"

    @property
    def remark(self) -> str:
        if self.ears != "espeak":
            return ""
        return "its acoustic model was fitted to the voices en-us+f5 and en-us+edward of eSpeak; real speech it hears badly"

    def identity(self) -> Mapping[str, str]:
        fitted = {"ears": file_digest(_FITTED)} if self.ears == "espeak" else {}
        # The noise under every sound is drawn by numpy, whose numbers for a seed may differ between versions.
        return {"pocketsphinx": _package(), "soxr": version("soxr"), "numpy": version("numpy"), "code": _code(), **fitted}

    def open(self, material: Material) -> Hearing:
        return PocketSphinxHearing(self, material)


class PocketSphinxHearing:
    """One decoder; models of the corpus are added to it when a dialogue of their fold is first heard."""

    def __init__(self, engine: PocketSphinx, material: Material) -> None:
        self._engine = engine
        self._material = material
        self._adapted = engine.adapts and bool(material.passages)
        self._known: set[str] = set()  # folds the decoder has a model for
        self._unspeakable = _unspeakable(material) if self._adapted else []
        self._decoder: Any = _decoder(engine, self._adapted)

    def hear(self, sound: Sound, *, dialogue: str, seed: int) -> Heard:
        if self._decoder is None:
            raise ValueError("the recogniser is closed")
        note = f"general language model, {self._engine.words} words"
        if self._adapted:
            fold = fold_of(dialogue, self._engine.folds)
            self._choose(fold)
            note = f"language model of the corpus, this dialogue left out (fold {fold + 1} of {self._engine.folds})"
            if self._unspeakable:
                note += f"; no pronunciation: {', '.join(self._unspeakable)}"
        elif self._engine.adapts:
            note += " (no material was given)"
        floor = sphinx.FLOOR if self._engine.ears == "people" else sphinx.FITTED_FLOOR
        return Heard(sphinx.decode(self._decoder, sphinx.prepare(sound, floor)), note)

    def close(self) -> None:
        self._decoder = None

    def _choose(self, fold: int) -> None:
        name = f"fold{fold}"
        if name not in self._known:
            self._decoder.add_lm_file(name, str(_model(self._material, fold, self._engine.folds)))
            self._known.add(name)
        self._decoder.activate_search(name)


def fold_of(dialogue: str, folds: int) -> int:
    """The fold a dialogue is in, by its id alone."""
    return seed_of("fold", dialogue) % folds


def build_model(material: Material, fold: int, folds: int) -> str:
    """ARPA text of the material without one fold; words that nobody can pronounce are left out of their sentences."""
    known = sphinx.pronounced()
    sentences = []
    for passage in material.passages:
        if passage.dialogue and fold_of(passage.dialogue, folds) == fold:
            continue
        sentences.append([word for word in spoken.spoken_words(passage.text) if word in known])
    return trigram.arpa(filter(None, sentences), sphinx.general_words(BACKGROUND_WORDS))


def _model(material: Material, fold: int, folds: int) -> Path:
    digest = material.digest or fingerprint(*(part for p in material.passages for part in (p.dialogue, p.text)))
    name = fingerprint("model", digest, fold, folds, BACKGROUND_WORDS, _code())
    return made_file(name, ".arpa", lambda: build_model(material, fold, folds))


def _decoder(engine: PocketSphinx, adapted: bool) -> Any:
    options: dict[str, Any] = {"lm": None}
    if not adapted:
        options["lm"] = str(sphinx.model_folder() / "en-us.lm.bin")
        if engine.words < MOST_WORDS:
            name = fingerprint("words", engine.words, _code())
            words = made_file(name, ".dict", lambda: sphinx.dictionary(sphinx.general_words(engine.words)))
            options["dict"] = str(words)
    if engine.fast:
        options["ds"] = 2
    if engine.ears == "people":
        return sphinx.make_decoder(**options)
    with tempfile.TemporaryDirectory(prefix="turnwise-ears-") as folder:
        means = Path(folder) / "means"
        means.write_bytes(gaussians_bytes(_fitted_means()))
        return sphinx.make_decoder(mean=str(means), **_NARROW, **options)


def _fitted_means() -> NDArray[np.float64]:
    original = read_gaussians(sphinx.model_folder() / "en-us" / "means")
    with np.load(_FITTED, allow_pickle=False) as stored:
        return np.asarray(original + stored["change"].astype(np.float64))


def _unspeakable(material: Material) -> list[str]:
    words = {word for passage in material.passages for word in spoken.spoken_words(passage.text)}
    return sorted(words - sphinx.pronounced())


def _code() -> str:
    """Name of all that shapes what is heard, and the files made for it: the package and the code, this file's too."""
    modules = (sphinx, spoken, trigram, adaptation, level, resampling, made_files)
    files = [Path(__file__), *(Path(module.__file__ or "") for module in modules)]
    return fingerprint(_package(), *(source_digest(file) for file in files))


def _package() -> str:
    try:
        return version("pocketsphinx")
    except PackageNotFoundError:
        raise MissingDependency("pocketsphinx", sphinx.INSTALL) from None
