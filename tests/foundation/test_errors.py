"""Errors are sentences, and arrive whole from another process."""

from __future__ import annotations

import pickle

import pytest

from turnwise.foundation.errors import EngineError, InputError, MissingDependency, StorageError, TurnwiseError
from turnwise.foundation.secrets import without_secrets


@pytest.mark.parametrize(
    "error",
    [
        InputError("a is wrong", "make it right"),
        StorageError("full"),
        EngineError("timeout", "took 9 s"),
        MissingDependency("av", "pip install av"),
    ],
)
def test_errors_survive_a_process_border(error: TurnwiseError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.__dict__ == error.__dict__
    assert str(again) == str(error)


def test_exit_codes() -> None:
    assert InputError("x").exit_code == 2
    assert EngineError("x", "y").exit_code == 3


def test_secrets_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abcdefgh12345678")
    monkeypatch.setenv("SHORT_KEY", "the")
    said = without_secrets("401 for abcdefgh12345678 and sk-ABCDEFGHIJKLMNOPQRSTU, the end")
    assert said == "401 for [OPENAI_API_KEY] and [secret], the end"
