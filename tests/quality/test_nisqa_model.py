"""The networks of NISQA against the same networks in layers of torch, with random weights; and files that are refused."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from turnwise.foundation.errors import InputError
from turnwise.quality import nisqa_model

torch = pytest.importorskip("torch")

# What the published files say of themselves; sizes of the sequence model are made small where the design leaves them free.
HEARD = {
    "ms_sr": None,
    "ms_n_fft": 4096,
    "ms_hop_length": 0.01,
    "ms_win_length": 0.02,
    "ms_n_mels": 48,
    "ms_seg_length": 15,
    "tr_epochs": 500,  # of training, passed over
    "td_2": "skip",
    "cnn_kernel_size": (3, 3),
    "cnn_c_out_1": 4,
    "cnn_c_out_2": 6,
    "cnn_c_out_3": 8,
}
FIVE = {
    **HEARD,
    "model": "NISQA_DIM",
    "name": "NISQAv2",
    "ms_fmax": 20000,
    "ms_seg_hop_length": 4,
    "ms_max_segments": 20,
    "cnn_model": "adapt",
    "cnn_fc_out_h": None,
    "cnn_pool_1": [24, 7],
    "cnn_pool_2": [12, 5],
    "cnn_pool_3": [6, 3],
    "td": "self_att",
    "td_sa_d_model": 16,
    "td_sa_nhead": 1,
    "td_sa_pos_enc": False,
    "td_sa_num_layers": 2,
    "td_sa_h": 12,
    "td_lstm_h": None,
    "pool": "att",
    "pool_att_h": 10,
}
VOICE = {
    **HEARD,
    "model": "NISQA",
    "name": "NISQA_TTS_v1",
    "ms_fmax": 8000,
    "ms_seg_hop_length": 1,
    "ms_max_segments": 400,
    "cnn_model": "standard",
    "cnn_fc_out_h": 5,
    "cnn_pool_1": None,
    "td": "lstm",
    "td_sa_d_model": None,
    "td_lstm_h": 7,
    "td_lstm_num_layers": 1,
    "td_lstm_bidirectional": True,
    "pool": "last_step_bi",
    "pool_att_h": None,
}
ALONE = {**FIVE, "model": "NISQA", "name": "NISQAv2_mos"}


class Reference(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The design in torch's layers, named as the files name their weights."""

    def __init__(self, design: dict[str, Any]) -> None:
        super().__init__()
        nn = torch.nn
        self.design = design
        self.adapt, self.lstm = design["cnn_model"] == "adapt", design["td"] == "lstm"
        first, second, third = (design[f"cnn_c_out_{n}"] for n in (1, 2, 3))
        self.cnn = nn.Module()
        self.cnn.model = cnn = nn.Module()
        sizes = (1, first, second, third, third, third, third)
        for n in range(1, 7):
            last = self.adapt and n == 6
            setattr(cnn, f"conv{n}", nn.Conv2d(sizes[n - 1], sizes[n], 3, padding=(1, 0) if last else 1))
            setattr(cnn, f"bn{n}", nn.BatchNorm2d(sizes[n]))
        width = third * 6 if self.adapt else third * 12
        if design["cnn_fc_out_h"]:
            cnn.fc_out = nn.Linear(width, design["cnn_fc_out_h"])
            width = design["cnn_fc_out_h"]
        self.time_dependency = nn.Module()
        self.time_dependency.model = over = nn.Module()
        if self.lstm:
            over.lstm = nn.LSTM(width, design["td_lstm_h"], batch_first=True, bidirectional=True)
            size = 2 * design["td_lstm_h"]
        else:
            size = design["td_sa_d_model"]
            over.norm1, over.linear = nn.LayerNorm(size), nn.Linear(width, size)
            over.layers = nn.ModuleList(
                nn.TransformerEncoderLayer(size, 1, design["td_sa_h"], batch_first=True)
                for _ in range(design["td_sa_num_layers"])
            )
        heads = []
        for _ in range(5 if design["model"] == "NISQA_DIM" else 1):
            head = nn.Module()
            head.model = nn.Module()
            if self.lstm:
                head.model.linear = nn.Linear(size, 1)
            else:
                head.model.linear1, head.model.linear2 = nn.Linear(size, design["pool_att_h"]), nn.Linear(design["pool_att_h"], 1)
                head.model.linear3 = nn.Linear(size, 1)
            heads.append(head)
        if design["model"] == "NISQA_DIM":
            self.pool_layers = nn.ModuleList(heads)
        else:
            self.pool = heads[0]

    def forward(self, levels: Any) -> list[float]:
        design, nn, cnn = self.design, torch.nn, self.cnn.model
        segments = levels.T.unfold(0, design["ms_seg_length"], 1)[:: design["ms_seg_hop_length"]].unsqueeze(1)
        x = segments
        for n in range(1, 7):
            x = torch.relu(getattr(cnn, f"bn{n}")(getattr(cnn, f"conv{n}")(x)))
            if n in (1, 2, 4):
                size = design.get(f"cnn_pool_{(1, 2, None, 3)[n - 1]}")
                x = (nn.AdaptiveMaxPool2d(size) if self.adapt else nn.MaxPool2d(2, padding=(0, 1) if n == 1 else 0))(x)
        x = x.flatten(1)
        if design["cnn_fc_out_h"]:
            x = cnn.fc_out(x)
        over = self.time_dependency.model
        if self.lstm:
            _, (last, _) = over.lstm(x)
            return [float(self.pool.model.linear(last.flatten()))]
        x = over.norm1(over.linear(x))[None]
        for layer in over.layers:
            x = layer(x)
        values = []
        for head in self.pool_layers if design["model"] == "NISQA_DIM" else [self.pool]:
            share = head.model.linear2(torch.relu(head.model.linear1(x[0]))).softmax(0)
            values.append(float(head.model.linear3((share * x[0]).sum(0))))
        return values


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reference(design: dict[str, Any]) -> Reference:
    torch.manual_seed(5)
    made = Reference(design).eval()
    for buffer in made.buffers():  # what normalisation learned, so that it shows
        if buffer.dtype.is_floating_point:
            buffer.uniform_(0.5, 1.5)
    return made


