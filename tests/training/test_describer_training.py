"""The training of a describer from end to end: it learns what it is told, by fine-tuning and by ALLD, and what it refuses."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock
from safetensors.torch import load_file

import tiny_describer
from tiny_describer import Quiet, caption, comparison, recipe, write_examples
from turnwise.cli.listen import listen_command
from turnwise.foundation.audio import Sound
from turnwise.foundation.audio_files import read_sound, write_sound
from turnwise.foundation.errors import EngineError, InputError, MissingDependency, StorageError
from turnwise.listening.describer import DESCRIBERS
from turnwise.listening.listener import LISTENERS
from turnwise.listening.ratings import Ratings
from turnwise.listening.sound_model import SoundModel
from turnwise.training import trackers
from turnwise.training.describer_evaluation import evaluate_describer, last_model
from turnwise.training.describer_training import train_describer
from turnwise.training.growing_file import read_lines
from turnwise.training.loop import Line
from turnwise.training.own_answers import Own
from turnwise.training.recipe import Recipe

torch.set_num_threads(1)
MOS = (1.2, 1.7, 2.1, 2.6, 3.0, 3.5, 4.1, 4.8)
UNKNOWN = Ratings(None, None, None, None, None, missing=dict.fromkeys(("mos", "noi", "col", "dis", "loud"), "not asked for"))


def lines(model: Path, held_out: bool = False) -> list[Line]:
    return [line for line in read_lines(model.parent / "log.jsonl", Line) if line.held_out == held_out and not line.chosen]


def weights(model: Path) -> dict[str, torch.Tensor]:
    (file,) = model.glob("*.safetensors")
    return load_file(file)


# ---------------------------------------------------------------- supervised fine-tuning


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe, Path]:
    """A whole model that was trained on eight tones until it knows their ratings."""
    root = tmp_path_factory.mktemp("learned")
    tiny_describer.qwen2_audio(root / "base", width=48, seconds=1)
    train = [caption(f"t{k}", mos) for k, mos in enumerate(MOS)]
    # Held out are the same sounds under other names, so that what was learned can be evaluated.
    write_examples(root / "examples.jsonl", [*train, *(caption(f"v{k}", mos, "validation") for k, mos in enumerate(MOS))])
    stage = {"epochs": 60, "batch": 8, "rate": 4e-3, "warmup": 0.05, "floor": 0.1}
    made = recipe(root, model={"tune": "full", "ears": True}, sft=stage)
    return root, made, train_describer(made, root / "out", resume=False, watch=Quiet())


def test_it_learns_eight_sounds_by_heart(learned: tuple[Path, Recipe, Path]) -> None:
    root, _, model = learned
    losses = [line.loss for line in lines(model)]
    assert losses[-1] < 0.1 < 3.0 < losses[0]
    listening = LISTENERS.build("trained", {"model": str(model), "most_tokens": 12}).open()
    rated = listening.rate_many([read_sound(root / f"t{k}.wav") for k in range(8)])
    assert [ratings.mos for ratings in rated] == list(MOS)
    assert rated[0].missing == dict.fromkeys(("noi", "col", "dis", "loud"), "the description states no number for it")
    assert rated[0].sources == {"mos": "trained describer"}
    short = listening.rate_many([Sound(read_sound(root / "t0.wav").samples[:10], 16000), read_sound(root / "t7.wav")])
    assert (short[0].mos, short[1].mos) == (None, 4.8)
    listening.close()
    listening.close()
    brief = LISTENERS.build("trained", {"model": str(model), "most_tokens": 3}).open()
    (cut,) = brief.rate_many([read_sound(root / "t0.wav")])
    assert set(cut.missing.values()) == {"the description ran into the limit of tokens: 'MOS'"}


def test_it_describes_what_it_hears_and_looks_at_no_rating(learned: tuple[Path, Recipe, Path]) -> None:
    root, _, model = learned
    describer: Any = DESCRIBERS.build("trained", {"model": str(model), "most_tokens": 12})
    assert (describer.listens, describer.place) == (True, "device")
    describing = describer.open()
    five = Ratings(5, 5, 5, 5, 5)
    assert describing.describe(five, read_sound(root / "t2.wav"), seed=1) == "MOS: 2.1"
    assert describing.describe(UNKNOWN, read_sound(root / "t6.wav"), seed=1) == "MOS: 4.1"
    with pytest.raises(EngineError) as caught:
        describing.describe(five, None, seed=1)
    assert caught.value.cause == "no-sound"
    with pytest.raises(EngineError) as caught:
        describing.describe(five, tiny_sound(1.2), seed=1)
    assert caught.value.cause == "too-long"
    describing.close()
    brief = DESCRIBERS.build("trained", {"model": str(model), "most_tokens": 3}).open()
    with pytest.raises(EngineError) as caught:
        brief.describe(five, read_sound(root / "t2.wav"), seed=1)
    assert caught.value.cause == "cut-short"


def test_the_command_listens_with_it(learned: tuple[Path, Recipe, Path]) -> None:
    root, _, model = learned
    files = [str(root / f"t{k}.wav") for k in (2, 6)]
    done = CliRunner().invoke(listen_command, ["--model", str(model), *files, "--json"], standalone_mode=False)
    assert done.exception is None and done.return_value == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == files
    assert [row["heard"]["ratings"]["mos"] for row in rows] == [2.1, 4.1]
    assert [row["description"] for row in rows] == ["MOS: 2.1", "MOS: 4.1"]


def test_what_a_checkpoint_recommends_for_itself_is_not_used(learned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    """Published checkpoints ask for sampling and penalties; answers are the likeliest words all the same."""
    import shutil

    root, _, model = learned
    shutil.copytree(model, tmp_path / "model")
    settings = json.loads((model / "generation_config.json").read_text())
    wishes = {"do_sample": True, "temperature": 9.0, "top_k": 50, "repetition_penalty": 9.0}
    (tmp_path / "model" / "generation_config.json").write_text(json.dumps({**settings, **wishes}))
    describing: Any = DESCRIBERS.build("trained", {"model": str(tmp_path / "model"), "most_tokens": 12}).open()
    assert describing.describe(UNKNOWN, read_sound(root / "t4.wav"), seed=1) == "MOS: 3.0"
    warm: Any = DESCRIBERS.build("trained", {"model": str(model), "most_tokens": 12, "temperature": 10.0}).open()
    texts = {warm._answering.write_many("caption", [[read_sound(root / "t4.wav")]], [seed])[0].text for seed in (1, 1, 2, 3)}
    assert len(texts) == 3


def tiny_sound(seconds: float) -> Sound:
    return tiny_describer.made_sound(3.0, 1, seconds)


def test_evaluation_of_what_it_knows(learned: tuple[Path, Recipe, Path]) -> None:
    """Its held-out sounds are those it was trained on, so everything is right."""
    root, made, model = learned
    assert last_model(made, root / "out") == model
    found, path = evaluate_describer(made, root / "out", str(model), batch=4, most_tokens=12, watch=lambda done, of: None)
    fit = found.fits["mos"]
    assert (fit.lcc.value, fit.srcc.value, fit.mse.value) == (pytest.approx(1.0), pytest.approx(1.0), 0.0)
    assert (fit.failures.value, fit.missing, fit.mse.n) == (0.0, {}, 8)
    assert found.bleu["caption"].n == 8
    assert (found.choices, found.texts, found.cut, list(found.fits)) == (None, 8, 0, ["mos"])
    texts = next(path.parent.glob("texts.*.jsonl"))
    before = texts.read_bytes()
    again, other = evaluate_describer(made, root / "out", str(model), batch=4, most_tokens=12, watch=lambda done, of: None)
    assert (again, other, texts.read_bytes()) == (found, path, before)


def test_a_model_that_was_taught_nothing_is_asked_what_the_examples_ask(
    learned: tuple[Path, Recipe, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What training has to beat is measured by the same question; what was taught is asked as it was taught."""
    root, made, model = learned
    asked: list[Any] = []
    plain = SoundModel.open

    def spied(self: SoundModel, questions: Any = None) -> Any:
        asked.append(questions)
        return plain(self, questions)

    monkeypatch.setattr(SoundModel, "open", spied)
    for name in (model, root / "base"):
        evaluate_describer(made, tmp_path, str(name), batch=4, most_tokens=2, watch=lambda done, of: None)
    assert asked == [{}, {"caption": "Rate it."}]


