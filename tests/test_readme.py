"""What the README shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_session_of_ten_lines(tmp_path: Path) -> None:
    (session,) = blocks("python")
    assert len([line for line in session.splitlines() if line.strip()]) <= 12
    done = subprocess.run([sys.executable, "-W", "error", "-c", session], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "tiny" / "report.html").exists()
    assert "memory" in done.stdout


def test_the_study_file_is_read(tmp_path: Path) -> None:
    from turnwise.study.study_file import load_study

    (study,) = blocks("toml")
    (tmp_path / "study.toml").write_text(study)
    loaded = load_study(tmp_path / "study.toml")
    assert [arm.context.past for arm in loaded.arms] == ["all", 0]
    assert loaded.user.perturb[0].options == {"snr": 15}


def test_every_verb_of_the_readme_exists_and_every_verb_is_in_it() -> None:
    said = subprocess.run([sys.executable, "-m", "turnwise", "--help"], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^  ([a-z]+)  ", said.partition("Commands:")[2], re.MULTILINE))
    named = set(re.findall(r"turnwise ([a-z]+)", README))
    assert verbs <= named
    for verb in sorted(verbs):
        page = subprocess.run(
            [sys.executable, "-m", "turnwise", verb, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert "Example" in page


def test_files_the_readme_links_to_exist() -> None:
    for target in re.findall(r"\]\(([^)h][^)]*)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+) ", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
