"""The house rules hold, and each of them can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import turnwise
from architecture import LONGEST, STAGES, breaches

PACKAGE = Path(turnwise.__file__).parent


def test_the_package_keeps_every_rule() -> None:
    assert breaches(PACKAGE) == []


@pytest.fixture
def house(tmp_path: Path) -> Path:
    root = tmp_path / "turnwise"
    for stage in STAGES:
        (root / stage).mkdir(parents=True)
        (root / stage / "__init__.py").write_text("")
    (root / "__init__.py").write_text('"""Ours."""\n')
    (root / "speech" / "clip.py").write_text('"""A clip."""\n')
    assert breaches(root) == []
    return root


@pytest.mark.parametrize(
    ("file", "text", "breach"),
    [
        ("speech/long.py", '"""Long."""\n' + "x = 1\n" * LONGEST, "more than"),
        ("speech/utils.py", '"""Sink."""\n', "forbidden name"),
        ("speech/bare.py", "x = 1\n", "no docstring"),
        ("judges/__init__.py", "x = 1\n", "not empty"),
        ("speech/up.py", '"""Up."""\nfrom turnwise.report.page import build\n', "stands to its right"),
        ("speech/hidden.py", '"""Up."""\ndef f():\n    from turnwise.report import page\n', "stands to its right"),
        (
            "speech/named.py",
            '"""Up."""\nfrom importlib import import_module\nimport_module("turnwise.study.plan")\n',
            "stands to its right",
        ),
        ("study/plugin.py", '"""Knows."""\nfrom turnwise.judges.bench.memory import judge\n', "names the plug-in"),
        ("speech/near.py", '"""Near."""\nfrom .clip import Clip\n', "relative import"),
        ("attic/old.py", '"""Old."""\n', "no place in the order"),
    ],
)
def test_each_rule_can_fail(house: Path, file: str, text: str, breach: str) -> None:
    (house / file).parent.mkdir(exist_ok=True)
    (house / file).write_text(text)
    found = breaches(house)
    assert len(found) == 1
    assert breach in found[0]


def test_import_is_light() -> None:
    """`import turnwise` loads nothing but itself; the modules that are slow to load are the ones that matter."""
    code = (
        "import sys; before = set(sys.modules); import turnwise; turnwise.__all__;"
        "print(*sorted(m.split('.')[0] for m in set(sys.modules) - before))"
    )
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "turnwise" in loaded
    assert not loaded & {"numpy", "polars", "scipy", "sklearn", "torch", "onnxruntime", "altair", "msgspec", "rich", "click"}


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv = ['turnwise', '--help']\n"
        "from turnwise.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "demo" in done.stdout
    assert not set(done.stderr.split()) & {"numpy", "polars", "scipy", "sklearn", "torch", "onnxruntime", "altair"}


def test_every_public_name_can_be_had() -> None:
    for name in turnwise.__all__:
        assert getattr(turnwise, name) is not None
    assert turnwise.__all__ == [
        "Abstention",
        "Agent",
        "Arm",
        "Clip",
        "Context",
        "Dialogue",
        "Fact",
        "Fault",
        "Judge",
        "Reply",
        "Results",
        "Score",
        "Silence",
        "Sound",
        "Study",
        "Turn",
        "TurnwiseError",
        "View",
        "__version__",
        "build_report",
        "carry_out",
        "load_results",
        "load_study",
        "read_study",
        "summarise",
        "tidy",
        "verify",
    ]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'sumarise'"):
        turnwise.sumarise  # noqa: B018
