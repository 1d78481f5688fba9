"""The loop: order and rate as functions of the step, a training that is killed and goes on, and the same step cut otherwise."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

import tiny_describer
from tiny_describer import Quiet, caption, comparison, recipe, write_examples
from turnwise.foundation.errors import EngineError, InputError
from turnwise.training import loop
from turnwise.training.describer_training import train_describer
from turnwise.training.growing_file import read_lines
from turnwise.training.kept_models import KeptModels
from turnwise.training.loop import Line, items_of_step, learning_rate, steps_of
from turnwise.training.objectives import Fitting
from turnwise.training.recipe import Sft, load_recipe

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, an expert, ten items to train on and three held out."""
    root = tmp_path_factory.mktemp("loop")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    train = [caption(f"t{k}", 1.0 + 0.5 * k) for k in range(8)]
    held = [caption(f"v{k}", 1.5 + k, "validation") for k in range(2)]
    pairs = [comparison("p0", train[0], train[5]), comparison("p1", train[6], train[2]), comparison("pv", *held)]
    write_examples(root / "examples.jsonl", [*train, *pairs, *held])
    return root


def weights(model: Path) -> dict[str, torch.Tensor]:
    (file,) = model.glob("*.safetensors")
    return load_file(file)


def told(folder: Path) -> list[Line]:
    """The log without its seconds, and without the choice at its end."""
    lines = read_lines(folder / "log.jsonl", Line)
    return [msgspec.structs.replace(line, seconds=0.0) for line in lines if not line.chosen]


def test_the_rate_rises_and_falls() -> None:
    stage = Sft(rate=1.0, warmup=0.1, floor=0.1)
    rates = [learning_rate(stage, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[99] == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * 89 / 90)))
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert learning_rate(Sft(rate=1.0, warmup=0.0), 0, 1) == 1.0


