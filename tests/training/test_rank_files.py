"""Work shared by processes: batches are whole, also after a crash, and torn lines of any process are mended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tiny_describer import caption
from turnwise.foundation.errors import InputError
from turnwise.training.growing_file import read_lines
from turnwise.training.own_answers import Own, pairs
from turnwise.training.rank_files import RankFiles


class Done(msgspec.Struct, frozen=True):
    key: str


def process(index: int, of: int) -> Any:
    return SimpleNamespace(
        process_index=index, num_processes=of, is_main_process=index == 0, wait_for_everyone=lambda: None
    )  # fmt: skip


def files(folder: Path, index: int = 0, of: int = 1) -> RankFiles[Done]:
    return RankFiles(folder, "work", Done, lambda done: done.key, process(index, of))


BATCHES = ["ab", "cd", "ef", "g"]


def test_batches_go_round_and_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    assert files(tmp_path).share(BATCHES, str) == BATCHES
    assert [files(tmp_path, k, 3).share(BATCHES, str) for k in range(3)] == [["ab", "g"], ["cd"], ["ef"]]


def test_a_batch_of_which_a_part_is_missing_is_done_again_as_a_whole(tmp_path: Path) -> None:
    begun = files(tmp_path)
    begun.add(Done("a"), Done("b"), Done("e"))
    again = files(tmp_path, 0, 2)
    assert again.share(BATCHES, str) == ["cd", "g"]
    other = files(tmp_path, 1, 2)
    assert other.share(BATCHES, str) == ["ef"]
    other.add(Done("e"), Done("f"))
    assert [done.key for done in read_lines(tmp_path / "work.1.jsonl", Done)] == ["f"]
    assert sorted(other.all()) == ["a", "b", "e", "f"]


def test_what_a_process_tore_that_is_no_more(tmp_path: Path) -> None:
    files(tmp_path, 3, 4).add(Done("a"))
    with (tmp_path / "work.3.jsonl").open("ab") as torn:
        torn.write(b'{"ke')
    assert list(files(tmp_path).known) == ["a"]


def test_which_own_answers_teach_something() -> None:
    """One without an end differs from the expert's in that; one without a token is none."""
    examples = [caption(name, 2.0) for name in ("same", "endless", "nothing", "silent", "other")]
    own = {
        "same": Own("same", "MOS: 2.0"),
        "endless": Own("endless", "MOS: 2.0", whole=False),
        "nothing": Own("nothing", "", whole=False),
        "silent": Own("silent", ""),
        "other": Own("other", "MOS: 3.0"),
    }
    assert [example.id for example in pairs(examples, own)] == ["endless", "silent", "other"]
    with pytest.raises(InputError, match="or empty, every one: there is nothing for alld to learn"):
        pairs([examples[0], examples[2]], own)
