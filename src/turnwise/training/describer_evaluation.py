"""A trained model, or any other of its kind, evaluated on what a recipe holds out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import canonical, fingerprint
from turnwise.listening.sound_model import sound_model
from turnwise.speech.weights import placement
from turnwise.training.audio_batches import refuse_unheard
from turnwise.training.evaluation import Evaluation, ask, evaluate, items_of
from turnwise.training.example_file import of_split, read_examples
from turnwise.training.preflight import questions_of
from turnwise.training.recipe import Recipe


def last_model(recipe: Recipe, out: Path) -> Path:
    """The model of the last stage that is done."""
    for name in reversed(recipe.stages):
        if (out / name / "model").is_dir():
            return out / name / "model"
    raise InputError(f"{out} holds no trained model", "train one by `turnwise train describer`, or name one with --model")


def evaluate_describer(
    recipe: Recipe, out: Path, model: str, *, batch: int, most_tokens: int, watch: Callable[[int, int], None]
) -> tuple[Evaluation, Path]:
    """The figures, and where they are to be kept; texts are kept beside them, under the name of what wrote them."""
    held = of_split(read_examples(Path(recipe.data.examples)), "validation")
    items = items_of(held)
    if not items:
        raise InputError(f"{recipe.data.examples} holds nothing out")
    revision = recipe.model.revision if model == recipe.model.base else "main"
    described = sound_model("evaluate", model, revision, "", 0.0, 1.0, most_tokens, placement("evaluate"))
    # A model is asked as it was taught; one that was taught nothing, as the examples ask.
    taught = described.found()[1].questions
    questions = {kind: question for kind, question in questions_of(held).items() if kind not in taught}
    name = fingerprint(canonical(dict(described.identity())), most_tokens, canonical(questions)).removeprefix("b2:")[:12]
    folder = out / "evaluation"
    answering = described.open(questions)
    try:
        refuse_unheard(held, answering.longest)
        said = ask(items, answering, folder / f"texts.{name}.jsonl", seed=recipe.seed, batch=batch, watch=watch)
    finally:
        answering.close()
    return evaluate(items, said, seed=recipe.seed), folder / f"figures.{name}.json"
