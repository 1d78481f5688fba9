"""Which weights become the model of a stage: the choice, its reasons, and that no crash and no full disk changes it."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import tiny_describer
from tiny_describer import Quiet, caption, recipe, write_examples
from turnwise.foundation.errors import InputError, StorageError
from turnwise.listening.describer import DESCRIBERS
from turnwise.training import kept_models, loop
from turnwise.training.checkpoints import Checkpoints
from turnwise.training.describer_training import train_describer
from turnwise.training.growing_file import read_lines
from turnwise.training.kept_models import Chosen, KeptModels, Seen, chosen_of
from turnwise.training.loop import Line
from turnwise.training.model_folder import ModelFolder

torch.set_num_threads(1)
# Six steps that learn the training's ratings by heart: on what is held out the loss falls, then rises.
STAGE = {"epochs": 6, "batch": 4, "rate": 4e-2, "warmup": 0.0, "validate_every": 1, "save_every": 3, "keep": 6}


def weights(folder: Path, name: str = "adapter_model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def held_out(stage: Path) -> list[float]:
    return [line.loss for line in read_lines(stage / "log.jsonl", Line) if line.held_out and not line.chosen]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kept")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    train = [caption(f"t{k}", 1.5 + k) for k in range(4)]
    write_examples(root / "examples.jsonl", [*train, caption("v0", 4.9, "validation", answer="It is not bad. MOS: 4.9")])
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that keeps a checkpoint of every step."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    train_describer(recipe(root, sft={**STAGE, "save_every": 1}), out, resume=False, watch=Quiet())
    return out


def test_the_step_with_the_lowest_held_out_loss_becomes_the_model(undisturbed: Path) -> None:
    stage = undisturbed / "sft"
    losses = held_out(stage)
    best = losses.index(min(losses)) + 1
    assert 1 <= best < 6 == len(losses)  # else this shows nothing
    chosen = chosen_of(stage)
    assert chosen == Chosen("best", best, 6, losses[best - 1], Seen(6, best, losses[best - 1], losses[-1]))
    assert same(stage / "model", stage / "best")
    assert not same(stage / "model", stage / "last")
    for step, folder in ((best, "model"), (6, "last")):
        held = weights(stage / "checkpoints" / f"step-{step:08d}", "model.safetensors")
        kept = weights(stage / folder)
        assert len(kept) == len(held)
        for key, value in kept.items():
            assert torch.equal(value, held["network." + key.replace(".weight", ".default.weight")])
    # The adapter alone, and once on the disk.
    assert (stage / "model" / "adapter_model.safetensors").samefile(stage / "best" / "adapter_model.safetensors")
    assert not list(stage.rglob("model.safetensors.index.json"))
    assert {path.name for path in stage.glob("*/*.safetensors")} == {"adapter_model.safetensors"}


def test_the_log_and_the_folder_say_why(undisturbed: Path) -> None:
    stage = undisturbed / "sft"
    *_, line = read_lines(stage / "log.jsonl", Line)
    chosen = chosen_of(stage)
    assert chosen is not None
    assert (line.chosen, line.step, line.loss, line.held_out) == (chosen.why, chosen.step, chosen.loss, True)
    said = json.loads((stage / "chosen.json").read_text())
    assert (said["rule"], said["step"], said["steps"]) == ("best", chosen.step, 6)


def test_each_is_a_model_that_can_be_used(undisturbed: Path) -> None:
    for name in ("best", "last", "model"):
        DESCRIBERS.build("trained", {"model": str(undisturbed / "sft" / name), "most_tokens": 2}).open().close()


def test_the_recipe_may_ask_for_the_last_step(root: Path, undisturbed: Path, tmp_path: Path) -> None:
    made = recipe(root, sft={**STAGE, "export": "last"})
    train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    stage, other = tmp_path / "out" / "sft", undisturbed / "sft"
    assert same(stage / "model", other / "last")
    assert same(stage / "best", other / "best")
    chosen = chosen_of(stage)
    assert chosen is not None
    assert (chosen.rule, chosen.step, chosen.loss) == ("last", 6, held_out(other)[-1])


@pytest.mark.parametrize("export", ["best", "last"])
def test_alld_goes_on_from_the_chosen_one(root: Path, undisturbed: Path, tmp_path: Path, export: str) -> None:
    """With a rate of nearly nothing its weights stay those it began with."""
    alld = {"epochs": 1, "batch": 4, "rate": 1e-12, "own_tokens": 4}
    made = recipe(root, sft={**STAGE, "export": export}, alld=alld)
    aligned = train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    found, expected = weights(aligned), weights(undisturbed / "sft" / export)
    assert all(torch.allclose(found[key], expected[key], atol=1e-9) for key in expected)


def test_whole_models_are_kept_whole(root: Path, tmp_path: Path) -> None:
    stage = {"epochs": 2, "batch": 4, "rate": 3e-2, "warmup": 0.0, "validate_every": 1, "export": "last"}
    made = recipe(root, model={"tune": "full"}, sft=stage)
    model = train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    best, last = (weights(model.parent / name, "model.safetensors") for name in ("best", "last"))
    assert best.keys() == last.keys() == weights(root / "base", "model.safetensors").keys()
    assert json.loads((model / "config.json").read_text())["use_cache"] is True
    assert json.loads((model / "describer.json").read_text())["tuned"] == "full"


# ---------------------------------------------------------------- crashes


class PowerCutError(Exception):
    """Nothing of ours catches it."""


def dies(of: type, method: str, at: int, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `at`-th call of a method is the last thing that happens, or is never made."""
    plain: Callable[..., Any] = getattr(of, method)
    calls = iter(range(1, 1000))

    def fatal(self: Any, *given: Any, **more: Any) -> Any:
        last = next(calls) == at
        if last and when == "before":
            raise PowerCutError
        result = plain(self, *given, **more)
        if last:
            raise PowerCutError
        return result

    monkeypatch.setattr(of, method, fatal)


