"""A trained model is loaded once however many ask it, and what it says of a sound does not depend on who else asks."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiny_describer import made_sound, qwen2_audio
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import write_sound
from turnwise.foundation.errors import EngineError
from turnwise.listening import sound_model
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.ears import Choice, Ears, Hearing, begun
from turnwise.listening.listener import LISTENERS
from turnwise.listening.ratings import Ratings
from turnwise.listening.sound_model import Answer, Answering
from turnwise.speech.weights import placement

os.environ["HF_HUB_OFFLINE"] = "1"
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOTHING = Ratings(3.0, 3.0, 3.0, 3.0, 3.0)
SOUNDS = [made_sound(1.5 + 0.5 * k, k, 0.4 + 0.25 * k) for k in range(6)]  # of different lengths


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen2_audio(tmp_path_factory.mktemp("models") / "base")


class Loads:
    """How often weights were loaded, and how many rows each call of `generate` had."""

    def __init__(self) -> None:
        self.networks: list[Any] = []
        self.rows: list[int] = []

    def watched(self, network: Any) -> Any:
        self.networks.append(weakref.ref(network))
        generate = network.generate

        def counting(**given: Any) -> Any:
            self.rows.append(len(given["input_ids"]))
            return generate(**given)

        network.generate = counting
        return network


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    seen, load = Loads(), sound_model.load
    monkeypatch.setattr(sound_model, "load", lambda *given: seen.watched(load(*given)))
    return seen


def answering(model: Path, temperature: float = 0.0, top_p: float = 1.0, most_tokens: int = 8) -> Answering:
    where = placement("test", "cpu", "auto")
    return sound_model.sound_model("test", str(model), "main", "", temperature, top_p, most_tokens, where).open()


def texts(asked: Answering, sounds: Sequence[Sound], seeds: Sequence[int]) -> list[str]:
    return [answer.text for answer in asked.write_many("caption", [[sound] for sound in sounds], seeds)]


def test_a_listener_and_a_describer_share_the_weights(model: Path, loads: Loads) -> None:
    options = {"model": str(model), "most_tokens": 6}
    listening: Any = LISTENERS.build("trained", options).open()
    describing: Any = DESCRIBERS.build("trained", options).open()
    assert len(loads.networks) == 1
    listening.rate_many(SOUNDS[:1])
    listening.close()
    listening.close()
    assert loads.networks[0]() is not None
    with pytest.raises(EngineError, match="limit of 6 tokens"):  # it answers on
        describing.describe(NOTHING, SOUNDS[1], seed=1)
    describing.close()
    gc.collect()
    assert loads.networks[0]() is None, "the last has let go"
    again: Any = DESCRIBERS.build("trained", options).open()
    assert len(loads.networks) == 2
    again.close()
    with pytest.raises(ValueError, match="closed"):
        again.describe(NOTHING, SOUNDS[1], seed=1)


def test_what_opened_it_decides_who_shares(model: Path, loads: Loads, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(model, folder)
    first = answering(folder)
    other_options = answering(folder, temperature=0.7, most_tokens=3)
    assert len(loads.networks) == 1
    shutil.rmtree(folder)
    qwen2_audio(folder, seed=9)  # trained further, in the same place
    further = answering(folder)
    assert len(loads.networks) == 2
    assert texts(first, SOUNDS[:1], [0]) != texts(further, SOUNDS[:1], [0])
    coarse = sound_model.sound_model("test", str(folder), "main", "", 0.0, 1.0, 8, placement("test", "cpu", "bfloat16")).open()
    assert len(loads.networks) == 3
    for one in (first, other_options, further, coarse):
        one.close()
    assert not sound_model._open


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 0.9), (1.5, 1.0)])
def test_a_batch_says_what_each_alone_says(model: Path, loads: Loads, temperature: float, top_p: float) -> None:
    asked = answering(model, temperature, top_p, most_tokens=12)
    seeds = [11 * k for k in range(len(SOUNDS))]
    try:
        together = texts(asked, SOUNDS, seeds)
        asked._opened().answers.clear()
        alone = [texts(asked, [sound], [seed])[0] for sound, seed in zip(SOUNDS, seeds, strict=True)]
        asked._opened().answers.clear()
        backwards = texts(asked, SOUNDS[::-1], seeds[::-1])[::-1]
    finally:
        asked.close()
    assert together == alone == backwards
    assert len(set(together)) > 3, "answers that are all the same would hide who got which"
    assert loads.rows == [6, 1, 1, 1, 1, 1, 1, 6]


def test_the_same_question_about_the_same_sound_is_asked_once(model: Path, loads: Loads) -> None:
    asked, warm = answering(model), answering(model, temperature=1.0)
    try:
        first = texts(asked, SOUNDS[:3], [0, 0, 0])
        same = Sound(SOUNDS[1].samples.copy(), 16000)
        assert texts(asked, [same, SOUNDS[3], SOUNDS[3]], [7, 8, 9])[0] == first[1]  # of the likeliest words seeds mean nothing
        assert loads.rows == [3, 1]
        asked.write_many("comparison", [[SOUNDS[0], SOUNDS[1]], [SOUNDS[1], SOUNDS[0]]], [0, 0])
        texts(asked, [Sound(SOUNDS[0].samples, 12000)], [0])
        assert loads.rows == [3, 1, 2, 1]
        texts(warm, SOUNDS[:1], [1])
        texts(warm, SOUNDS[:1], [2])
        texts(warm, SOUNDS[:1], [1])
        assert loads.rows == [3, 1, 2, 1, 1, 1]
        many = [Sound(np.full(8000, 1e-3 * k, np.float32), 16000) for k in range(70)]
        texts(asked, many, [0] * 70)
        assert len(asked._opened().answers) == 64
    finally:
        asked.close()
        warm.close()


def test_memory_that_does_not_hold_a_batch_holds_its_halves(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(model)
    try:
        expected = texts(asked, SOUNDS, [0] * 6)
        held = asked._opened()
        held.answers.clear()
        real, sizes = Answering._answer, []

        def small(self: Answering, held: Any, kind: Any, part: Any) -> Any:
            sizes.append(len(part))
            if len(part) > 2:
                raise RuntimeError("out of memory")
            return real(self, held, kind, part)

        monkeypatch.setattr(Answering, "_answer", small)
        assert texts(asked, SOUNDS, [0] * 6) == expected
        assert sizes == [6, 3, 1, 2, 3, 1, 2]
    finally:
        asked.close()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_files_are_rated_and_described_in_batches(
    model: Path, loads: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    """Where listener and describer ask the same, every sound is heard once; where they do not, in batches both times."""

    def spoken(held: object, tokens: list[int]) -> Answer:
        """A tiny model says no rating: its tokens stand for one."""
        return Answer(f"MOS: {1 + sum(tokens) % 40 / 10:.1f}", True)

    monkeypatch.setattr(sound_model._Held, "text", spoken)
    paths = [tmp_path / f"{k}.wav" for k in range(6)]
    for path, sound in zip(paths, SOUNDS, strict=True):
        write_sound(sound, path)
    options = {"model": str(model), "most_tokens": 5}
    hearing = Hearing(
        Choice("trained", {**options, "batch": 4}), Choice("trained", {**options, "batch": 3, "temperature": temperature})
    )
    rows = [(path, begun(path, f"b2:{k}", "m")) for k, path in enumerate(paths)]
    ears = Ears(hearing)
    told = ears.hear(rows)
    rated = [row.ratings is not None and row.ratings.mos is not None for row in told]
    assert all(rated)
    described = [rated[:4].count(True), rated[4:].count(True)]
    assert loads.rows == ([4, 2] if temperature == 0 else [4, *_batches(described[0]), 2, *_batches(described[1])])
    for row in told:
        if row.description is not None and temperature == 0:
            assert row.ratings is not None and row.description == f"MOS: {row.ratings.mos:.1f}"
    ears._listening._answering._opened().answers.clear()  # type: ignore[union-attr]
    assert [ears.hear([row])[0] for row in rows] == told
    ears.close()
    assert not sound_model._open


def _batches(count: int) -> list[int]:
    return [min(3, count - start) for start in range(0, count, 3)]