def saved(design: dict[str, Any], path: Path, **changes: Any) -> Path:
    torch.save({"args": {**design, **changes}, "model_state_dict": reference(design).state_dict()}, path)
    return path


def levels(frames: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-80, 0, (48, frames)).astype(np.float32)


@pytest.mark.parametrize("design", [FIVE, VOICE, ALONE], ids=lambda design: design["name"])
@pytest.mark.parametrize("frames", [15, 16, 61, 91])
def test_opinions_are_those_of_the_same_network_in_torchs_layers(tmp_path: Path, design: dict[str, Any], frames: int) -> None:
    network = nisqa_model.load(saved(design, tmp_path / "w"))
    found = network.opinions(levels(frames))
    with torch.no_grad():
        expected = reference(design)(torch.from_numpy(levels(frames)))
    assert list(found.values()) == pytest.approx(expected, abs=1e-4)
    assert len({round(value, 3) for value in found.values()}) == len(found), "outputs that are equal would hide an order"


def test_the_outputs_have_the_order_of_the_file(tmp_path: Path) -> None:
    network = nisqa_model.load(saved(FIVE, tmp_path / "w"))
    assert list(network.opinions(levels(40))) == ["mos", "noi", "dis", "col", "loud"]


def test_batches_of_segments_leave_no_seam(tmp_path: Path) -> None:
    design = {**VOICE, "ms_max_segments": 600}
    network = nisqa_model.load(saved(design, tmp_path / "w"))
    with torch.no_grad():
        expected = reference(design)(torch.from_numpy(levels(360)))
    assert list(network.opinions(levels(360)).values()) == pytest.approx(expected, abs=1e-4)


