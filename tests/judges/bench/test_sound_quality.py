"""Sound quality of a turn: examples, an estimator of the user's own, and that equal clips are rated once."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from small_study import small_study
from turnwise.dialogues.dialogue import Turn
from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import EngineError, InputError
from turnwise.judges.judge import JUDGES, Bench, Exchange, Spoken
from turnwise.judges.verdict import Abstention, Score
from turnwise.quality.estimator import ESTIMATORS, Estimate, Rating, Scale
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore
from turnwise.study.plan import make_plan

NAMES = ("mos", "ovrl", "sig", "bak")
WEIGHTS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "nisqa" / "nisqa.tar"


def exchange(clip: Clip | None) -> Exchange:
    return Exchange("d", "", (), (Spoken(1, Turn("user", "Hi."), None, None, "Hi.", "Hi.", clip),))


def noise(seed: int, peak: float = 0.1) -> Sound:
    return Sound((peak * np.random.default_rng(seed).uniform(-1, 1, 8000)).astype(np.float32), 16000)


class Counting:
    """Rates the peak, on every scale asked for, and counts what it did."""

    def __init__(self, names: tuple[str, ...] = NAMES, gives: tuple[str, ...] = NAMES) -> None:
        self.scales = tuple(Scale(name, "MOS 1-5", "higher", 1.0, 5.0) for name in names)
        self._gives = gives
        self.opened = self.rated = self.closed = 0

    def identity(self) -> dict[str, str]:
        return {"counting": "1"}

    def open(self) -> Counting:
        self.opened += 1
        return self

    def rate(self, sound: Sound) -> Estimate:
        self.rated += 1
        value = 1 + 4 * float(np.abs(sound.samples).max())
        return Estimate(tuple(Rating(s, value) for s in self.scales if s.name in self._gives), ("a remark",))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    return named(made, monkeypatch)


def named(made: Counting, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """The estimator under a dotted path, as a third party would give it."""
    module = ModuleType("counting_estimator")
    module.__file__ = __file__
    module.__spec__ = SimpleNamespace(origin=__file__)  # type: ignore[assignment]
    module.estimator = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "counting_estimator", module)
    return made


def test_its_examples(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    judge = JUDGES.build("sound_quality")
    store = ClipStore(tmp_path)
    for sound in judge.sounds():
        store.keep(sound)
    sitting = judge.open(Bench(store))
    assert len(judge.examples) == 3
    for given, expected in judge.examples:
        found = sitting.decide(given)
        for name, verdict in expected.items():
            if isinstance(verdict, Score):
                assert found[name].value == pytest.approx(verdict.value, abs=0.01)
            else:
                assert found[name] == verdict
    sitting.close()


def test_equal_clips_are_rated_once_and_by_later_sittings_never(tmp_path: Path, counting: Counting) -> None:
    store = ClipStore(tmp_path)
    one, other = store.keep(noise(1)), store.keep(noise(2, 0.5))
    again = store.keep(noise(1), perturbation="said differently")
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    first = judge.open(Bench(store))
    verdicts = [first.decide(exchange(clip)) for clip in (one, again, other, one)]
    assert counting.rated == 2 and counting.opened == 1
    assert verdicts[0] == verdicts[1] == verdicts[3] != verdicts[2]
    second = judge.open(Bench(store))
    assert second.decide(exchange(one)) == verdicts[0]
    assert counting.rated == 2 and counting.opened == 1, "an estimator with nothing to do is not opened"
    first.close()
    first.close()
    assert counting.closed == 1


def test_another_estimator_rates_anew(tmp_path: Path, counting: Counting) -> None:
    store = ClipStore(tmp_path)
    clip = store.keep(noise(1))
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    judge.open(Bench(store)).decide(exchange(clip))
    identity = judge.identity()["estimator"]
    counting.identity = lambda: {"counting": "2"}  # type: ignore[method-assign]
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    assert judge.identity()["estimator"] != identity
    judge.open(Bench(store)).decide(exchange(clip))
    assert counting.rated == 2


def test_values_notes_and_scale_come_from_the_estimator(tmp_path: Path, counting: Counting) -> None:
    store = ClipStore(tmp_path)
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    found = judge.open(Bench(store)).decide(exchange(store.keep(Sound(np.full(8000, 0.5, np.float32), 16000))))
    assert found == dict.fromkeys(NAMES, Score(3.0, "a remark"))
    criteria = [(c.name, c.unit, c.better, c.low, c.high) for c in judge.criteria]
    assert criteria == [(name, "MOS 1-5", "higher", 1.0, 5.0) for name in NAMES]


def test_text_only_and_silent_turns_are_abstentions(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    store = ClipStore(tmp_path)
    sitting = JUDGES.build("sound_quality").open(Bench(store))
    assert sitting.decide(exchange(None)) == dict.fromkeys(NAMES, Abstention("no audio"))
    faint = store.keep(Sound(np.full(8000, 0.0003, np.float32), 16000))
    found = sitting.decide(exchange(faint))
    assert all(isinstance(verdict, Abstention) and "silent" in verdict.reason for verdict in found.values())


def test_without_detail_there_is_one_criterion_and_the_small_model_alone() -> None:
    pytest.importorskip("onnxruntime")
    judge = JUDGES.build("sound_quality", {"detail": False})
    assert [criterion.name for criterion in judge.criteria] == ["mos"]
    assert judge.identity()["estimator"] == ESTIMATORS.identity("dnsmos", {"ratings": "mos"})


def test_criteria_are_the_estimators_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    made = named(Counting(names=("quality", "noi")), monkeypatch)
    made.scales += (Scale("level", "LUFS", "neither"), Scale("hum", "dB", "lower", 0.0))
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    assert [(c.name, c.unit, c.better, c.low, c.high) for c in judge.criteria] == [
        ("quality", "MOS 1-5", "higher", 1.0, 5.0),
        ("noi", "MOS 1-5", "higher", 1.0, 5.0),
        ("hum", "dB", "lower", 0.0, None),
    ]
    alone = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator", "detail": False})
    assert [c.name for c in alone.criteria] == ["quality"]


def test_an_estimator_without_a_better_end_is_refused_when_built() -> None:
    with pytest.raises(InputError, match=r"'loudness' gives nothing that is better higher or lower.*it gives loudness"):
        JUDGES.build("sound_quality", {"estimator": "loudness"})


def test_an_estimator_that_loads_weights_works_where_the_device_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = named(Counting(), monkeypatch)
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    assert not judge.heavy and judge.place == "worker" and judge.hears
    made.place = "device"  # type: ignore[attr-defined]
    judge = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"})
    assert judge.heavy and judge.place == "device"


def test_several_estimators_stand_in_one_study_under_labels(tmp_path: Path, counting: Counting) -> None:
    pytest.importorskip("onnxruntime")
    other = {"name": "sound_quality", "options": {"estimator": "counting_estimator:estimator"}}
    with pytest.raises(InputError, match=r"'sound_quality' is named twice.*label"):
        make_plan(small_study(tmp_path, judges=["sound_quality", other]), tmp_path)
    plan = make_plan(small_study(tmp_path, judges=["sound_quality", {**other, "label": "other"}]), tmp_path)
    assert [[c.name for c in judge.criteria] for judge in plan.judges] == [list(NAMES), [f"other/{name}" for name in NAMES]]
    assert plan.judges[0].identity != plan.judges[1].identity


def test_predicted_and_counted_intelligibility_need_no_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(Counting(names=tuple(scale.name for scale in ESTIMATORS.build("mosanet").scales)), monkeypatch)
    predicted = {"name": "sound_quality", "options": {"estimator": "counting_estimator:estimator"}}
    plan = make_plan(small_study(tmp_path, judges=[predicted, "intelligibility"]), tmp_path)
    assert [[c.name for c in judge.criteria] for judge in plan.judges] == [
        ["quality", "predicted_intelligibility"],
        ["intelligibility"],
    ]


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="no weights of NISQA here")
def test_nisqa_rates_a_turn(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = {"estimator": "nisqa", "estimator_options": {"weights": str(WEIGHTS)}}
    judge = JUDGES.build("sound_quality", options)
    assert judge.place == "device" and [c.name for c in judge.criteria] == ["mos", "noi", "col", "dis", "loud"]
    assert judge.identity()["estimator"] == ESTIMATORS.identity("nisqa", options["estimator_options"])
    store = ClipStore(tmp_path)
    sitting = judge.open(Bench(store))
    clip = store.keep(noise(1))
    said = ESTIMATORS.build("nisqa", options["estimator_options"]).open().rate(store.load(clip))
    assert sitting.decide(exchange(clip)) == {r.scale.name: Score(round(r.value, 3)) for r in said.ratings}
    faint = store.keep(Sound(np.full(8000, 0.0003, np.float32), 16000))
    assert all(isinstance(verdict, Abstention) for verdict in sitting.decide(exchange(faint)).values())
    sitting.close()


def test_an_estimate_without_a_rating_is_an_error_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = named(Counting(gives=("mos", "sig")), monkeypatch)
    store = ClipStore(tmp_path)
    sitting = JUDGES.build("sound_quality", {"estimator": "counting_estimator:estimator"}).open(Bench(store))
    clip = store.keep(noise(3))
    for count in (1, 2):
        with pytest.raises(EngineError, match="where"):
            sitting.decide(exchange(clip))
        assert made.rated == count
