"""The networks of NISQA, run from a file of weights that is read as data.

A sound becomes levels of 48 mel bands every 10 ms; segments of 15 frames go through six convolutions each, the sequence of
segments through self-attention (or an LSTM in both directions), and what comes out is pooled into one opinion per dimension.
Every part is computed here from the named weights, so the names and the shapes that the design asks for are all that a file
may hold: one too few, one too many or one of another shape is an error that names it.

    network = load(path)                    # torch is imported here
    network.opinions(mel_levels(sound, network.design.heard))
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from turnwise.foundation.errors import InputError
from turnwise.quality.checkpoint import Shape, read, weights_of
from turnwise.quality.mel_levels import Bands

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

WHAT = "a file of NISQA weights"
SOURCE = "expected nisqa.tar of https://github.com/gabrielmittag/NISQA, folder weights"
FIVE = ("mos", "noi", "dis", "col", "loud")  # in the order of the network's outputs, which is not that of the papers
_BATCH = 64  # segments convolved at once; the first layer of a batch takes 3 MB, which stays in the caches
_STANDARD = (6, 2)  # bands and frames that the standard convolutions leave of 48 and 15
_LAYERS = range(1, 7)
_NORM = ("running_mean", "running_var", "weight", "bias")  # what a layer of normalisation learned
_LEAST_VARIANCE = 1e-5  # torch's, added to what was learned


class Design(msgspec.Struct, frozen=True, rename={"kind": "model"}):
    """What a file of weights says of its network; keys that only concern training are passed over."""

    kind: Literal["NISQA", "NISQA_DIM"]  # one opinion, or five
    name: str
    ms_sr: None  # the sound keeps its rate
    ms_fmax: Annotated[float, msgspec.Meta(gt=0)]  # Hz
    ms_n_fft: Count
    ms_hop_length: Seconds
    ms_win_length: Seconds
    ms_n_mels: Count
    ms_seg_length: Count  # frames of a segment
    ms_seg_hop_length: Count  # frames between segments
    ms_max_segments: Count
    cnn_model: Literal["adapt", "standard"]
    cnn_c_out_1: Count
    cnn_c_out_2: Count
    cnn_c_out_3: Count
    cnn_kernel_size: tuple[Literal[3], Literal[3]]
    cnn_fc_out_h: Count | None
    td: Literal["self_att", "lstm"]
    td_2: Literal["skip"]
    pool: Literal["att", "last_step_bi"]
    cnn_pool_1: tuple[Count, Count] | None = None
    cnn_pool_2: tuple[Count, Count] | None = None
    cnn_pool_3: tuple[Count, Count] | None = None
    td_sa_d_model: Count | None = None
    td_sa_nhead: Literal[1] | None = None
    td_sa_pos_enc: Literal[False] | None = None
    td_sa_num_layers: Count | None = None
    td_sa_h: Count | None = None
    td_lstm_h: Count | None = None
    td_lstm_num_layers: Literal[1] | None = None
    td_lstm_bidirectional: Literal[True] | None = None
    pool_att_h: Count | None = None

    @property
    def heard(self) -> Bands:
        return Bands(self.ms_hop_length, self.ms_win_length, self.ms_n_fft, self.ms_n_mels, self.ms_fmax)

    @property
    def longest(self) -> int:
        """Frames of the longest sound it may be given."""
        return self.ms_max_segments * self.ms_seg_hop_length + self.ms_seg_length - 1

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of its outputs, in their order."""
        return _gives(self.kind, self.name)

    def width(self) -> int:
        """Numbers that stand for one segment after the convolutions."""
        if self.cnn_fc_out_h:
            return self.cnn_fc_out_h
        bands, frames = ((self.cnn_pool_3 or (0, 0))[0], 1) if self.cnn_model == "adapt" else _STANDARD
        return self.cnn_c_out_3 * bands * frames

    def shapes(self) -> dict[str, Shape]:
        """Every weight of this network by name."""
        return {**_convolutions(self), **_sequence(self), **_pools(self)}