def test_what_a_model_cannot_hear_is_not_evaluated(learned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    _, made, model = learned
    path = write_examples(tmp_path / "e.jsonl", [caption("t0", 2.0), caption("v0", 2.0, "validation")])
    write_sound(tiny_sound(1.2), tmp_path / "v0.wav")
    long = msgspec.structs.replace(made, data=msgspec.structs.replace(made.data, examples=str(path)))
    with pytest.raises(InputError, match=r"v0.wav has 1.2 s and the model hears 1 s"):
        evaluate_describer(long, tmp_path / "out", str(model), batch=4, most_tokens=2, watch=lambda done, of: None)
    assert not list(tmp_path.rglob("texts.*"))


def test_the_card_says_what_it_is(learned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    _, _, model = learned
    card = json.loads((model / "describer.json").read_text())
    assert (card["tuned"], card["stage"], card["questions"]) == ("full", "sft", {"caption": "Rate it."})
    identity = DESCRIBERS.build("trained", {"model": str(model)}).identity()
    assert {"shared", "weights", "numbers", "torch", "transformers"} == identity.keys()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "describer.json").write_text('{"tuned": "lora"}')
    with pytest.raises(InputError, match="does not describe a trained model"):
        DESCRIBERS.build("trained", {"model": str(tmp_path)}).identity()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "trained: model is empty"),
        ({"model": "m", "temperature": -1}, "trained: temperature is -1, expected 0 to 10"),
        ({"model": "m", "top_p": 0}, "trained: top_p is 0"),
        ({"model": "m", "most_tokens": 0}, "trained: most_tokens is 0"),
        ({"model": "m", "dtype": "int8"}, "trained: dtype is 'int8'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DESCRIBERS.build("trained", options)
    with pytest.raises(InputError, match="trained: batch is 0"):
        LISTENERS.build("trained", {"model": "m", "batch": 0})


# ---------------------------------------------------------------- ALLD


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe, Path]:
    """LoRA over both stages: three captions and a comparison."""
    root = tmp_path_factory.mktemp("aligned")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    first, second, third = (caption(f"t{k}", mos) for k, mos in enumerate((2.0, 3.0, 4.0)))
    held = [caption(f"v{k}", mos, "validation") for k, mos in enumerate((2.5, 3.5))]
    examples = [first, second, third, comparison("p", first, third), *held]
    write_examples(root / "examples.jsonl", examples)
    sft = {"epochs": 1, "batch": 4, "rate": 1e-3}
    alld = {"epochs": 12, "batch": 2, "accumulate": 2, "rate": 5e-3, "validate_every": 6, "own_batch": 2}
    made = recipe(root, checkpointing=True, sft=sft, alld=alld)
    return root, made, train_describer(made, root / "out", resume=False, watch=Quiet())


