"""The network of MOSA-Net+ against the same network in layers of torch, and its filters and magnitudes against sums in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal

from turnwise.foundation.errors import InputError
from turnwise.quality import mosanet_model

torch = pytest.importorskip("torch")

STATES = 24  # numbers of an encoder's state; 1280 in the published network


class Reference(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The published network as its description says, filters apart; two heads of attention over the batch."""

    def __init__(self, states: int) -> None:
        super().__init__()
        nn = torch.nn
        layers: list[Any] = []
        for before, after in ((1, 16), (16, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)]
            layers += [nn.Conv2d(after, after, 3, padding=1, stride=(1, 3)), nn.Dropout(0.3), nn.BatchNorm2d(after), nn.ReLU()]
        self.mean_net_conv = nn.Sequential(*layers)
        self.dim_layer = nn.Linear(states, 512)
        self.mean_net_rnn = nn.LSTM(512, 128, batch_first=True, bidirectional=True)
        self.mean_net_dnn = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.3))
        self.sinc = nn.Module()
        mels = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 7900 / 700), 258)
        edges = torch.tensor(700 * (10 ** (mels / 2595) - 1), dtype=torch.float32)
        self.sinc.low_hz_ = nn.Parameter(edges[:-1, None])
        self.sinc.band_hz_ = nn.Parameter(edges.diff()[:, None])
        for head in ("quality", "intell", "stoi"):
            setattr(self, f"att_output_layer_{head}", nn.MultiheadAttention(128, 8))
            setattr(self, f"output_layer_{head}", nn.Linear(128, 1))

    def forward(self, lines: Any, bands: Any, states: Any) -> tuple[float, float]:
        both = torch.cat((lines, bands))[None, None]
        rows = self.mean_net_conv(both).view(1, both.shape[2], 512)
        sequence = torch.cat((rows, torch.relu(self.dim_layer(states))[None]), dim=1)
        read = self.mean_net_dnn(self.mean_net_rnn(sequence)[0])
        given = []
        for head in ("quality", "intell"):
            seen, _ = getattr(self, f"att_output_layer_{head}")(read, read, read)
            given.append(float(torch.sigmoid(getattr(self, f"output_layer_{head}")(seen)).mean()))
        return given[0], given[1]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference() -> Reference:
    torch.manual_seed(2)
    made = Reference(STATES).eval()
    for buffer in made.buffers():
        if buffer.dtype.is_floating_point:
            buffer.uniform_(0.5, 1.5)
    for head in ("quality", "intell"):  # so far apart that a mistaken head would show
        torch.nn.init.normal_(getattr(made, f"output_layer_{head}").weight, std=3.0)
    return made


