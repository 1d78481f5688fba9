"""The judge that listens: five ratings per turn from whatever listener is named, once per clip, with the reasons kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.dialogues.dialogue import Turn
from turnwise.endpoints.remote import Remote
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.judges.judge import JUDGES, Bench, Exchange, Spoken
from turnwise.judges.verdict import Abstention, Score
from turnwise.listening.ratings import DIMENSIONS
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore

EARS = '''"""Ears that hear loudness only, near and far."""
import numpy as np
from turnwise.listening.ratings import Ratings
heard = []
class Ears:
    longest, batch, models = 30.0, 4, ("ears",)
    def __init__(self, place): self.place = place
    def identity(self): return {}
    def open(self): return self
    def reach(self, remote): return self
    def rate_many(self, sounds): return [self._rate(sound) for sound in sounds]
    def _rate(self, sound):
        heard.append(round(sound.seconds, 2))
        peak = float(np.abs(sound.samples).max())
        sources = dict.fromkeys(("mos", "noi", "dis", "loud"), "ears")
        return Ratings(3.0004, 4.0, None, 2.0, 1.0 + 4 * peak, sources, {"col": "deaf to it"}, ("a note",))
    def close(self): heard.append("closed")
class Far(Ears):
    async def rate(self, sound, *, seed): return self._rate(sound)
    async def close(self): heard.append("closed")
def listener(place="worker"): return (Far if place == "driver" else Ears)(place)
'''


@pytest.fixture
def ears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import importlib
    import sys

    (tmp_path / "some_ears.py").write_text(EARS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("some_ears", None)
    yield importlib.import_module("some_ears")
    sys.modules.pop("some_ears", None)


def exchange(clip: Clip | None) -> Exchange:
    return Exchange("d", "", (), (Spoken(1, Turn("user", "Hi."), None, None, "hello", "Hello.", clip),))


def judge(**options: Any) -> Any:
    return JUDGES.build("listener", {"listener": "some_ears:listener", **options})


def test_ratings_are_scores_and_what_is_missing_abstains(tmp_path: Path, ears: Any) -> None:
    clips = ClipStore(tmp_path / "clips")
    clip = clips.keep(Sound(np.full(16000, 0.5, np.float32), 16000))
    sitting = judge().open(Bench(clips))
    found = sitting.decide(exchange(clip))
    assert found == {
        "mos": Score(3.0, "ears; a note"),
        "noi": Score(4.0, "ears; a note"),
        "col": Abstention("deaf to it"),
        "dis": Score(2.0, "ears; a note"),
        "loud": Score(3.0, "ears; a note"),
    }
    assert sitting.decide(exchange(clip)) == found
    assert judge().open(Bench(clips)).decide(exchange(clip)) == found
    assert ears.heard == [1.0]  # once per clip, also by a later run
    sitting.close()
    sitting.close()
    assert ears.heard == [1.0, "closed"]


def test_without_audio_there_is_nothing_to_rate(tmp_path: Path, ears: Any) -> None:
    assert judge().open(Bench(ClipStore(tmp_path))).decide(exchange(None)) == dict.fromkeys(DIMENSIONS, Abstention("no audio"))


def test_a_description_on_demand(tmp_path: Path, ears: Any) -> None:
    clips = ClipStore(tmp_path / "clips")
    clip = clips.keep(Sound(np.full(16000, 0.5, np.float32), 16000))
    told = judge(describe=True).open(Bench(clips)).decide(exchange(clip))["mos"]
    assert isinstance(told, Score)
    assert "somewhat clean" in told.reason and told.reason.rstrip(".").endswith("3.0")
    assert JUDGES.identity("listener", {"listener": "some_ears:listener"}) != JUDGES.identity(
        "listener", {"listener": "some_ears:listener", "describe": True}
    )


def test_where_it_works_is_where_its_listener_works(tmp_path: Path, ears: Any) -> None:
    assert [judge(listener_options={"place": place}).place for place in ("worker", "device", "driver")] == [
        "worker",
        "device",
        "driver",
    ]
    assert judge().models == ("ears",)
    clips = ClipStore(tmp_path / "clips")
    clip = clips.keep(Sound(np.full(8000, 0.25, np.float32), 16000))
    far = judge(listener_options={"place": "driver"})

    async def work() -> Any:
        sitting = far.reach(Bench(clips, (), Remote()))
        try:
            return await sitting.decide(exchange(clip), seed=1), await sitting.decide(exchange(None), seed=1)
        finally:
            await sitting.close()

    told, nothing = asyncio.run(work())
    assert told["loud"] == Score(2.0, "ears; a note")
    assert nothing["loud"] == Abstention("no audio")
    with pytest.raises(InputError, match="remote"):
        far.reach(Bench(clips))