def test_the_longest_sound_is_the_one_whose_segments_it_takes(tmp_path: Path) -> None:
    network = nisqa_model.load(saved(FIVE, tmp_path / "w"))
    assert network.design.longest == 20 * 4 + 14
    network.opinions(levels(94))
    for frames in (14, 95):
        with pytest.raises(ValueError, match="expected 15 to 94 frames"):
            network.opinions(levels(frames))


@pytest.mark.parametrize("design", [FIVE, VOICE, ALONE], ids=lambda design: design["name"])
def test_names_and_shapes_are_those_of_the_layers(tmp_path: Path, design: dict[str, Any]) -> None:
    network = nisqa_model.load(saved(design, tmp_path / "w"))
    state = {name: tuple(weight.shape) for name, weight in reference(design).state_dict().items()}
    assert network.design.shapes() == state


@pytest.mark.parametrize(
    ("design", "names"),
    [(FIVE, ("mos", "noi", "dis", "col", "loud")), (VOICE, ("voice_naturalness",)), (ALONE, ("mos",))],
    ids=["five", "voice", "alone"],
)
def test_what_a_file_gives_is_told_without_torch(tmp_path: Path, design: dict[str, Any], names: tuple[str, ...]) -> None:
    file = saved(design, tmp_path / "w")
    code = (
        "import sys; from pathlib import Path; from turnwise.quality.nisqa_model import gives;"
        "print(*gives(Path(sys.argv[1]))); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [" ".join(names), "False"]
    assert nisqa_model.load(file).design.gives == names


def test_a_weight_of_another_design_is_refused(tmp_path: Path) -> None:
    torch.save({"args": {**FIVE, "td_sa_h": 13}, "model_state_dict": reference(FIVE).state_dict()}, tmp_path / "w")
    with pytest.raises(InputError, match=r"layers.0.linear1.weight has the shape \(12, 16\), expected \(13, 16\)"):
        nisqa_model.load(tmp_path / "w")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"td": "gru"}, "td"),
        ({"ms_sr": 48000}, "ms_sr"),
        ({"cnn_kernel_size": (5, 5)}, "cnn_kernel_size"),
        ({"td_sa_nhead": 2}, "td_sa_nhead"),
        ({"td_sa_pos_enc": True}, "td_sa_pos_enc"),
        ({"ms_seg_hop_length": 0}, "ms_seg_hop_length"),
        ({"model": "NISQA_DE"}, "model"),
    ],
)
def test_another_design_is_refused_by_the_key(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"not built like those of NISQA v2.0.*{said}"):
        nisqa_model.load(saved(FIVE, tmp_path / "w", **changes))


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.ones(1)}, tmp_path / "other")
    (tmp_path / "text").write_text("hello")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    with pytest.raises(InputError, match="other is not a file of NISQA weights"):
        nisqa_model.load(tmp_path / "other")
    for name in ("other", "text", "zip", "absent"):
        with pytest.raises(InputError, match=f"{name} is not a file of NISQA weights"):
            nisqa_model.gives(tmp_path / name)
    with pytest.raises(InputError, match="is not a file of NISQA weights"):
        nisqa_model.gives(saved(FIVE, tmp_path / "w", model="NISQA_DE"))


@pytest.mark.parametrize(("length", "count"), [(48, 24), (15, 7), (7, 5), (5, 3), (5, 1), (4, 4), (13, 4)])
@pytest.mark.parametrize("axis", [2, 3])
def test_the_largest_of_stretches_are_torchs(length: int, count: int, axis: int) -> None:
    x = torch.randn((2, 3, length, 6) if axis == 2 else (2, 3, 6, length), generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.adaptive_max_pool2d(x, (count, 6) if axis == 2 else (6, count))
    assert torch.equal(nisqa_model._largest(x, count, axis), expected)
