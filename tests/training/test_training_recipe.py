"""Recipes: defaults as published, paths from the file's folder, and every mistake by its name."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from turnwise.foundation.errors import InputError
from turnwise.training.recipe import VARIANTS, Recipe, load_recipe, read_recipe, training_digest

LEAST: dict[str, Any] = {"name": "r", "seed": 1, "sft": {}}


def changed(**more: Any) -> dict[str, Any]:
    return {**LEAST, **more}


def test_the_recipe_that_comes_with_us_is_read_and_says_what_is_published() -> None:
    text = files("turnwise.training").joinpath("describer.toml").read_text(encoding="utf-8")
    recipe = read_recipe(tomllib.loads(text), "describer.toml", Path("/data"))
    assert recipe.stages == ("sft", "alld")
    assert recipe.data.corpus == "/data/NISQA_Corpus"
    assert recipe.model.base == "Qwen/Qwen2-Audio-7B-Instruct"
    assert recipe.sft is not None
    assert recipe.alld is not None
    assert (recipe.sft.epochs, recipe.sft.batch, recipe.sft.batch * recipe.sft.accumulate) == (2, 4, 32)
    assert (recipe.alld.epochs, recipe.alld.beta, recipe.alld.length_norm, recipe.alld.warmup) == (1, 0.1, False, 0.1)
    assert recipe.alld.reference == "Qwen/Qwen2-7B-Instruct"


def test_the_five_published_samplings() -> None:
    assert sorted(VARIANTS.values()) == [(0.9, 0.85), (0.9, 0.95), (1.0, 0.9), (1.1, 0.85), (1.1, 0.95)]


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "r.toml").write_text(
        'name = "r"\nseed = 1\nstart = "before"\n[data]\ncorpus = "NISQA"\n'
        '[model]\nbase = "base"\n[sft]\n[alld]\nreference = "./text"\n'
    )
    recipe = load_recipe(tmp_path / "r.toml")
    assert recipe.data.examples == str(tmp_path / "examples.jsonl")
    assert recipe.data.corpus == str(tmp_path / "NISQA")
    assert recipe.model.base == str(tmp_path / "base")
    assert recipe.start == str(tmp_path / "before")
    assert recipe.alld is not None
    assert recipe.alld.reference == str(tmp_path / "text")


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        ({"seed": 1, "sft": {}}, "missing required field `name`", ""),
        (changed(sft={"epoch": 3}), "sft: unknown key 'epoch'", "did you mean 'epochs'?"),
        (changed(data={"corpsu": "x"}), "data: unknown key 'corpsu'", "did you mean 'corpus'?"),
        (changed(modle={}), "unknown key 'modle'", "did you mean 'model'?"),
        (changed(sft={"rate": "high"}), "sft.rate: Expected `float`, got `str`", ""),
        (changed(sft={"kinds": ["story"]}), "sft.kinds", ""),
        (changed(model={"tune": "some"}), "model.tune: Invalid enum value 'some'", ""),
        ({"name": "r", "seed": 1}, r"no stage: expected \[sft\], \[alld\] or both", ""),
        (changed(name="a/b"), "name: 'a/b'", ""),
        (changed(data={"validation": ["NISQA_TRAIN_SIM"]}), "data.validation: NISQA_TRAIN_SIM is also trained on", ""),
        (changed(data={"variants": ["t2"]}), "data.variants: 't2' is none of base, ", ""),
        (changed(data={"tie": 0.0}), "data.tie: expected 0.1 to 4, got 0", ""),
        (changed(data={"describer": "tmplate"}), "data.describer: no describer is called 'tmplate'", "did you mean 'template'?"),
        (changed(data={"options": {"preste": "plain"}}), "data.describer: .* no option 'preste'", "did you mean 'preset'?"),
        (
            changed(data={"describer": "language_model", "options": {"model": "m", "endpoint": "here"}}),
            "no endpoint is called",
            None,
        ),
        (changed(model={"ears": True}), "model.ears: only full tuning trains the ears", ""),
        (changed(model={"targets": "("}), "model.targets: not a regular expression", ""),
        (changed(alld={"beta": 0}), "alld.beta: expected above 0, at most 100, got 0", ""),
        (changed(alld={"own_top_p": 1.5}), "alld.own_top_p: expected above 0, at most 1, got 1.5", ""),
        (
            changed(sft={"warmup": 1.0, "batch": 0}),
            "sft.batch: expected at least 1, got 0; sft.warmup: expected 0 to below 1",
            "",
        ),
        (changed(precision="fp8"), "precision: Invalid enum value 'fp8'", ""),
        (changed(sft={"export": "first"}), "sft.export: Invalid enum value 'first'", ""),
        (changed(track=["mlflow"]), "track", ""),
    ],
)
def test_every_mistake_is_named(raw: dict[str, Any], message: str, hint: str | None) -> None:
    with pytest.raises(InputError, match=f"recipe.toml: .*{message}") as caught:
        read_recipe(raw, "recipe.toml")
    assert hint is None or caught.value.hint == hint


def test_several_mistakes_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(changed(name="", sft={"epochs": 0, "clip": 0}, data={"tries": 0}), "r")
    for part in (
        "name: ''",
        "data.tries: expected 1 to 100, got 0",
        "sft.epochs: expected above 0",
        "sft.clip: expected above 0",
    ):
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"name = ", "not TOML"), (b"\xff\xfe", "not UTF-8"), (b"#" * (2 << 20), "larger than 1 MiB")],
)
def test_files_that_are_no_recipe(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_recipe(tmp_path / "r.toml")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_recipe(tmp_path / "other.toml")


def test_what_decides_the_weights_is_in_the_digest_and_nothing_else() -> None:
    plain = read_recipe(LEAST, "r")

    def digest(**more: Any) -> str:
        recipe: Recipe = read_recipe(changed(**more), "r")
        return training_digest(recipe)

    same: list[dict[str, Any]] = [
        {"name": "other"},
        {"workers": 7},
        {"track": ["wandb"]},
        {"data": {"examples": "x.jsonl"}},
        {"sft": {"save_every": 3, "keep": 9}},
    ]
    for more in same:
        assert digest(**more) == training_digest(plain), more
    other: list[dict[str, Any]] = [
        {"seed": 2},
        {"sft": {"export": "last"}},
        {"sft": {"validate_every": 5}},  # which step is the best depends on where is looked
        {"sft": {"validate_items": 2}},
        {"sft": {"rate": 2e-5}},
        {"sft": {"accumulate": 2}},
        {"alld": {}},
        {"model": {"rank": 8}},
        {"precision": "fp32"},
        {"checkpointing": False},
        {"start": "x"},
    ]
    assert len({training_digest(plain), *(digest(**more) for more in other)}) == len(other) + 1
    looking = {"export": "last", "validate_every": 5, "validate_items": 2}
    assert digest(sft=looking) == digest(sft={"export": "last"})