def test_the_loss_of_alld_falls_and_the_expert_is_preferred(aligned: tuple[Path, Recipe, Path]) -> None:
    _, _, model = aligned
    trained = lines(model)
    assert model.parent.name == "alld"
    assert len(trained) == 12
    assert trained[-1].loss < 0.5 * trained[0].loss
    assert trained[-1].more["margin"] > trained[0].more["margin"]
    assert trained[-1].more["preferred"] == 1.0
    assert {line.units for line in trained} == {4}  # pairs
    assert [(line.step, line.units) for line in lines(model, held_out=True)] == [(6, 2), (12, 2)]


def test_it_goes_on_with_the_adapter_of_the_stage_before(aligned: tuple[Path, Recipe, Path]) -> None:
    root, _, model = aligned
    before, after = weights(root / "out" / "sft" / "model"), weights(model)
    assert before.keys() == after.keys()
    assert all("lora_" in key and "language_model" in key for key in after)
    assert any(not torch.equal(before[key], after[key]) for key in after)
    card = json.loads((model / "describer.json").read_text())
    assert (card["base"], card["tuned"], card["stage"]) == (str(root / "base"), "lora", "alld")
    settings = json.loads((model / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(root / "base")


def test_own_answers_are_those_of_the_model_before(aligned: tuple[Path, Recipe, Path]) -> None:
    root, made, model = aligned
    own = {each.id: each for each in read_lines(model.parent / "own.0.jsonl", Own)}
    assert own.keys() == {"t0", "t1", "t2", "p", "v0", "v1"}
    assert made.alld is not None
    assert any(not each.whole for each in own.values())  # a tiny model seldom comes to an end in twelve tokens
    options = {"temperature": 1.0, "top_p": 0.9, "most_tokens": 12}
    describing: Any = DESCRIBERS.build("trained", {"model": str(root / "out" / "sft" / "model"), **options}).open()
    from turnwise.foundation.fingerprint import seed_of

    (again,) = describing._answering.write_many("caption", [[read_sound(root / "t1.wav")]], [seed_of("own", 1, "t1")])
    assert (again.text, again.whole) == (own["t1"].answer, own["t1"].whole)


def test_an_adapter_is_used_over_its_base_wherever_that_lies(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    root, _, model = aligned
    plain: Any = DESCRIBERS.build("trained", {"model": str(model), "most_tokens": 8})
    moved: Any = DESCRIBERS.build("trained", {"model": str(model), "most_tokens": 8, "base": str(root / "base")})
    assert plain.identity() == moved.identity()
    assert {"base weights", "peft"} <= plain.identity().keys()
    tiny_describer.qwen2_audio(tmp_path / "wide", width=64, seconds=1)
    with pytest.raises(InputError, match="holds no adapter for this model"):
        DESCRIBERS.build("trained", {"model": str(model), "base": str(tmp_path / "wide")}).open()


def test_done_stages_are_left_alone_and_the_rest_goes_on(aligned: tuple[Path, Recipe, Path]) -> None:
    _, made, model = aligned
    before = (model / "adapter_model.safetensors").stat().st_mtime_ns
    watch = Quiet()
    assert train_describer(made, model.parents[1], resume=True, watch=watch) == model
    assert watch.began == []
    assert (model / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_whole_models_go_through_both_stages(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    root, _, _ = aligned
    stages = {"sft": {"epochs": 0.5, "batch": 2}, "alld": {"epochs": 0.5, "batch": 2, "length_norm": True, "beta": 0.4}}
    made = recipe(root, model={"tune": "full"}, **stages)
    first = train_describer(made, tmp_path / "out", resume=False, watch=Quiet(), stages=["sft"])
    assert first == tmp_path / "out" / "sft" / "model"
    second = train_describer(made, tmp_path / "out", resume=True, watch=Quiet(), stages=["alld"])
    assert second == tmp_path / "out" / "alld" / "model"
    before, after = weights(first), weights(second)
    assert before.keys() == after.keys() == weights(root / "base").keys()
    assert any(not torch.equal(before[key], after[key]) for key in after)


def test_an_adapter_over_a_whole_model_of_ours(learned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    """Fine-tuned whole elsewhere, gone on with by LoRA; a rate of nearly nothing leaves what it knows."""
    root, _, model = learned
    made = recipe(root, start=str(model), sft={"epochs": 1, "batch": 8, "rate": 1e-9})
    adapted = train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    card = json.loads((adapted / "describer.json").read_text())
    assert (card["base"], card["tuned"]) == (str(model), "lora")
    describing = DESCRIBERS.build("trained", {"model": str(adapted), "most_tokens": 12}).open()
    assert describing.describe(UNKNOWN, read_sound(root / "t3.wav"), seed=1) == "MOS: 2.6"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, "begun with another recipe: seed changed"),
        ({"model": {"rank": 4}}, "begun with another recipe: model.rank changed"),
        ({"alld": {"epochs": 12, "batch": 2, "accumulate": 2, "rate": 5e-3, "beta": 0.2}}, "another recipe: alld.beta"),
    ],
)
def test_another_recipe_does_not_go_on(aligned: tuple[Path, Recipe, Path], changes: dict[str, Any], message: str) -> None:
    root, _, _ = aligned
    raw = {
        "checkpointing": True,
        "sft": {"epochs": 1, "batch": 4, "rate": 1e-3},
        "alld": {"epochs": 12, "batch": 2, "accumulate": 2, "rate": 5e-3, "validate_every": 6, "own_batch": 2},
    }
    with pytest.raises(InputError, match=message):
        train_describer(recipe(root, **{**raw, **changes}), root / "out", resume=True, watch=Quiet())


def test_other_data_and_other_weights_do_not_go_on(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    root, made, _ = aligned
    other = write_examples(tmp_path / "examples.jsonl", [caption("t0", 2.2), caption("v0", 2.5, "validation")])
    data = msgspec.structs.replace(made.data, examples=str(other))
    with pytest.raises(InputError, match="begun with other examples"):
        train_describer(msgspec.structs.replace(made, data=data), root / "out", resume=True, watch=Quiet())
    for model in ("base", "expert"):
        template = root / model / "chat_template.jinja"
        text = template.read_text()
        try:
            template.write_text(text + " ")
            with pytest.raises(InputError, match=f"begun with other weights than .*{model} has now"):
                train_describer(made, root / "out", resume=True, watch=Quiet())
        finally:
            template.write_text(text)


def test_folders_that_cannot_be_trained_in_or_from(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    root, made, model = aligned
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no training"):
        train_describer(made, tmp_path / "full", resume=False, watch=Quiet())
    sft = {"epochs": 1, "batch": 4}
    with pytest.raises(InputError, match="nowhere does not exist"):
        train_describer(recipe(root, start="nowhere", sft=sft), tmp_path / "a", resume=False, watch=Quiet())
    whole = recipe(root, start=str(model), model={"tune": "full"}, sft=sft)
    with pytest.raises(InputError, match="is an adapter, which full tuning cannot go on from"):
        train_describer(whole, tmp_path / "b", resume=False, watch=Quiet())
    with pytest.raises(InputError, match=r"model.targets: "):
        train_describer(recipe(root, model={"targets": "nothing"}, sft=sft), tmp_path / "c", resume=False, watch=Quiet())
    with pytest.raises(InputError, match=r"has no stage \[alld\]"):
        train_describer(recipe(root, sft=sft), tmp_path / "d", resume=False, watch=Quiet(), stages=["alld"])
    with pytest.raises(InputError, match="alld goes on from sft, which is not done"):
        train_describer(made, tmp_path / "d", resume=False, watch=Quiet(), stages=["alld"])
    with pytest.raises(InputError, match="nowhere does not exist"):
        lost = recipe(root, sft=sft, alld={"reference": str(tmp_path / "nowhere")})
        train_describer(lost, tmp_path / "f", resume=False, watch=Quiet())
    with FileLock(root / "out" / ".lock"), pytest.raises(StorageError, match="in use by another training"):
        train_describer(made, root / "out", resume=True, watch=Quiet())
    with pytest.raises(InputError, match="holds no trained model"):
        last_model(made, tmp_path / "e")


def test_a_stage_needs_items_on_both_sides(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    root, _, _ = aligned
    with pytest.raises(InputError, match="sft: there are 1 items to train on and 0 held out"):
        made = recipe(root, sft={"epochs": 1, "kinds": ["comparison"]})
        train_describer(made, tmp_path / "out", resume=False, watch=Quiet())


def test_examples_that_ask_in_several_ways(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    _, made, _ = aligned
    mixed = [caption("t0", 2.0), caption("t1", 3.0, question="How is it?"), caption("v0", 2.5, "validation")]
    data = msgspec.structs.replace(made.data, examples=str(write_examples(tmp_path / "e.jsonl", mixed)))
    with pytest.raises(InputError, match="ask for a caption in 2 ways"):
        train_describer(msgspec.structs.replace(made, data=data), tmp_path / "out", resume=False, watch=Quiet())


@pytest.mark.parametrize("package", ["peft", "accelerate", "wandb"])
def test_packages_that_are_missing_are_named(
    aligned: tuple[Path, Recipe, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    _, made, _ = aligned
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    made = msgspec.structs.replace(made, track=("wandb",) if package == "wandb" else ())
    install = r"pip install wandb" if package == "wandb" else r'pip install "turnwise\[train\]"'
    with pytest.raises(MissingDependency, match=f"{package} is not installed .*{install}"):
        train_describer(made, tmp_path / "out", resume=False, watch=Quiet())


# ---------------------------------------------------------------- numbers and watchers


def test_forgetting_activations_changes_no_weight(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    """And full tuning leaves the ears alone unless asked."""
    root, _, _ = aligned
    found = []
    for ears in (False, True):
        for checkpointing in (False, True):
            model = {"tune": "full", "ears": ears}
            made = recipe(root, checkpointing=checkpointing, model=model, sft={"epochs": 0.5, "batch": 2, "kinds": ["caption"]})
            out = tmp_path / f"{ears}{checkpointing}"
            found.append(weights(train_describer(made, out, resume=False, watch=Quiet())))
    base = weights(root / "base")
    for first, second in (found[:2], found[2:]):
        assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in base)
    for after, ears in ((found[0], False), (found[2], True)):
        moved = {key for key in base if not torch.equal(base[key], after[key])}
        assert any("audio_tower" in key for key in moved) == ears
        assert not any("embed_positions" in key for key in moved)  # what is fixed stays so
        assert any("language_model" in key for key in moved)


def test_coarse_numbers_learn_too(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    """bf16: what is trained stays in float32."""
    from accelerate.state import AcceleratorState

    root, _, _ = aligned
    AcceleratorState._reset_state(True)
    try:
        made = recipe(root, precision="bf16", sft={"epochs": 8, "batch": 4, "rate": 5e-3, "kinds": ["caption"]})
        model = train_describer(made, tmp_path / "out", resume=False, watch=Quiet())
    finally:
        AcceleratorState._reset_state(True)
    losses = [line.loss for line in lines(model)]
    assert losses[-1] < 0.8 * losses[0]
    assert {weight.dtype for weight in weights(model).values()} == {torch.float32}


TOLD = [
    (1, ["train/loss", "train/norm", "train/rate"]),
    (1, ["held out/loss"]),
]


def short(aligned: tuple[Path, Recipe, Path], **more: Any) -> Recipe:
    """One step and one validation."""
    return recipe(aligned[0], sft={"epochs": 1, "batch": 4, "kinds": ["caption"]}, **more)


def test_weights_and_biases_gets_every_line(
    aligned: tuple[Path, Recipe, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in with the package's interface, as the real one wants an account."""
    told: list[Any] = []
    run = SimpleNamespace(log=lambda values, step: told.append((step, sorted(values))), finish=lambda: told.append("end"))
    module = ModuleType("wandb")
    module.init = lambda **settings: told.append(settings) or run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(trackers, "needed", lambda names: None)
    train_describer(short(aligned, track=["wandb"]), tmp_path / "out", resume=False, watch=Quiet())
    assert told == [{"project": "tiny", "name": "sft", "dir": str(tmp_path / "out" / "sft")}, *TOLD, "end"]


def test_tensorboard_gets_every_line(aligned: tuple[Path, Recipe, Path], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = train_describer(short(aligned, track=["tensorboard"]), tmp_path / "out", resume=False, watch=Quiet())
    events = EventAccumulator(str(tmp_path / "out" / "sft" / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["held out/loss", "train/loss", "train/norm", "train/rate"]
    (seen,) = events.Scalars("train/loss")
    assert (seen.step, seen.value) == (1, pytest.approx(lines(model)[0].loss))
