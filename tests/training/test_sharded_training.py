"""FSDP: two processes that hold the weights in pieces do what one does, go on after SIGKILL, and leave a whole model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import tiny_describer
from tiny_describer import caption, comparison, write_examples
from turnwise.cli.main import turnwise
from turnwise.listening.describer import DESCRIBERS
from turnwise.training.growing_file import read_lines
from turnwise.training.loop import Line
from turnwise.training.own_answers import Own
from two_processes import command, together

torch.set_num_threads(1)
RECIPE = """
name = "tiny"
seed = 1
workers = 0
checkpointing = {checkpointing}
[model]
base = "base"
tune = "{tune}"
dropout = 0.0
[sft]
epochs = 4
batch = {batch}
accumulate = {accumulate}
rate = 1e-3
save_every = 2
validate_every = 2
kinds = ["caption"]
"""
ALLD = '[alld]\nepochs = 1\nbatch = {batch}\nrate = 1e-3\nreference = "expert"\nown_tokens = 6\nown_batch = 2\n'


def described(tune: str, batch: int, accumulate: int) -> str:
    """Whole tuning counts its gradients over two batches; the adapter goes through both stages."""
    text = RECIPE.format(tune=tune, batch=batch, accumulate=accumulate, checkpointing="true" if tune == "full" else "false")
    return text + (ALLD.format(batch=batch * accumulate) if tune == "lora" else "")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, two processes, and two that were killed and gone on with."""
    root = tmp_path_factory.mktemp("sharded")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    train = [caption(f"t{k}", 1.0 + k, answer="Noisy. " * k + f"MOS: {1.0 + k}") for k in range(4)]
    held = [caption(f"v{k}", 2.0 + k, "validation") for k in range(3)]
    write_examples(root / "examples.jsonl", [*train, comparison("p", train[0], train[3]), *held])

    def trains(recipe: str, out: str, *more: str) -> list[str]:
        return ["train", "describer", str(root / recipe), "--out", str(root / out), *more]

    for tune, accumulate in (("full", 2), ("lora", 1)):
        (root / f"one.{tune}.toml").write_text(described(tune, 4, 1))
        (root / f"two.{tune}.toml").write_text(described(tune, 2 // accumulate, accumulate))
        result = CliRunner().invoke(turnwise, trains(f"one.{tune}.toml", f"one.{tune}"), catch_exceptions=False)
        assert result.exit_code == 0
    begun = together(
        root,
        command(*trains("two.full.toml", "two.full")),
        command(*trains("two.full.toml", "killed.full"), dies_after=("sft", 3), how="kill"),
        sharded=True,
    )
    assert [process.code for process in begun] == [-9, -9], begun[0].stderr[-3000:]
    assert [process.stdout.count("the model is in") for process in begun] == [1, 0]
    ended = together(
        root,
        command(*trains("two.full.toml", "killed.full", "--resume")),
        command(*trains("two.lora.toml", "two.lora"), dies_after=("sft", 3)),
        command(*trains("two.lora.toml", "two.lora", "--resume")),
        sharded=True,
    )
    assert [process.code for process in ended] == [0, 0], ended[0].stderr[-3000:] + ended[1].stderr[-3000:]
    assert ended[0].stdout.count("the model is in") == 2
    assert ended[1].stdout == ""
    return root


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def log(stage: Path) -> list[Line]:
    return read_lines(stage / "log.jsonl", Line)


def close(one: Path, two: Path, tolerance: float) -> bool:
    first, second = weights(one), weights(two)
    return first.keys() == second.keys() and all(torch.allclose(first[k], second[k], rtol=0, atol=tolerance) for k in first)


@pytest.mark.parametrize(("tune", "stage", "steps"), [("full", "sft", 4), ("lora", "sft", 4), ("lora", "alld", 2)])
def test_weights_in_pieces_learn_the_same(root: Path, tune: str, stage: str, steps: int) -> None:
    """To 1e-5, where a step changes weights by up to 1e-3."""
    one, two = (root / f"{name}.{tune}" / stage for name in ("one", "two"))
    assert [(line.step, line.held_out, line.units) for line in log(one)] == [
        (line.step, line.held_out, line.units) for line in log(two)
    ]
    assert [line.loss for line in log(two)] == pytest.approx([line.loss for line in log(one)], abs=1e-4)
    assert [line.norm for line in log(two)] == pytest.approx([line.norm for line in log(one)], rel=1e-3)
    assert sum(not line.held_out for line in log(two)) == steps
    for name in ("best", "last", "model"):
        assert close(one / name, two / name, 1e-5), name
    moved = weights(two / "model")
    before = weights(root / "base") if tune == "full" else weights(one.parent / "sft" / "model") if stage == "alld" else {}
    assert not before or any(not torch.equal(moved[key], before[key]) for key in before)
    assert json.loads((two / "checkpoints" / f"step-{steps:08d}" / "position.json").read_text())["form"] == "FSDP"


def test_killed_and_gone_on_with(root: Path) -> None:
    """To the last bit, and with the same choice and log."""
    killed, undisturbed = root / "killed.full" / "sft", root / "two.full" / "sft"
    for name in ("best", "last", "model"):
        assert close(killed / name, undisturbed / name, 0.0), name
    assert (killed / "chosen.json").read_text() == (undisturbed / "chosen.json").read_text()
    assert [(line.key, line.loss) for line in log(killed)] == [(line.key, line.loss) for line in log(undisturbed)]


def test_what_was_gathered_is_a_model_like_any_other(root: Path) -> None:
    one, two = root / "one.full" / "sft" / "model", root / "two.full" / "sft" / "model"
    assert (one / "config.json").read_text() == (two / "config.json").read_text()
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    for model in (two, root / "two.lora" / "alld" / "model"):
        opened: Any = DESCRIBERS.build("trained", {"model": str(model), "most_tokens": 3}).open()
        opened.close()


def test_own_answers_are_those_that_one_process_gives(root: Path) -> None:
    """Each process has batches of its own; an answer depends on its batch, and not on who gives it."""

    def own(out: str) -> list[list[Own]]:
        return [read_lines(path, Own) for path in sorted((root / out / "alld").glob("own.*.jsonl"))]

    (one,), two = own("one.lora"), own("two.lora")
    assert len(two) == 2
    assert all(two)
    assert {each.id: each for part in two for each in part}.keys() == {each.id for each in one}
