"""Files of weights: nothing in them is executed, and they hold exactly what a network asks for."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from turnwise.foundation.errors import InputError
from turnwise.quality.checkpoint import differences, read, weights_of

torch = pytest.importorskip("torch")

SHAPES = {"a.weight": (2, 3), "a.bias": (2,), "count": ()}


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def table() -> dict[str, Any]:
    return {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2), "count": torch.tensor(0)}


def test_what_torch_saved_is_read(tmp_path: Path) -> None:
    torch.save(table(), tmp_path / "w")
    found = weights_of(read(tmp_path / "w", "a test"), SHAPES, tmp_path / "w")
    assert list(found) == list(SHAPES) and found["a.weight"].shape == (2, 3)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_nothing_in_a_file_is_executed(tmp_path: Path, how: str) -> None:
    mark, file = tmp_path / "mark", tmp_path / "w"
    if how == "torch":
        torch.save({"a.weight": Evil(mark)}, file)
    else:
        file.write_bytes(pickle.dumps(Evil(mark), protocol=2))
    with pytest.raises(InputError, match="is not a file of NISQA weights: torch cannot read it as weights"):
        read(file, "a file of NISQA weights")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists(), "the file would have done something"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"words"])
def test_what_is_no_file_of_torch_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(InputError, match=r"w is not a test: torch cannot read it"):
        read(tmp_path / "w", "a test")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path, "a test")


def test_half_a_file_is_told(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(table(), buffer)
    (tmp_path / "w").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(InputError, match="torch cannot read it"):
        read(tmp_path / "w", "a test")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a.bias": None}, "a.bias is missing"),
        ({"b.bias": torch.zeros(1)}, "b.bias is not known"),
        ({"a.weight": torch.ones(3, 2)}, r"a.weight has the shape \(3, 2\), expected \(2, 3\)"),
        ({"a.bias": torch.tensor([0.0, float("nan")])}, "not finite"),
        ({"a.bias": [0.0, 0.0]}, "holds no table of weights"),
    ],
)
def test_one_weight_too_few_too_many_or_different_is_an_error(change: dict[str, Any], said: str) -> None:
    held = {name: weight for name, weight in {**table(), **change}.items() if weight is not None}
    with pytest.raises(InputError, match=said):
        weights_of(held, SHAPES, Path("w"))


def test_what_is_no_table_is_told() -> None:
    with pytest.raises(InputError, match="holds no table of weights"):
        weights_of([torch.ones(1)], SHAPES, Path("w"))


def test_differences_name_the_first() -> None:
    assert differences(SHAPES, SHAPES) == ""
    assert differences(SHAPES, {**SHAPES, "z": (), "b": ()}) == "b is not known"
