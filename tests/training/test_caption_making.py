"""Data making: what is asked for is planned from the recipe, written once, checked against the ratings, and gone on with."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

import tiny_describer
from servers.chat_server import Request, chatting
from turnwise.foundation.errors import InputError
from turnwise.listening.preference import preferred, read_summary
from turnwise.listening.rating_reading import read_rating
from turnwise.training.caption_making import Made, make_examples, plan
from turnwise.training.example_file import of_split, read_examples
from turnwise.training.growing_file import read_lines
from turnwise.training.recipe import VARIANTS, Recipe, read_recipe


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("making")
    tiny_describer.corpus(root / "corpus", {"NISQA_TRAIN_SIM": 12, "NISQA_VAL_SIM": 6}, seconds=0.05)
    return root


def made_by(root: Path, folder: Path, seed: int = 1, **data: Any) -> Recipe:
    given = {"corpus": str(root / "corpus"), "examples": str(folder / "examples.jsonl"), **data}
    return read_recipe({"name": "r", "seed": seed, "data": given, "sft": {}}, "r")


def test_captions_and_comparisons_of_the_whole_corpus(root: Path, tmp_path: Path) -> None:
    recipe = made_by(root, tmp_path, comparisons=8, validation_comparisons=3)
    seen: list[tuple[int, int]] = []
    made = make_examples(recipe, lambda done, of: seen.append((done, of)))
    assert made.by_kind == {"train caption": 12, "train comparison": 8, "validation caption": 6, "validation comparison": 3}
    assert (made.written, made.refused, made.failed) == (29, 0, {})
    assert seen[0] == (0, 29)
    assert seen[-1] == (29, 29)
    examples = read_examples(tmp_path / "examples.jsonl")
    for example in examples:
        assert all(Path(sound).is_file() for sound in example.sounds)
        if example.kind == "caption":
            assert read_rating(example.answer).value == example.ratings[0].mos
        else:
            assert read_summary(example.answer) == preferred(*example.ratings).winner in ("first", "second")
    winners = Counter(read_summary(e.answer) for e in of_split(examples, "train") if e.kind == "comparison")
    assert set(winners) == {"first", "second"}


def test_the_same_recipe_gives_the_same_file_and_another_seed_other_pairs(root: Path, tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_examples(made_by(root, tmp_path / name, seed, captions=5, comparisons=4))
        files.append((tmp_path / name / "examples.jsonl").read_bytes())
    assert files[0] == files[1] != files[2]
    ids = [[task.id for task in plan(made_by(root, tmp_path, seed, captions=5))] for seed in (1, 2)]
    assert len(ids[0]) == len(set(ids[0])) == 10


def test_pairs_are_told_apart_by_their_ratings_and_drawn_once(root: Path, tmp_path: Path) -> None:
    tasks = [t for t in plan(made_by(root, tmp_path, captions=1, comparisons=20, tie=0.5)) if t.kind == "comparison"]
    pairs = [frozenset(row.path.name for row in task.rows) for task in tasks]
    assert len(set(pairs)) == len(pairs) == 20
    assert all(abs((t.rows[0].ratings.mos or 0) - (t.rows[1].ratings.mos or 0)) > 0.5 for t in tasks)
    with pytest.raises(InputError, match=r"the train side has too few pairs that differ by more than 3\.8: 0 of 1"):
        list(plan(made_by(root, tmp_path, captions=1, comparisons=1, tie=3.8)))


def test_a_part_can_be_split_by_recording(root: Path, tmp_path: Path) -> None:
    make_examples(made_by(root, tmp_path, validation=[], held_out=0.4))
    examples = read_examples(tmp_path / "examples.jsonl")  # refuses sides that are not apart
    sides = {split: {e.origins[0] for e in of_split(examples, split)} for split in ("train", "validation")}  # type: ignore[arg-type]
    assert len(examples) == 12
    assert sides["train"]
    assert sides["validation"]
    assert not sides["train"] & sides["validation"]


def test_a_corpus_whose_parts_share_recordings_is_refused(root: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root / "corpus", tmp_path / "corpus")
    table = tmp_path / "corpus" / "NISQA_VAL_SIM" / "NISQA_VAL_SIM_file.csv"
    table.write_text(table.read_text().replace("rec1_0.wav", "rec0_0.wav").replace("c00000_rec0_0", "c00000_rec1_0")
                     .replace("c00001_rec0_0", "c00001_rec1_0").replace("c00002_rec0_0", "c00002_rec1_0"))  # fmt: skip
    with chatting(answer="x") as server:
        with pytest.raises(InputError, match=r"among them the recording rec0_0\.wav"):
            make_examples(through(tmp_path, tmp_path, server.endpoint()))
        assert server.requests == []  # before anything is paid for


# ---------------------------------------------------------------- a language model behind a server


def rated(request: Request) -> dict[str, float]:
    """The ratings that the model was told."""
    found: dict[str, float] = json.loads(re.findall(r"\{.*?\}", request.said)[0])
    return found


def through(root: Path, folder: Path, endpoint: Any, **data: Any) -> Recipe:
    recipe = made_by(root, folder, describer="language_model", options={"endpoint": "openai", "model": "m"}, **data)
    import msgspec

    return msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, endpoints={"openai": endpoint}))


def test_the_five_published_samplings_are_asked_for(root: Path, tmp_path: Path) -> None:
    with chatting(answer=lambda request: f"It is as it is. MOS: {rated(request)['mos']}") as server:
        recipe = through(root, tmp_path, server.endpoint(), captions=2, variants=list(VARIANTS))
        made = make_examples(recipe)
    assert made.by_kind == {"train caption": 10, "validation caption": 10}
    sent = Counter((request.body["temperature"], request.body["top_p"]) for request in server.requests)
    assert sent == dict.fromkeys(VARIANTS.values(), 4)
    assert len({request.body["seed"] for request in server.requests}) == 20
    examples = read_examples(tmp_path / "examples.jsonl")
    assert Counter(example.variant for example in examples) == dict.fromkeys(VARIANTS, 4)
    assert len({example.writer for example in examples}) == 5


def test_a_describer_that_draws_nothing_has_one_sampling(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'template' has no temperature and top_p"):
        make_examples(made_by(root, tmp_path, variants=["base", "t0.9-p0.85"]))


def test_what_contradicts_its_ratings_is_written_again_and_then_left_out(root: Path, tmp_path: Path) -> None:
    asked: Counter[float] = Counter()

    def answer(request: Request) -> str:
        mos = rated(request)["mos"]
        asked[mos] += 1
        if mos == 1.2:
            return "The overall quality is excellent. MOS: 4.9"  # never right
        if mos == 3.5 and asked[mos] == 1:
            return "Nice."  # no rating at first
        return f"MOS: {mos}"

    with chatting(answer=answer) as server:
        recipe = through(root, tmp_path, server.endpoint(connections=1), tries=3)
        made = make_examples(recipe)
    records = {record.id: record for record in read_lines(tmp_path / "examples.made.jsonl", Made)}
    refused = [record for record in records.values() if record.refused]
    assert made.refused == len(refused) >= 1
    assert all(record.tries == 3 and not record.answer for record in refused)
    assert "mos: says 'excellent', rated 1.2" in refused[0].refused
    assert "mos: says '4.9', rated 1.2" in refused[0].refused
    assert asked[1.2] == 3 * len(refused)
    assert any(record.tries == 2 and record.answer == "MOS: 3.5" for record in records.values())
    examples = read_examples(tmp_path / "examples.jsonl")
    assert len(examples) == made.written == 18 - len(refused)
    assert all(example.ratings[0].mos != 1.2 for example in examples)


def test_what_failed_is_asked_again_and_what_is_done_is_not(root: Path, tmp_path: Path) -> None:
    broken = [True]

    def meddle(request: Request) -> web.Response | None:
        if broken[0] and rated(request)["mos"] > 3.0:
            return web.json_response({"error": {"message": "no"}}, status=400)
        return None

    with chatting(answer=lambda request: f"MOS: {rated(request)['mos']}") as server:
        server.meddle = meddle
        recipe = through(root, tmp_path, server.endpoint())
        made = make_examples(recipe)
        assert made.failed == {"refused": 18 - made.written}
        assert 0 < made.written < 18
        # A crash in the middle of a line.
        kept = tmp_path / "examples.made.jsonl"
        kept.write_bytes(kept.read_bytes()[:-5])
        server.requests.clear()
        broken[0] = False
        again = make_examples(recipe)
        assert (again.written, again.failed) == (18, {})
        assert len(server.requests) == 18 - made.written + 1
        server.requests.clear()
        assert make_examples(recipe) == again
        assert server.requests == []


def test_what_nothing_can_mend_stops_at_once(root: Path, tmp_path: Path) -> None:
    with chatting(answer="x") as server:
        server.meddle = lambda request: web.json_response({"error": {"message": "who are you"}}, status=401)
        with pytest.raises(InputError, match="key"):
            make_examples(through(root, tmp_path, server.endpoint()))


def test_more_comparisons_than_there_are_pairs_are_refused_at_once(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the train side has \d+ sounds and so \d+ pairs, 1000000000 comparisons are asked for"):
        make_examples(made_by(root, tmp_path, comparisons=1_000_000_000))


def test_the_corpus_is_never_written_over(root: Path, tmp_path: Path) -> None:
    table = tmp_path / "NISQA_corpus_file.csv"
    table.write_text("db,con\n")
    recipe = made_by(root, tmp_path)
    recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, examples=str(table)))
    with pytest.raises(InputError, match=r"a name that ends in \.jsonl"):
        make_examples(recipe)
    assert table.read_text() == "db,con\n"


def test_nothing_usable_is_no_file(root: Path, tmp_path: Path) -> None:
    with chatting(answer="MOS: 4.94") as server, pytest.raises(InputError, match="no text could be used"):
        make_examples(through(root, tmp_path, server.endpoint(), tries=1))
    assert not (tmp_path / "examples.jsonl").exists()
    with pytest.raises(InputError, match=r"data\.corpus is not given"):
        make_examples(made_by(root, tmp_path, corpus=""))
