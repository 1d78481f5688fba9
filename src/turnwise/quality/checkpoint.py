"""A torch file of weights, read as data and compared with what a network asks for, name by name."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnwise.foundation.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

# What the restricted reader of torch raises at bytes that are not its own.
_NO_WEIGHTS = (
    pickle.UnpicklingError,
    struct.error,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read(path: Path, what: str) -> Any:
    """What a file of torch holds; nothing in it is executed. `what` says what the file should be."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except _NO_WEIGHTS as error:
        raise InputError(f"{path} is not {what}: torch cannot read it as weights") from error


def weights_of(held: Any, shapes: Mapping[str, Shape], path: Path) -> dict[str, Tensor]:
    """The weights of a network with these shapes: all of them, no others, finite numbers."""
    import torch

    if not isinstance(held, Mapping) or not all(isinstance(weight, torch.Tensor) for weight in held.values()):
        raise InputError(f"{path} holds no table of weights by name")
    weights = {str(name): weight.detach() for name, weight in held.items()}
    wrong = differences(shapes, {name: tuple(weight.shape) for name, weight in weights.items()})
    if wrong:
        raise InputError(f"{path} holds the weights of another network: {wrong}")
    if not all(bool(torch.isfinite(weight).all()) for weight in weights.values()):
        raise InputError(f"{path} holds weights that are not finite numbers", "fetch the file again")
    return weights


def differences(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> str:
    """The first weight that is missing, unknown or of another shape, in words; "" where all agree."""
    for name, shape in expected.items():
        if name not in found:
            return f"{name} is missing"
        if found[name] != shape:
            return f"{name} has the shape {found[name]}, expected {shape}"
    strange = sorted(found.keys() - expected.keys())
    return f"{strange[0]} is not known" if strange else ""
