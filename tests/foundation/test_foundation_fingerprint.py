"""Fingerprints and seeds: the same everywhere, different for different content."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from turnwise.foundation.fingerprint import canonical, digest, file_digest, fingerprint, seed_of, source_digest

PARTS = st.lists(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)


def test_fingerprints_are_fixed_for_ever() -> None:
    """A change here renames every cell of every ledger."""
    assert fingerprint("reply", 1, None, 0.5, True) == "b2:16f9f7bfe6baaef0c6690fcd879dd365"
    assert digest(b"turnwise") == "b2:f1fdf62775fa6392689a38bc7f1f5295"
    assert seed_of("study", 1, "reply") == 2299784096723528160


@given(PARTS, PARTS)
def test_equal_parts_equal_names(a: list[object], b: list[object]) -> None:
    assert (fingerprint(*a) == fingerprint(*b)) == (canonical(a) == canonical(b))  # type: ignore[arg-type]


def test_parts_do_not_run_together() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint("1") != fingerprint(1)


@given(PARTS)
def test_seeds_fit_every_generator(parts: list[object]) -> None:
    assert 0 <= seed_of(*parts) < 2**63  # type: ignore[arg-type]


def test_seeds_are_the_same_in_another_process() -> None:
    code = "from turnwise.foundation.fingerprint import seed_of; print(seed_of('a', 7))"
    seeds = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": h}).stdout
        for h in ("0", "12345")
    }
    assert seeds == {f"{seed_of('a', 7)}\n"}


def test_source_digest_ignores_comments_and_card_only(tmp_path: Path) -> None:
    file = tmp_path / "judge.py"
    file.write_text('"""Card."""\n\n# a reason\nLIMIT = 1\n')
    before = source_digest(file)
    file.write_text('"""Another\n\ncard."""\nLIMIT = 1\n\n# other reasons\n')
    assert source_digest(file) == before
    file.write_text('"""Card."""\nLIMIT = 2\n')
    assert source_digest(file) != before


def test_file_digest_is_the_digest_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x" * 3_000_000)
    assert file_digest(file) == digest(b"x" * 3_000_000)
