"""The network of MOSA-Net+, run from a checkpoint that is read as data.

Three views of a sound of 16 kHz: magnitudes of a 512-point Fourier transform, the outputs of 257 learned band-pass filters, and
the states of a Whisper encoder. The first two stand one after the other in time, go through twelve convolutions and are followed,
again in time, by the third; an LSTM in both directions reads the whole sequence, and two heads give two opinions per step, whose
means are the ratings.

Three peculiarities of the published network belong to its weights and are kept. What the convolutions give, 128 channels by T
steps by 4 bins, is cut into T rows as it lies in memory, so that a row is not one step of time. Attention runs over the sounds of
a batch, not over time: in a single sound each step attends to itself alone, and what is left of the layer is its two linear maps.
A third head has weights and no use, and is not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.audio import Samples
from turnwise.quality.checkpoint import Shape, read, weights_of

if TYPE_CHECKING:
    from torch import Tensor

RATE = 16000  # samples per second
_POINTS = 512  # of the Fourier transform
_STEP = 256  # samples between frames, and between the filters' outputs
_BINS = _POINTS // 2 + 1
_TAPS = 251  # of a filter
_LOWEST = 50.0  # Hz, added to what was learned of a filter's lower edge
_NARROWEST = 50.0  # Hz, added to what was learned of its width
_CHANNELS = (1, 16, 32, 64, 128)  # each reached by three convolutions, of which the last keeps a third of the bins
_ROW = 512  # 128 channels of the 4 bins that are left
_HELD = 128  # of the LSTM, each way
_NORM = ("running_mean", "running_var", "weight", "bias")  # what a layer of normalisation learned
_HEADS = ("quality", "intell", "stoi")
_BLOCK = 6  # modules from one group of three convolutions to the next: three, dropout, normalisation, ReLU


def shapes(states: int) -> dict[str, Shape]:
    """Every weight by name, for an encoder whose states have this many numbers."""
    made: dict[str, Shape] = {"sinc.low_hz_": (_BINS, 1), "sinc.band_hz_": (_BINS, 1)}
    for group, (before, after) in enumerate(pairwise(_CHANNELS)):
        for number in range(3):
            stem = f"mean_net_conv.{_BLOCK * group + number}"
            made |= {f"{stem}.weight": (after, before if number == 0 else after, 3, 3), f"{stem}.bias": (after,)}
        norm = f"mean_net_conv.{_BLOCK * group + 4}"
        made |= {f"{norm}.{part}": (after,) for part in _NORM}
        made[f"{norm}.num_batches_tracked"] = ()
    made |= {"dim_layer.weight": (_ROW, states), "dim_layer.bias": (_ROW,)}
    parts = {"weight_ih": (4 * _HELD, _ROW), "weight_hh": (4 * _HELD, _HELD), "bias_ih": (4 * _HELD,), "bias_hh": (4 * _HELD,)}
    made |= {f"mean_net_rnn.{part}_l0{way}": shape for way in ("", "_reverse") for part, shape in parts.items()}
    made |= {"mean_net_dnn.0.weight": (_HELD, 2 * _HELD), "mean_net_dnn.0.bias": (_HELD,)}
    for head in _HEADS:
        stem = f"att_output_layer_{head}"
        made |= {f"{stem}.in_proj_weight": (3 * _HELD, _HELD), f"{stem}.in_proj_bias": (3 * _HELD,)}
        made |= {f"{stem}.out_proj.weight": (_HELD, _HELD), f"{stem}.out_proj.bias": (_HELD,)}
        made |= {f"output_layer_{head}.weight": (1, _HELD), f"output_layer_{head}.bias": (1,)}
    return made


def load(path: Path, states: int, device: str = "cpu") -> Network:
    """The network of a checkpoint for an encoder of this many states; nothing in the file is executed."""
    return Network(weights_of(read(path, "a checkpoint of MOSA-Net+"), shapes(states), path), device)


def magnitudes(samples: Samples) -> NDArray[np.float32]:
    """Of the Fourier transform: shape (frames, 257); frames are centred on every 256th sample, zeros around the sound."""
    padded = np.pad(samples.astype(np.float64), _POINTS // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _POINTS)[::_STEP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_POINTS) / _POINTS)
    return np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32)


class Network:
    """A network with its weights; one sound at a time."""

    def __init__(self, weights: Mapping[str, Tensor], device: str) -> None:
        self._weights = {name: weight.to(device) for name, weight in weights.items()}
        self._device = device
        self._lstm = self._recurrent().to(device)

    def opinions(self, samples: Samples, states: Tensor) -> tuple[float, float]:
        """Quality and intelligibility, each from 0 to 1, of samples at 16 kHz and the encoder's states (steps, numbers)."""
        import torch

        with torch.inference_mode():
            lines = torch.from_numpy(magnitudes(samples)).to(self._device)
            bands = self.filtered(torch.from_numpy(samples).to(self._device))
            rows = self._convolved(torch.cat((lines, bands)))
            steps = torch.cat((rows, torch.relu(self._apply("dim_layer", states.to(self._device)))))
            read = torch.relu(self._apply("mean_net_dnn.0", self._lstm(steps[None])[0][0]))
            quality, intelligibility = (float(self._opinion(read, head)) for head in _HEADS[:2])
        return quality, intelligibility

    def filtered(self, samples: Tensor) -> Tensor:
        """Outputs of the band-pass filters at every 256th sample: shape (steps, 257)."""
        from torch.nn import functional

        padded = functional.pad(samples[None, None], (_TAPS // 2, _TAPS // 2), mode="reflect")
        return functional.conv1d(padded, self.filters()[:, None], stride=_STEP)[0].T

    def filters(self) -> Tensor:
        """Impulse responses of the band-pass filters, shape (257, 251): 1 in the middle, symmetric."""
        import torch

        low = _LOWEST + self._weights["sinc.low_hz_"].abs()
        high = (low + _NARROWEST + self._weights["sinc.band_hz_"].abs()).clamp(_LOWEST, RATE / 2)
        half = _TAPS // 2
        seconds = torch.arange(-half, 0, device=low.device) / RATE
        angles = 2 * torch.pi * seconds
        # The window ends half a sample before the middle, where the filters have their 1 without it.
        places = torch.linspace(0, _TAPS / 2 - 1, half, device=low.device)
        window = 0.54 - 0.46 * torch.cos(2 * torch.pi * places / _TAPS)
        left = (torch.sin(high * angles) - torch.sin(low * angles)) / (angles / 2) * window / (2 * (high - low))
        return torch.cat((left, torch.ones_like(low), left.flip(1)), dim=1)

    def _convolved(self, x: Tensor) -> Tensor:
        """Both pictures (steps, 257) to rows of 512 numbers, as many as steps."""
        from torch.nn import functional

        steps = x.shape[0]
        x = x[None, None]
        for group in range(len(_CHANNELS) - 1):
            for number in range(3):
                stem = f"mean_net_conv.{_BLOCK * group + number}"
                kernel, bias = self._weights[f"{stem}.weight"], self._weights[f"{stem}.bias"]
                x = functional.conv2d(x, kernel, bias, stride=(1, 3) if number == 2 else 1, padding=1)
            norm = f"mean_net_conv.{_BLOCK * group + 4}"
            mean, variance, gain, shift = (self._weights[f"{norm}.{part}"] for part in _NORM)
            x = functional.relu(functional.batch_norm(x, mean, variance, gain, shift))
        return x.reshape(steps, _ROW)

    def _opinion(self, x: Tensor, head: str) -> Tensor:
        """Mean over the steps of what one head says of each."""
        stem = f"att_output_layer_{head}"
        values = x @ self._weights[f"{stem}.in_proj_weight"][2 * _HELD :].T + self._weights[f"{stem}.in_proj_bias"][2 * _HELD :]
        return self._apply(f"output_layer_{head}", self._apply(f"{stem}.out_proj", values)).sigmoid().mean()

    def _apply(self, stem: str, x: Tensor) -> Tensor:
        """The linear layer of this name."""
        return x @ self._weights[f"{stem}.weight"].T + self._weights[f"{stem}.bias"]

    def _recurrent(self) -> Any:
        import torch

        lstm = torch.nn.LSTM(_ROW, _HELD, batch_first=True, bidirectional=True)
        stem = "mean_net_rnn."
        lstm.load_state_dict({n.removeprefix(stem): w for n, w in self._weights.items() if n.startswith(stem)})
        return lstm.eval()
