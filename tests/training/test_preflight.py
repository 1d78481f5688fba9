"""What can be seen before weights are loaded is said before: every mistake of a recipe in one sentence, in no time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

import tiny_describer
from tiny_describer import Quiet, caption, comparison, recipe, write_examples
from turnwise.foundation.audio_files import write_sound
from turnwise.foundation.errors import InputError
from turnwise.training import describer_training, reference
from turnwise.training.describer_training import foresee_describer, train_describer
from turnwise.training.preflight import Foreseen, questions_of
from turnwise.training.recipe import Recipe

torch.set_num_threads(1)
STAGES: dict[str, Any] = {
    "sft": {"epochs": 2, "batch": 2, "accumulate": 2, "kinds": ["caption"]},
    "alld": {"epochs": 0.5, "batch": 1},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("preflight")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    first, second, held = caption("t0", 2.0), caption("t1", 3.0), caption("v0", 2.5, "validation")
    write_examples(root / "examples.jsonl", [first, second, comparison("p", first, second), held])
    return root


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*given: Any, **more: Any) -> None:
        raise AssertionError("weights were loaded")

    for module in (describer_training, reference):
        monkeypatch.setattr(module, "load", loaded)


def refused(made: Recipe, out: Path) -> str:
    """What a training and a dry run say, which is the same."""
    found = set()
    for work in (
        lambda: train_describer(made, out, resume=False, watch=Quiet()),
        lambda: foresee_describer(made, out, resume=False, processes=1),
    ):
        with pytest.raises(InputError) as caught:
            work()
        found.add(str(caught.value))
    (said,) = found
    assert "\n" not in said
    assert not out.exists()
    return said


def test_what_would_be_done(root: Path, tmp_path: Path) -> None:
    made = recipe(root, **STAGES)
    sft, alld = foresee_describer(made, tmp_path / "out", resume=False, processes=2)
    layers = 2 * (8 * (32 + 32) + 2 * 8 * (32 + 16) + 8 * (32 + 32) + 3 * 8 * (32 + 64)) * 2
    assert (sft.trained, alld.trained) == (layers, layers)
    assert sft == Foreseen("sft", str(root / "base"), 2, 1, 1, 1, 8, layers, sft.weights)
    assert alld == Foreseen("alld", "sft", 3, 1, 1, 1, 2, layers, sft.weights)
    steps = "2 items to train on, 1 of 1 held out; steps: 1, of 8 items each"
    assert sft.told == f"sft: from {root / 'base'}: {steps}; {layers:,} of {sft.weights:,} weights are trained"
    (only,) = foresee_describer(made, tmp_path / "out", resume=False, processes=1, stages=["sft"])
    assert (only.name, only.per_step, only.steps) == ("sft", 4, 1)


def test_whole_tuning_is_counted(root: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    names = {name: weight.numel() for name, weight in load_file(root / "base" / "model.safetensors").items()}
    fixed = names["audio_tower.embed_positions.weight"]
    ears = sum(number for name, number in names.items() if name.startswith("audio_tower"))
    for with_ears, left in ((False, ears), (True, fixed)):
        made = recipe(root, model={"tune": "full", "ears": with_ears}, sft=STAGES["sft"])
        (sft,) = foresee_describer(made, tmp_path / "out", resume=False, processes=1)
        assert (sft.weights, sft.trained) == (sum(names.values()), sum(names.values()) - left)


def changed_examples(made: Recipe, path: Path) -> Recipe:
    return msgspec.structs.replace(made, data=msgspec.structs.replace(made.data, examples=str(path)))


def test_mistakes_of_a_later_stage_are_said_at_once(root: Path, tmp_path: Path) -> None:
    made = recipe(root, **{**STAGES, "alld": {"kinds": ["comparison"]}})
    assert refused(made, tmp_path / "a") == "alld: there are 1 items to train on and 0 held out; both are needed"
    made = recipe(root, **{**STAGES, "alld": {"reference": str(root / "nobody")}})
    assert "nobody does not exist" in refused(made, tmp_path / "b")
    first, second = caption("t0", 2.0), caption("t1", 3.0)
    pair, held = comparison("p", first, second), caption("v0", 2.5, "validation")
    other = msgspec.structs.replace(pair, id="q", question="Or this?")
    path = write_examples(tmp_path / "asked" / "e.jsonl", [first, second, pair, other, held])
    assert "ask for a comparison in 2 ways" in refused(changed_examples(recipe(root, **STAGES), path), tmp_path / "c")
    long = msgspec.structs.replace(pair, sounds=("t0.wav", "long.wav"))
    path = write_examples(tmp_path / "long" / "e.jsonl", [first, second, long, held])
    write_sound(tiny_describer.made_sound(3.0, 1, 1.5), tmp_path / "long" / "long.wav")
    said = refused(changed_examples(recipe(root, **STAGES), path), tmp_path / "d")
    assert "long.wav has 1.5 s and the model hears 1 s" in said


def without_chat(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "chat_template"}))


def with_other_tokens(folder: Path) -> None:
    from transformers import Qwen2Tokenizer

    from tiny_models import byte_vocabulary

    vocabulary = byte_vocabulary()
    vocabulary["MO"] = len(vocabulary)
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[("M", "O")],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>"],
    )
    shutil.rmtree(folder)
    tiny_describer.expert(folder, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_chat, "expert has no chat template (name the instruct version of the text model)"),
        (with_other_tokens, "expert cuts 'MOS: 2.0' into other tokens than the model that is trained"),
    ],
)
def test_an_expert_that_will_not_do(root: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    shutil.copytree(root / "expert", tmp_path / "expert")
    spoil(tmp_path / "expert")
    made = recipe(root, **{**STAGES, "alld": {"reference": str(tmp_path / "expert")}})
    assert message in refused(made, tmp_path / "out")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"model": {"targets": "nothing"}}, "model.targets: "),
        ({"model": {"base": "expert"}}, "is no Qwen2-Audio: its config.json says 'qwen2'"),
        ({"precision": "fp16"}, 'precision = "fp16" needs a GPU'),
        ({"start": "nowhere"}, "nowhere does not exist"),
    ],
)
def test_a_model_that_will_not_do(root: Path, tmp_path: Path, parts: dict[str, Any], message: str) -> None:
    if "base" in parts.get("model", {}):
        parts = {"model": {"base": str(root / "expert")}}
    assert message in refused(recipe(root, **STAGES, **parts), tmp_path / "out")


def test_a_dry_run_in_a_folder_that_is_begun(root: Path, tmp_path: Path) -> None:
    """It refuses what the training would, and leaves out what is done."""
    made, out = recipe(root, **STAGES), tmp_path / "out"
    out.mkdir()
    examples, _ = describer_training._foreseen(made, out, (), 1)
    describer_training._begin(made, examples, out, False)
    with pytest.raises(InputError, match="holds a training already"):
        foresee_describer(made, out, resume=False, processes=1)
    assert [stage.name for stage in foresee_describer(made, out, resume=True, processes=1)] == ["sft", "alld"]
    (out / "sft" / "model").mkdir(parents=True)
    assert [stage.name for stage in foresee_describer(made, out, resume=True, processes=1)] == ["alld"]
    other = recipe(root, seed=2, **STAGES)
    with pytest.raises(InputError, match="begun with another recipe: seed changed"):
        foresee_describer(other, out, resume=True, processes=1)


def test_one_question_for_each_kind() -> None:
    first, second = caption("a", 2.0), caption("b", 3.0)
    assert questions_of([first, second, comparison("ab", first, second)]) == {
        "caption": "Rate it.",
        "comparison": "Which is better?",
    }
