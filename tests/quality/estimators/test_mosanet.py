"""MOSA-Net+ behind a tiny Whisper: what reaches the network, what comes of it, and which files are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError, MissingDependency
from turnwise.foundation.lineage import lineage
from turnwise.foundation.place import place_of
from turnwise.quality import mosanet_model
from turnwise.quality.estimator import ESTIMATORS
from turnwise.quality.estimators import mosanet

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STATES = 16


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TURNWISE_MOSANET", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def encoder(folder: Path, bands: int = 128) -> Path:
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=64,
        num_mel_bins=bands,
        d_model=STATES,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=bands).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = torch.Generator().manual_seed(4)
    held = {}
    for name, shape in mosanet_model.shapes(STATES).items():
        size = shape[-1] if len(shape) == 2 else max(1, int(np.prod(shape[1:])))
        held[name] = torch.rand(shape, generator=draw) / 2 + 0.5 if "running_var" in name else torch.randn(shape, generator=draw)
        if len(shape) > 1:
            held[name] /= size**0.5
    held["sinc.low_hz_"] = torch.linspace(0, 7000, 257)[:, None]
    held["sinc.band_hz_"] = torch.full((257, 1), 30.0)
    path = tmp_path_factory.mktemp("mosanet") / "ckpt_mosa_net_plus"
    torch.save(held, path)
    return path


def options(checkpoint: Path, whisper: Path, **more: Any) -> dict[str, Any]:
    return {"checkpoint": str(checkpoint), "whisper": str(whisper), "device": "cpu", **more}


def noise(seconds: float, rate: int = 16000, seed: int = 1) -> Sound:
    return Sound(np.random.default_rng(seed).uniform(-0.2, 0.2, int(seconds * rate)).astype(np.float32), rate)


def by_parts(sound: Sound, checkpoint: Path, whisper: Path) -> tuple[float, float]:
    """The ratings put together from the parts."""
    ears = transformers.WhisperFeatureExtractor.from_pretrained(whisper)
    model = transformers.WhisperModel.from_pretrained(whisper).eval()
    heard = ears(sound.samples, sampling_rate=16000, return_tensors="pt").input_features
    with torch.no_grad():
        states = model(heard, decoder_input_ids=torch.tensor([[3]])).encoder_last_hidden_state[0]
    assert states.shape == (1500, STATES)
    quality, intelligibility = mosanet_model.load(checkpoint, STATES).opinions(sound.samples, states)
    return 5 * quality, intelligibility


def test_ratings_are_those_of_the_parts(checkpoint: Path, whisper: Path) -> None:
    rater = ESTIMATORS.build("mosanet", options(checkpoint, whisper)).open()
    estimate = rater.rate(noise(1.0))
    assert [rating.scale.name for rating in estimate.ratings] == ["quality", "predicted_intelligibility"]
    found = tuple(rating.value for rating in estimate.ratings)
    assert found == pytest.approx(by_parts(noise(1.0), checkpoint, whisper), abs=1e-5)
    assert estimate.notes == () and rater.rate(noise(1.0)) == estimate
    assert rater.rate(noise(1.0, seed=2)) != estimate
    rater.close()
    rater.close()
    with pytest.raises(ValueError, match="closed"):
        rater.rate(noise(1.0))


def test_a_sound_is_heard_at_16_khz(checkpoint: Path, whisper: Path) -> None:
    rater = ESTIMATORS.build("mosanet", options(checkpoint, whisper)).open()
    high = noise(0.8, 24000)
    low = Sound(soxr.resample(high.samples, 24000, 16000, quality="HQ").astype(np.float32), 16000)
    assert rater.rate(high) == rater.rate(low)


def test_a_long_sound_is_rated_with_a_remark(checkpoint: Path, whisper: Path) -> None:
    rater = ESTIMATORS.build("mosanet", options(checkpoint, whisper)).open()
    long = noise(31.0)
    estimate = rater.rate(long)
    assert estimate.notes == ("long: the encoder heard the first 30 of 31 s",)
    found = tuple(rating.value for rating in estimate.ratings)
    assert found == pytest.approx(by_parts(long, checkpoint, whisper), abs=1e-5)
    assert rater.rate(Sound(np.zeros(16000, np.float32), 16000)).withheld.startswith("silent")
    assert rater.rate(noise(0.2)).withheld.startswith("too short")


def test_what_it_says_of_itself(checkpoint: Path, whisper: Path, tmp_path: Path) -> None:
    built = ESTIMATORS.build("mosanet", options(checkpoint, whisper))
    assert [(s.name, s.unit, s.better, s.low, s.high) for s in built.scales] == [
        ("quality", "MOS 0-5", "higher", 0.0, 5.0),
        ("predicted_intelligibility", "share understood, predicted", "higher", 0.0, 1.0),
    ]
    assert place_of(built) == "device"
    identity = built.identity()
    assert identity["shared"] == lineage(mosanet.__file__) and identity["numbers"] == "float32 on cpu"
    assert {"torch", "transformers", "numpy", "soxr", "checkpoint", "whisper weights"} <= identity.keys()
    copied = tmp_path / "other name"
    copied.write_bytes(checkpoint.read_bytes())
    assert ESTIMATORS.build("mosanet", options(copied, whisper)).identity() == identity
    copied.write_bytes(checkpoint.read_bytes() + b"\0")
    changed = ESTIMATORS.build("mosanet", options(copied, whisper)).identity()
    assert {key for key in identity if identity[key] != changed[key]} == {"checkpoint"}


def test_the_checkpoint_may_come_from_the_environment(checkpoint: Path, whisper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = ESTIMATORS.build("mosanet", {"whisper": str(whisper), "device": "cpu"})
    with pytest.raises(MissingDependency, match=r"the checkpoint of MOSA-Net\+.*TURNWISE_MOSANET=PATH"):
        built.identity()
    monkeypatch.setenv("TURNWISE_MOSANET", str(checkpoint))
    assert built.identity() == ESTIMATORS.build("mosanet", options(checkpoint, whisper)).identity()
    with pytest.raises(InputError, match="mosanet: there is no file /nowhere/c"):
        mosanet.estimator(checkpoint="/nowhere/c").identity()
    with pytest.raises(InputError, match="checkpoint is empty"):
        mosanet.estimator(checkpoint="")
    with pytest.raises(InputError, match="mosanet: device is 'tpu'"):
        mosanet.estimator(device="tpu")


def test_an_encoder_that_is_not_large_v3_is_refused(checkpoint: Path, whisper: Path, tmp_path: Path) -> None:
    older = encoder(tmp_path / "older", bands=80)
    with pytest.raises(InputError, match=r"older hears 80 mel bands, expected 128"):
        ESTIMATORS.build("mosanet", options(checkpoint, older)).open()
    deaf = tmp_path / "deaf"
    deaf.mkdir()
    for part in ("config.json", "model.safetensors"):
        (deaf / part).write_bytes((whisper / part).read_bytes())
    with pytest.raises(InputError, match=r"deaf has no preprocessor_config.json"):
        ESTIMATORS.build("mosanet", options(checkpoint, deaf)).open()
    with pytest.raises(InputError, match="the folder /nowhere/whisper does not exist"):
        ESTIMATORS.build("mosanet", options(checkpoint, Path("/nowhere/whisper"))).open()


def test_a_checkpoint_for_another_encoder_is_refused(whisper: Path, tmp_path: Path) -> None:
    wide = {name: torch.zeros(shape) for name, shape in mosanet_model.shapes(1280).items()}
    torch.save(wide, tmp_path / "c")
    with pytest.raises(InputError, match=r"dim_layer.weight has the shape \(512, 1280\), expected \(512, 16\)"):
        ESTIMATORS.build("mosanet", options(tmp_path / "c", whisper)).open()


def test_building_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from turnwise.quality.estimator import ESTIMATORS; ESTIMATORS.build('mosanet', {'checkpoint': 'x'}).scales;"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