@pytest.fixture(scope="module")
def checkpoint(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mosanet") / "ckpt_mosa_net_plus"
    torch.save(reference.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> mosanet_model.Network:
    return mosanet_model.load(checkpoint, STATES)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(-0.3, 0.3, count).astype(np.float32)


def test_names_and_shapes_are_those_of_the_description(reference: Reference) -> None:
    state = {name: tuple(weight.shape) for name, weight in reference.state_dict().items()}
    assert mosanet_model.shapes(STATES) == state
    published = mosanet_model.shapes(1280)
    assert len(published) == 76
    learned = [shape for name, shape in published.items() if "running" not in name and "tracked" not in name]
    assert sum(int(np.prod(shape)) for shape in learned) == 2_035_013  # 2.04 million, 8.16 MB


@pytest.mark.parametrize("count", [4800, 15999, 16000, 20481])
def test_opinions_are_those_of_the_same_network_in_torchs_layers(
    network: mosanet_model.Network, reference: Reference, count: int
) -> None:
    samples, states = noise(count), torch.randn(40, STATES, generator=torch.Generator().manual_seed(count))
    lines, bands = torch.from_numpy(magnitudes(samples)), torch.from_numpy(filtered(samples, reference))
    with torch.no_grad():
        expected = reference(lines, bands, states)
    found = network.opinions(samples, states)
    assert found == pytest.approx(expected, abs=1e-5)
    assert abs(found[0] - found[1]) > 0.01


def magnitudes(samples: np.ndarray) -> np.ndarray:
    """By scipy, which scales by the sum of the window."""
    window = scipy.signal.get_window("hann", 512)
    _, _, spectrum = scipy.signal.stft(samples, window=window, nperseg=512, noverlap=256, boundary="zeros", padded=False)
    return np.abs(spectrum * window.sum()).T.astype(np.float32)


def filtered(samples: np.ndarray, reference: Reference) -> np.ndarray:
    """Every filter written down from its formula, and laid by hand over the mirrored sound at every 256th sample."""
    low = 50 + np.abs(reference.sinc.low_hz_.detach().numpy().astype(np.float64))
    high = np.minimum(low + 50 + np.abs(reference.sinc.band_hz_.detach().numpy().astype(np.float64)), 8000)
    seconds = np.arange(-125, 0) / 16000
    ideal = 2 * high * np.sinc(2 * high * seconds) - 2 * low * np.sinc(2 * low * seconds)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.linspace(0, 124.5, 125) / 251)
    left = ideal * window / (2 * (high - low))
    responses = np.concatenate((left, np.ones_like(low), left[:, ::-1]), axis=1)
    mirrored = np.pad(samples.astype(np.float64), 125, mode="reflect")
    starts = range(0, len(samples), 256)
    return np.array([responses @ mirrored[start : start + 251] for start in starts], np.float32)


@pytest.mark.parametrize("count", [4800, 16000, 16001])
def test_magnitudes_and_filters_are_those_of_the_formulas(
    network: mosanet_model.Network, reference: Reference, count: int
) -> None:
    samples = noise(count)
    lines = mosanet_model.magnitudes(samples)
    assert lines.shape == (1 + count // 256, 257) and lines.dtype == np.float32
    # scipy leaves out the last frame where the zeros at the end do not fill it.
    by_scipy = magnitudes(samples)
    assert len(lines) - len(by_scipy) in (0, 1)
    assert np.abs(lines[: len(by_scipy)] - by_scipy).max() < 1e-4
    with torch.no_grad():
        bands = network.filtered(torch.from_numpy(samples)).numpy()
    assert bands.shape == ((count - 1) // 256 + 1, 257)
    assert np.abs(bands - filtered(samples, reference)).max() < 2e-4


def test_filters_pass_their_band(network: mosanet_model.Network, reference: Reference) -> None:
    with torch.no_grad():
        responses = network.filters().numpy()
    assert (responses[:, 125] == 1).all() and np.abs(responses - responses[:, ::-1]).max() == 0
    gains = np.abs(np.fft.rfft(responses, 16000, axis=1))  # bins of 1 Hz
    low = 50 + np.abs(reference.sinc.low_hz_.detach().numpy())[:, 0]
    high = low + 50 + np.abs(reference.sinc.band_hz_.detach().numpy())[:, 0]
    loudest = gains.argmax(axis=1)
    inside = (loudest > low - 40) & (loudest < np.minimum(high, 8000) + 40)
    assert inside.all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"output_layer_stoi.bias": None}, "output_layer_stoi.bias is missing"),
        ({"extra.weight": torch.zeros(1)}, "extra.weight is not known"),
        ({"sinc.low_hz_": torch.zeros(80, 1)}, r"sinc.low_hz_ has the shape \(80, 1\), expected \(257, 1\)"),
    ],
)
def test_another_network_is_refused(reference: Reference, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    held = {name: weight for name, weight in {**reference.state_dict(), **change}.items() if weight is not None}
    torch.save(held, tmp_path / "c")
    with pytest.raises(InputError, match=f"holds the weights of another network: {said}"):
        mosanet_model.load(tmp_path / "c", STATES)


def test_an_encoder_of_another_width_is_refused(checkpoint: Path) -> None:
    with pytest.raises(InputError, match=r"dim_layer.weight has the shape \(512, 24\), expected \(512, 1280\)"):
        mosanet_model.load(checkpoint, 1280)