def test_every_epoch_has_every_item_once_in_an_order_of_its_own() -> None:
    places = [k for step in range(15) for k in items_of_step(step, 4, 20, 7, "sft")]
    epochs = [places[first : first + 20] for first in (0, 20, 40)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert items_of_step(3, 4, 20, 7, "sft") == places[12:16]
    assert items_of_step(3, 4, 20, 8, "sft") != places[12:16]
    assert items_of_step(3, 4, 20, 7, "alld") != places[12:16]


def stopped(command: list[str], out: Path, lines: int, number: signal.Signals) -> tuple[int, str]:
    """Exit code and standard error of a training that is sent a signal once its log has so many lines."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        log = out / "sft" / "log.jsonl"
        until = time.monotonic() + 120
        while process.poll() is None and (not log.is_file() or log.read_bytes().count(b"\n") < lines):
            assert time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(number)
        _, errors = process.communicate()
    return process.returncode, errors


def test_a_killed_training_goes_on_to_the_same_weights(root: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch, then --resume: weights and log are those of a training that nothing happened to."""
    stage = {"epochs": 4, "batch": 1, "accumulate": 2, "rate": 3e-3, "save_every": 4, "validate_every": 3}
    text = f"""
name = "tiny"
seed = 1
workers = 2
[data]
examples = {json.dumps(str(root / "examples.jsonl"))}
[model]
base = {json.dumps(str(root / "base"))}
dropout = 0.2
[sft]
""" + "".join(f"{key} = {value}\n" for key, value in stage.items())
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    made = load_recipe(path)
    undisturbed = train_describer(made, tmp_path / "undisturbed", resume=False, watch=Quiet())

    killed = tmp_path / "killed"
    begin = [sys.executable, "-m", "turnwise", "train", "describer", str(path), "--out", str(killed)]
    # Ctrl-C before the first checkpoint, then SIGKILL after it.
    code, errors = stopped(begin, killed, 2, signal.SIGINT)
    assert (code, "Traceback" in errors) == (130, False), errors[-2000:]
    assert "stopped; what was done is kept: run the same command again with --resume to go on" in errors
    code, errors = stopped([*begin, "--resume"], killed, 8, signal.SIGKILL)
    assert code == -signal.SIGKILL, errors[-2000:]
    assert not (killed / "sft" / "model").exists()
    steps = sorted(path.name for path in (killed / "sft" / "checkpoints").glob("step-*"))
    assert "step-00000004" in steps
    with pytest.raises(InputError, match="holds a training already"):
        train_describer(made, killed, resume=False, watch=Quiet())

    watch = Quiet()
    resumed = train_describer(made, killed, resume=True, watch=watch)
    what, done, of = watch.began[-1]
    assert (what, of) == ("sft", 20)
    assert 4 <= done < 20
    expected, found = weights(undisturbed), weights(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert any(value.abs().max() > 0 for key, value in found.items() if "lora_B" in key)
    assert told(killed / "sft") == told(tmp_path / "undisturbed" / "sft")
    assert [line.step for line in told(killed / "sft") if line.held_out] == [3, 6, 9, 12, 15, 18, 20]


def test_a_torn_checkpoint_and_a_missing_weight(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash left half written is not gone on from; a checkpoint that lacks a weight is refused."""
    made = recipe(root, sft={"epochs": 1, "batch": 4, "save_every": 1, "keep": 2, "kinds": ["caption"]})

    def dies(*parts: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(KeptModels, "choose", dies)
    out = tmp_path / "out"
    with pytest.raises(RuntimeError, match="power cut"):
        train_describer(made, out, resume=False, watch=Quiet())
    checkpoints = out / "sft" / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-00000001", "step-00000002"]
    (checkpoints / "step-00000002" / "position.json").rename(checkpoints / "lost")
    watch = Quiet()
    with pytest.raises(RuntimeError, match="power cut"):
        train_describer(made, out, resume=True, watch=watch)
    assert watch.began == [("sft", 1, 2)]

    from safetensors.torch import save_file

    file = checkpoints / "step-00000002" / "model.safetensors"
    held = load_file(file)
    assert all("lora_" in key for key in held)  # the base is not in it
    held.pop(min(held))
    save_file(held, file)
    with pytest.raises(InputError, match=r"holds \d+ weights, and \d+ are trained here"):
        train_describer(made, out, resume=True, watch=Quiet())


def test_a_step_cut_into_batches_is_the_same_step(root: Path, tmp_path: Path) -> None:
    """Every token weighs the same, however long the other answers of its batch are."""
    found: list[Mapping[str, Any]] = []
    for batch, accumulate in ((4, 1), (2, 2), (1, 4)):
        stage = {"epochs": 1, "batch": batch, "accumulate": accumulate, "rate": 1e-3}
        made = recipe(root, model={"dropout": 0.0}, sft=stage)
        out = tmp_path / f"{batch}"
        found.append(weights(train_describer(made, out, resume=False, watch=Quiet())))
        lines = told(out / "sft")
        assert [(line.step, line.held_out) for line in lines] == [(1, False), (2, False), (3, False), (3, True)]
    for other in found[1:]:
        assert all(torch.allclose(found[0][key], other[key], atol=2e-5) for key in other)


class Flat(torch.autograd.Function):
    """Adds nothing to a loss and something that is no number to its gradient, as the root of nothing does."""

    @staticmethod
    def forward(context: Any, loss: torch.Tensor) -> torch.Tensor:
        return loss.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * math.nan


def test_a_gradient_that_is_no_number_is_not_kept(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of that step is a number still; its checkpoint would be gone on with for ever."""
    plain = Fitting.loss

    def spoilt(self: Fitting, scorer: Any, ready: Any) -> Any:
        loss, more = plain(self, scorer, ready)
        return Flat.apply(loss), more  # type: ignore[no-untyped-call]

    made = recipe(root, sft={"epochs": 1, "batch": 4, "save_every": 1})
    with monkeypatch.context() as until:
        until.setattr(Fitting, "loss", spoilt)
        with pytest.raises(EngineError, match="sft: the gradient of step 1 is nan") as caught:
            train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    assert caught.value.cause == "not-a-number"
    assert not (tmp_path / "out" / "sft" / "checkpoints").exists()
    train_describer(made, tmp_path / "out", resume=True, watch=Quiet())


def test_a_held_out_loss_that_is_no_number(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Fitting.loss

    def spoilt(self: Fitting, scorer: Any, ready: Any) -> Any:
        loss, more = plain(self, scorer, ready)
        return (loss if scorer.training else loss * math.nan), more

    monkeypatch.setattr(Fitting, "loss", spoilt)
    made = recipe(root, sft={"epochs": 1, "batch": 4, "validate_every": 1})
    with pytest.raises(EngineError, match="sft: the held-out loss of step 1 is nan"):
        train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    assert [line.held_out for line in told(tmp_path / "out" / "sft")] == [False]


def test_a_step_that_fp16_leaves_out_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scale is halved and training goes on, until the scale is next to nothing."""
    from accelerate import Accelerator

    monkeypatch.setattr(Accelerator, "optimizer_step_was_skipped", property(lambda self: True))
    scaler = SimpleNamespace(get_scale=lambda: 2.0**15)
    plain = Accelerator.clip_grad_norm_
    monkeypatch.setattr(Accelerator, "clip_grad_norm_", lambda self, *given: plain(self, *given) * math.inf)
    monkeypatch.setattr(loop, "_scaler", lambda accelerator: scaler)
    made = recipe(root, sft={"epochs": 1, "batch": 4})
    train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    steps = [line for line in told(tmp_path / "out" / "sft") if not line.held_out]
    assert [(line.skipped, line.norm) for line in steps] == [(True, 0.0)] * 3
    scaler.get_scale = lambda: 2.0**-11
    with pytest.raises(EngineError, match="the gradient of step 1 is inf"):
        train_describer(made, tmp_path / "other", resume=False, watch=Quiet())


def test_epochs_are_the_number_that_was_written() -> None:
    """0.1 x 30 is a little more than 3 in binary numbers."""
    assert steps_of(Sft(epochs=0.1), 30, 1) == 3
    assert steps_of(Sft(epochs=1.1), 10, 1) == 11
    assert steps_of(Sft(epochs=2.0), 10_000, 32) == 625
    assert steps_of(Sft(epochs=0.001), 10, 8) == 1


def test_a_loss_that_is_no_number_stops_the_training(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Fitting.loss
    steps = iter([1.0, math.nan])

    def spoilt(self: Fitting, scorer: Any, ready: Any) -> Any:
        loss, more = plain(self, scorer, ready)
        return loss * next(steps), more

    monkeypatch.setattr(Fitting, "loss", spoilt)
    made = recipe(root, sft={"epochs": 1, "batch": 4, "save_every": 1})
    with pytest.raises(EngineError, match="sft: the loss of step 2 is nan") as caught:
        train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    assert caught.value.cause == "not-a-number"
    assert not (tmp_path / "out" / "sft" / "model").exists()
    assert [line.step for line in told(tmp_path / "out" / "sft")] == [1]