def gives(path: Path) -> tuple[str, ...]:
    """What the network in a file rates, told from the names in the file without importing torch.

    The pickle inside is listed operation by operation, and none is carried out.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            words = [word for _, word, _ in pickletools.genops(archive.read(listed)) if isinstance(word, str)]
        return _gives(words[words.index("model") + 1], words[words.index("name") + 1])
    except (OSError, ValueError, IndexError, StopIteration, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not {WHAT}", SOURCE) from error


def _gives(kind: str, name: str) -> tuple[str, ...]:
    if kind == "NISQA_DIM":
        return FIVE
    if kind == "NISQA":
        return ("voice_naturalness",) if "tts" in name.lower() else ("mos",)
    raise ValueError(kind)


def load(path: Path) -> Network:
    """The network in a file; nothing in the file is executed."""
    held = read(path, WHAT)
    try:
        design = msgspec.convert(held["args"], Design)
        table = held["model_state_dict"]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is not {WHAT}", SOURCE) from error
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: this network is not built like those of NISQA v2.0: {error}") from error
    return Network(design, weights_of(table, design.shapes(), path))


def _convolutions(design: Design) -> dict[str, Shape]:
    made: dict[str, Shape] = {}
    channels = (1, design.cnn_c_out_1, design.cnn_c_out_2, *(design.cnn_c_out_3,) * 4)
    for layer in _LAYERS:
        before, after = channels[layer - 1 : layer + 1]
        # The last layer of the adaptive design takes all frames that are left.
        wide = (design.cnn_pool_3 or (0, 0))[1] if _closing(design, layer) else 3
        made[f"cnn.model.conv{layer}.weight"] = (after, before, 3, wide)
        made[f"cnn.model.conv{layer}.bias"] = (after,)
        made |= {f"cnn.model.bn{layer}.{part}": (after,) for part in _NORM}
        made[f"cnn.model.bn{layer}.num_batches_tracked"] = ()
    if design.cnn_fc_out_h:
        made |= _linear(_reducer(design), msgspec.structs.replace(design, cnn_fc_out_h=None).width(), design.cnn_fc_out_h)
    return made


def _closing(design: Design, layer: int) -> bool:
    return design.cnn_model == "adapt" and layer == _LAYERS[-1]


def _reducer(design: Design) -> str:
    return "cnn.model.fc" if design.cnn_model == "adapt" else "cnn.model.fc_out"


def _sequence(design: Design) -> dict[str, Shape]:
    stem = "time_dependency.model"
    if design.td == "lstm":
        gates, held = 4 * (design.td_lstm_h or 0), design.td_lstm_h or 0
        parts = {"weight_ih": (gates, design.width()), "weight_hh": (gates, held), "bias_ih": (gates,), "bias_hh": (gates,)}
        return {f"{stem}.lstm.{part}_l0{way}": shape for way in ("", "_reverse") for part, shape in parts.items()}
    size = design.td_sa_d_model or 0
    made = {**_norm(f"{stem}.norm1", size), **_linear(f"{stem}.linear", design.width(), size)}
    for layer in (f"{stem}.layers.{number}" for number in range(design.td_sa_num_layers or 0)):
        made |= {f"{layer}.self_attn.in_proj_weight": (3 * size, size), f"{layer}.self_attn.in_proj_bias": (3 * size,)}
        made |= _linear(f"{layer}.self_attn.out_proj", size, size)
        made |= _linear(f"{layer}.linear1", size, design.td_sa_h or 0) | _linear(f"{layer}.linear2", design.td_sa_h or 0, size)
        made |= _norm(f"{layer}.norm1", size) | _norm(f"{layer}.norm2", size)
    return made


def _pools(design: Design) -> dict[str, Shape]:
    size = 2 * (design.td_lstm_h or 0) if design.td == "lstm" else design.td_sa_d_model or 0
    made: dict[str, Shape] = {}
    for stem in _stems(design):
        if design.pool == "last_step_bi":
            made |= _linear(f"{stem}.linear", size, 1)
        else:
            hidden = design.pool_att_h or 0
            made |= _linear(f"{stem}.linear1", size, hidden) | _linear(f"{stem}.linear2", hidden, 1)
            made |= _linear(f"{stem}.linear3", size, 1)
    return made


def _stems(design: Design) -> tuple[str, ...]:
    return tuple(f"pool_layers.{n}.model" for n in range(len(FIVE))) if design.kind == "NISQA_DIM" else ("pool.model",)


def _linear(stem: str, before: int, after: int) -> dict[str, Shape]:
    return {f"{stem}.weight": (after, before), f"{stem}.bias": (after,)}


def _norm(stem: str, size: int) -> dict[str, Shape]:
    return {f"{stem}.weight": (size,), f"{stem}.bias": (size,)}


class Network:
    """A network with its weights; one sound at a time, on the CPU."""

    def __init__(self, design: Design, weights: Mapping[str, Tensor]) -> None:
        self.design = design
        self._weights = weights
        self._filters = {layer: self._normed_filter(layer) for layer in _LAYERS}
        self._lstm = self._recurrent() if design.td == "lstm" else None

    def opinions(self, levels: NDArray[np.float32]) -> dict[str, float]:
        """What it says of levels of shape (bands, frames), at least one segment and at most `design.longest` frames of them."""
        import torch

        frames = levels.shape[1]
        if not self.design.ms_seg_length <= frames <= self.design.longest:
            raise ValueError(f"expected {self.design.ms_seg_length} to {self.design.longest} frames, got {frames}")
        cut = np.lib.stride_tricks.sliding_window_view(levels, self.design.ms_seg_length, axis=1)
        segments = cut[:, :: self.design.ms_seg_hop_length].transpose(1, 0, 2)[:, np.newaxis].copy()
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(segments), _BATCH)
            steps = self._over_time(torch.cat([self._convolved(batch) for batch in batches]))
            values = [float(self._pooled(steps, stem)) for stem in _stems(self.design)]
        return dict(zip(self.design.gives, values, strict=True))

    def _apply(self, stem: str, x: Tensor) -> Tensor:
        """The linear layer of this name."""
        return x @ self._weights[f"{stem}.weight"].T + self._weights[f"{stem}.bias"]

    def _normed(self, stem: str, x: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.layer_norm(x, x.shape[-1:], self._weights[f"{stem}.weight"], self._weights[f"{stem}.bias"])

    def _normed_filter(self, layer: int) -> tuple[Tensor, Tensor]:
        """Kernel and bias of a convolution with the normalisation that follows it, which is as linear as it is."""
        kernel, bias = (self._weights[f"cnn.model.conv{layer}.{part}"].double() for part in ("weight", "bias"))
        mean, variance, gain, shift = (self._weights[f"cnn.model.bn{layer}.{part}"].double() for part in _NORM)
        scale = gain / (variance + _LEAST_VARIANCE).sqrt()
        return (kernel * scale[:, None, None, None]).float(), ((bias - mean) * scale + shift).float()

    def _convolved(self, x: Tensor) -> Tensor:
        """Segments (n, 1, bands, frames) to (n, width)."""
        from torch.nn import functional

        for layer in _LAYERS:
            # Without padding in time the last layer of the adaptive design leaves a single frame.
            padding = (1, 0) if _closing(self.design, layer) else (1, 1)
            x = functional.conv2d(x, *self._filters[layer], padding=padding)
            x = functional.relu_(self._reduced(layer, x))  # the largest is the same before and after it
        x = x.flatten(1)
        return self._apply(_reducer(self.design), x) if self.design.cnn_fc_out_h else x

    def _reduced(self, layer: int, x: Tensor) -> Tensor:
        """Fewer bands and frames after the first, the second and the fourth layer."""
        from torch.nn import functional

        sizes = {1: self.design.cnn_pool_1, 2: self.design.cnn_pool_2, 4: self.design.cnn_pool_3}
        if layer not in sizes:
            return x
        if self.design.cnn_model == "adapt":
            bands, frames = sizes[layer] or (1, 1)
            return _largest(_largest(x, bands, 2), frames, 3)
        return functional.max_pool2d(x, 2, padding=(0, 1) if layer == 1 else 0)

    def _over_time(self, x: Tensor) -> Tensor:
        """Segments (n, width) that know of each other."""
        from torch.nn import functional

        if self._lstm is not None:
            return self._lstm(x[None])[0][0]  # type: ignore[no-any-return]
        x = self._normed("time_dependency.model.norm1", self._apply("time_dependency.model.linear", x))
        for number in range(self.design.td_sa_num_layers or 0):
            layer = f"time_dependency.model.layers.{number}"
            inner = x @ self._weights[f"{layer}.self_attn.in_proj_weight"].T + self._weights[f"{layer}.self_attn.in_proj_bias"]
            asks, keys, values = inner[None].chunk(3, dim=-1)
            seen = functional.scaled_dot_product_attention(asks, keys, values)[0]
            x = self._normed(f"{layer}.norm1", x + self._apply(f"{layer}.self_attn.out_proj", seen))
            wide = functional.relu(self._apply(f"{layer}.linear1", x))
            x = self._normed(f"{layer}.norm2", x + self._apply(f"{layer}.linear2", wide))
        return x

    def _recurrent(self) -> Any:
        import torch

        held = self.design.td_lstm_h or 0
        lstm = torch.nn.LSTM(self.design.width(), held, batch_first=True, bidirectional=True)
        stem = "time_dependency.model.lstm."
        lstm.load_state_dict({n.removeprefix(stem): w for n, w in self._weights.items() if n.startswith(stem)})
        return lstm.eval()

    def _pooled(self, x: Tensor, stem: str) -> Tensor:
        import torch

        if self.design.pool == "last_step_bi":
            held = x.shape[1] // 2  # numbers of each direction, which ends at its own end of the sequence
            return self._apply(f"{stem}.linear", torch.cat((x[-1, :held], x[0, held:])))
        weighed = self._apply(f"{stem}.linear2", torch.relu(self._apply(f"{stem}.linear1", x))).softmax(dim=0)
        return self._apply(f"{stem}.linear3", (weighed * x).sum(dim=0))


def _largest(x: Tensor, count: int, axis: int) -> Tensor:
    """The largest values of `count` stretches of an axis, which share their ends where it cannot be cut evenly.

    Those of `adaptive_max_pool2d`, which takes as long for them as the convolutions take.
    """
    import torch

    length = x.shape[axis]
    if length % count == 0:
        step = length // count
        return reduce(torch.maximum, (x[(*[slice(None)] * axis, slice(first, None, step))] for first in range(step)))
    stretches = (range(number * length // count, -(-(number + 1) * length // count)) for number in range(count))
    return torch.stack([reduce(torch.maximum, (x.select(axis, place) for place in places)) for places in stretches], axis)