@pytest.mark.parametrize(
    ("of", "method", "at", "when"),
    [
        (KeptModels, "keep_best", 1, "after"),  # before any checkpoint
        (Checkpoints, "save", 2, "before"),  # whatever was the best since the checkpoint before
        (ModelFolder, "write", -1, "after"),  # that of the last step, before anything is chosen
        (KeptModels, "_copy", 1, "before"),
        (KeptModels, "_copy", 1, "after"),  # the model is there, the log says nothing of it
    ],
)
def test_a_crash_changes_no_choice(
    root: Path,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of: type,
    method: str,
    at: int,
    when: str,
) -> None:
    losses = held_out(undisturbed / "sft")
    written = sum(loss < min([*losses[:k], float("inf")]) for k, loss in enumerate(losses)) + 1
    made, out = recipe(root, sft=STAGE), tmp_path / "out"
    with monkeypatch.context() as until:
        dies(of, method, at if at > 0 else written, when, until)
        with pytest.raises(PowerCutError):
            train_describer(made, out, resume=False, watch=Quiet())
    train_describer(made, out, resume=True, watch=Quiet())
    stage, other = out / "sft", undisturbed / "sft"
    for name in ("best", "last", "model"):
        assert same(stage / name, other / name), name
    assert chosen_of(stage) == chosen_of(other)
    assert held_out(stage) == losses
    if (method, when) != ("_copy", "after"):
        assert (stage / "log.jsonl").read_text().count('"chosen"') == 1


