"""`turnwise train` from the recipe to the figures, as it is typed, and in two processes at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

import tiny_describer
from tiny_describer import caption, comparison, write_examples
from turnwise.cli.main import turnwise
from turnwise.foundation.errors import InputError
from turnwise.training.growing_file import read_lines
from turnwise.training.loop import Line
from turnwise.training.own_answers import Own
from two_processes import command, together

torch.set_num_threads(1)
RECIPE = """
name = "tiny"
seed = 1
workers = 0
checkpointing = false
[data]
corpus = "corpus"
comparisons = 2
validation_comparisons = 1
[model]
base = "base"
[sft]
epochs = 1
batch = 4
[alld]
epochs = 1
batch = 4
reference = "expert"
own_tokens = 8
"""


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(turnwise, ["train", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli")
    tiny_describer.qwen2_audio(root / "base", seconds=1)
    tiny_describer.expert(root / "expert")
    tiny_describer.corpus(root / "corpus", {"NISQA_TRAIN_SIM": 6, "NISQA_VAL_SIM": 4}, seconds=0.5)
    (root / "recipe.toml").write_text(RECIPE)
    return root


def test_from_the_corpus_to_the_figures(root: Path) -> None:
    recipe, out = str(root / "recipe.toml"), str(root / "out")
    made = run("data", recipe)
    assert made.return_value == 0
    kinds = "6 train caption, 2 train comparison, 4 validation caption, 1 validation comparison"
    assert made.stdout == f"13 items in {root / 'examples.jsonl'}: {kinds}\n"

    trained = run("describer", recipe, "--out", out, "--stage", "sft")

    only = r"step 2 of 2: the only held-out loss, \d+\.\d{4}"
    assert re.fullmatch(rf"sft: {only}\nthe model is in {out}/sft/model\n", trained.stdout)
    assert "sft: 2/2 loss " in trained.stderr
    with pytest.raises(InputError, match="holds a training already") as caught:
        run("describer", recipe, "--out", out)
    assert "--resume" in caught.value.hint
    trained = run("describer", recipe, "--out", out, "--resume")
    assert re.fullmatch(rf"sft: {only}\nalld: {only}\nthe model is in {out}/alld/model\n", trained.stdout)
    assert "own answers: 13/13" in trained.stderr
    assert "reference: 13/13" in trained.stderr
    assert "alld: 2/2 loss " in trained.stderr

    told = run("evaluate", recipe, "--out", out, "--most-tokens", "6")
    assert f"{out}/alld/model on what was held out: 6 texts, 95 % intervals" in told.stdout
    assert re.search(r"^MSE mos +(undefined|[\d.]+.*) +\d +0\.17$", told.stdout, re.MULTILINE)
    assert re.search(r"^A/B accuracy +0\.0 % \S+ \S+ +1 +98\.6 %$|^A/B accuracy +0\.0 % +1 +98\.6 %$", told.stdout, re.MULTILINE)
    assert re.search(r"^BLEU caption .* 25\.8 and 30\.2 on its two tasks$", told.stdout, re.MULTILINE)
    assert "texts ran into the limit of tokens" in told.stdout
    as_json = run("evaluate", recipe, "--out", out, "--most-tokens", "6", "--json")
    figures = json.loads(as_json.stdout)
    assert figures["texts"] == 6
    kept = re.search(r"all figures: (.*)\n", told.stdout)
    assert kept is not None
    assert json.loads(Path(kept[1]).read_text()) == figures
    before = run("evaluate", recipe, "--out", out, "--most-tokens", "6", "--model", str(root / "base"), "--json")
    assert json.loads(before.stdout)["texts"] == 6
    assert len(list((root / "out" / "evaluation").glob("figures.*.json"))) == 2


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(root: Path, tmp_path: Path) -> None:
    recipe = str(root / "recipe.toml")
    run("data", recipe)
    out = tmp_path / "out"
    told = run("describer", recipe, "--out", str(out), "--dry-run", "--processes", "2")
    items = "8 items to train on, 5 of 5 held out; steps: 1, of 8 items each; "
    one, other = told.stdout.splitlines()
    assert re.fullmatch(rf"sft: from {root}/base: {items}[\d,]+ of [\d,]+ weights are trained", one)
    assert re.fullmatch(rf"alld: from sft: {items}[\d,]+ of [\d,]+ weights are trained", other)
    assert not out.exists()
    with pytest.raises(click.UsageError, match="--processes goes with --dry-run"):
        run("describer", recipe, "--out", str(out), "--processes", "2")
    (out / "notes").mkdir(parents=True)
    with pytest.raises(InputError, match="is not empty and holds no training"):
        run("describer", recipe, "--out", str(out), "--dry-run")


def test_the_recipe_that_is_printed_is_one(tmp_path: Path) -> None:
    from turnwise.training.recipe import load_recipe

    (tmp_path / "describer.toml").write_text(run("recipe").stdout)
    assert load_recipe(tmp_path / "describer.toml").stages == ("sft", "alld")


def test_every_command_has_an_example() -> None:
    for name in ("recipe", "data", "describer", "evaluate"):
        page = CliRunner().invoke(turnwise, ["train", name, "--help"]).stdout
        assert f"Example: turnwise train {name}" in page


def test_help_loads_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['turnwise', 'train', 'describer', '--help']\n"
        "from turnwise.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'numpy', 'transformers', 'scipy'}), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--resume" in told.stdout
    assert told.stderr.strip() == ""


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    """The same steps by two processes with half the batch each (DDP on this CPU), gone on with after a sudden end."""
    tiny_describer.qwen2_audio(tmp_path / "base", seconds=1)
    tiny_describer.expert(tmp_path / "expert")
    train = [caption(f"t{k}", 1.0 + k, answer="Noisy. " * k + f"MOS: {1.0 + k}") for k in range(4)]
    held = [caption(f"v{k}", 2.0 + k, "validation") for k in range(3)]
    write_examples(tmp_path / "examples.jsonl", [*train, comparison("p", train[0], train[3]), *held])
    stages = "[sft]\nepochs = 4\nbatch = {batch}\nrate = 1e-3\nsave_every = 2\nvalidate_every = 2\nkinds = ['caption']\n"
    stages += "[alld]\nepochs = 1\nbatch = {batch}\nrate = 1e-3\nreference = 'expert'\nown_tokens = 8\nown_batch = 2\n"
    head = RECIPE.partition("[data]")[0] + "[model]\nbase = 'base'\ndropout = 0.0\n"
    for batch in (4, 2):
        (tmp_path / f"{batch}.toml").write_text(head + stages.format(batch=batch))
    run("describer", str(tmp_path / "4.toml"), "--out", str(tmp_path / "one"))
    recipe, out = str(tmp_path / "2.toml"), str(tmp_path / "two")
    main, other = together(
        tmp_path,
        command("train", "describer", recipe, "--out", out, dies_after=("sft", 3)),
        command("train", "describer", recipe, "--out", out, "--resume"),
        command("train", "describer", recipe, "--out", out),
    )
    # What the main process alone finds wrong ends all, and is said once.
    assert (main.code, other.code) == (1, 2), main.stderr[-2000:] + other.stderr[-2000:]
    assert "two holds a training already" in main.stderr
    assert "Error" not in other.stderr
    assert main.stdout.endswith(f"the model is in {out}/alld/model\n")
    assert main.stdout.count("\n") == 3
    assert other.stdout == ""

    for stage, steps in (("sft", 4), ("alld", 2)):
        one, two = (read_lines(tmp_path / name / stage / "log.jsonl", Line) for name in ("one", "two"))
        assert [(line.key, line.units) for line in one] == [(line.key, line.units) for line in two]
        assert sum(not line.held_out for line in two) == steps
        assert [line.loss for line in two] == pytest.approx([line.loss for line in one], abs=1e-3)
        for model in ("best", "last", "model"):
            files = [tmp_path / name / stage / model / "adapter_model.safetensors" for name in ("one", "two")]
            first, second = (load_file(file) for file in files)
            assert all(torch.allclose(first[key], second[key], atol=1e-5) for key in first)
    own = [read_lines(tmp_path / "two" / "alld" / f"own.{process}.jsonl", Own) for process in (0, 1)]
    assert all(own)
    alone = read_lines(tmp_path / "one" / "alld" / "own.0.jsonl", Own)
    assert sorted(each.id for part in own for each in part) == sorted(each.id for each in alone)