def test_a_best_model_that_the_checkpoint_does_not_know_is_forgotten(
    root: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the steps after a checkpoint may go another way: what they gave the first time does not count."""
    made, out = recipe(root, sft={**STAGE, "save_every": 1}), tmp_path / "out"
    losses = held_out(undisturbed / "sft")
    best = losses.index(min(losses)) + 1
    with monkeypatch.context() as until:
        dies(Checkpoints, "save", best, "before", until)
        with pytest.raises(PowerCutError):
            train_describer(made, out, resume=False, watch=Quiet())
    assert same(out / "sft" / "best", undisturbed / "sft" / "best")
    plain = loop.validate

    def worse(run: Any, model: Any, objective: Any, held: Any, step: int) -> Line:
        import msgspec

        line = plain(run, model, objective, held, step)
        return msgspec.structs.replace(line, loss=line.loss + 100.0)

    monkeypatch.setattr(loop, "validate", worse)
    train_describer(made, out, resume=True, watch=Quiet())
    chosen = chosen_of(out / "sft")
    assert chosen is not None
    assert chosen.step != best
    assert not same(out / "sft" / "model", undisturbed / "sft" / "best")


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond this many bytes: what writes more is told so, as by a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.bin", "adapter_model.safetensors"])
def test_a_full_disk_leaves_the_checkpoint_before(
    root: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """Each of the libraries that write has its own words for it."""
    checkpoint = undisturbed / "sft" / "checkpoints" / "step-00000003"
    size = {path.name: path.stat().st_size for path in (*checkpoint.glob("*.*"), *checkpoint.glob("best/*.safetensors"))}
    assert size["optimizer.bin"] > size["model.safetensors"] + 1
    of, method = (ModelFolder, "write") if file.startswith("adapter") else (Checkpoints, "save")
    plain: Callable[..., Any] = getattr(of, method)
    calls = iter(range(1, 1000))

    def crowded(self: Any, *given: Any) -> Any:
        if next(calls) < 2:
            return plain(self, *given)
        with disk_of(size[file] - 1):
            return plain(self, *given)

    made, out = recipe(root, sft={**STAGE, "save_every": 1}), tmp_path / "out"
    with monkeypatch.context() as until:
        until.setattr(of, method, crowded)
        with pytest.raises(StorageError, match=r"cannot be written: .*(File too large|torch could not write)") as caught:
            train_describer(made, out, resume=False, watch=Quiet())
    assert "--resume" in caught.value.hint
    assert not list(out.rglob("*.part"))
    assert (out / "sft" / "checkpoints" / "step-00000001" / "position.json").is_file()
    train_describer(made, out, resume=True, watch=Quiet())
    assert same(out / "sft" / "model", undisturbed / "sft" / "model")


# ---------------------------------------------------------------- words


def test_of_equal_losses_the_first_counts() -> None:
    seen = Seen()
    for step, loss in enumerate((3.0, 2.0, 2.0, 4.0), start=1):
        seen = seen.after(step, loss, seen.lower(loss))
    assert seen == Seen(4, 2, 2.0, 4.0)


LAST = "step 4 of 4, the last, as the recipe asks: "


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (Chosen("best", 4, 4, 2.0, Seen(3, 4, 2.0, 2.0)), "step 4 of 4: the lowest of 3 held-out losses, 2.0000"),
        (Chosen("best", 4, 4, 2.0, Seen(1, 4, 2.0, 2.0)), "step 4 of 4: the only held-out loss, 2.0000"),
        (
            Chosen("best", 2, 4, 2.0, Seen(4, 2, 2.0, 4.5)),
            "step 2 of 4: the lowest of 4 held-out losses, 2.0000 (the last step's: 4.5000)",
        ),
        (
            Chosen("last", 4, 4, 4.5, Seen(4, 2, 2.0, 4.5)),
            f"{LAST}4.5000 on what was held out; the lowest of 4 held-out losses was 2.0000, of step 2",
        ),
        (Chosen("last", 4, 4, 2.0, Seen(4, 4, 2.0, 2.0)), f"{LAST}2.0000 on what was held out"),
    ],
)
def test_the_reason_is_a_sentence(chosen: Chosen, why: str) -> None:
    assert chosen.why == why


def test_a_stage_that_is_not_done_has_chosen_nothing(tmp_path: Path) -> None:
    assert chosen_of(tmp_path) is None
    (tmp_path / "model").mkdir()
    assert chosen_of(tmp_path) is None
    (tmp_path / "chosen.json").write_text("{")
    with pytest.raises(InputError, match=r"chosen.json cannot be read"):
        chosen_of(tmp_path)
    assert kept_models.Seen().lower(1e9)
