"""Published figures: what follows from them, exactly, and the claims they carry or not."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction

import msgspec
import pytest
from click.testing import CliRunner
from scipy import stats

from turnwise.cli.published import published_command
from turnwise.foundation.errors import InputError
from turnwise.statistics import claims as module
from turnwise.statistics.claims import Claim, claims
from turnwise.statistics.published_table import TABLES, Published, falls, means, published, ratios, sheets, tilts

# Mean and slope of every row of Table 5, calculated apart from this package.
CONSISTENCY = {
    "GPT-4o-m (T)": (95.75, 0.08, 0),
    "GPT-4o-m (M)": (90.95, 0.07, 0),
    "MiMo (E2E)": (74.48, -1.01, 5),
    "MiMo (M)": (70.16, -1.05, 0),
    "Omni-3B (E2E)": (29.63, -2.04, 9),
    "Omni-3B (M)": (76.60, -0.59, 2),
    "Omni-7B (E2E)": (70.71, -0.44, 4),
    "Omni-7B (M)": (86.96, -0.21, 0),
}
NATURALNESS = {
    "GPT-4o-m (T)": (92.26, 0.01, 0),
    "GPT-4o-m (M)": (89.14, 0.24, 0),
    "MiMo (E2E)": (71.69, -0.43, 0),
    "MiMo (M)": (66.21, -0.97, 0),
    "Omni-3B (E2E)": (28.83, -1.73, 9),
    "Omni-3B (M)": (73.55, -0.47, 0),
    "Omni-7B (E2E)": (68.43, -0.22, 0),
    "Omni-7B (M)": (82.74, -0.16, 0),
}
RATIOS = {
    "MiMo": (0.66, 2.52, 0.17, 3.26, 0.30),
    "Omni-3B": (3.51, 2.06, 7.11, 3.44, 6.68),
    "Omni-7B": (2.09, 3.15, 4.08, 5.30, 4.39),
}


@pytest.mark.parametrize(("key", "expected"), [("5c", CONSISTENCY), ("5n", NATURALNESS)])
def test_means_slopes_and_falls_of_table_5(key: str, expected: dict[str, tuple[float, float, int]]) -> None:
    (table,) = published(key)
    mean, tilt, fall = means(table), tilts(table), falls(table)
    assert list(table.rows) == list(expected)
    for name, (m, slope, count) in expected.items():
        assert (round(mean[name], 2), round(tilt[name], 2), len(fall[name])) == (m, slope, count)
        assert tilt[name] == pytest.approx(stats.linregress(range(10), table.rows[name]).slope)


def test_a_slope_near_the_middle_of_two_roundings_is_exact() -> None:
    values = [Fraction(v, 10) for v in (910, 880, 867, 859, 843, 859, 841, 904, 874, 859)]
    slope = sum((2 * k - 9) * v for k, v in enumerate(values)) / 165
    assert slope == Fraction(-354, 1650)
    (table,) = published("5c")
    assert tilts(table)["Omni-7B (M)"] == pytest.approx(float(slope))


def test_bold_cells_are_listed() -> None:
    fall = falls(published("5c")[0])
    assert fall["MiMo (E2E)"] == (5, 6, 7, 8, 10)
    assert fall["Omni-3B (E2E)"] == tuple(range(2, 11))
    assert fall["Omni-3B (M)"] == (4, 6)
    assert fall["Omni-7B (E2E)"] == (3, 5, 6, 9)


def test_ratio_table() -> None:
    found = {model: tuple(round(r, 2) for r in values) for model, values in ratios(published("2")[0]).items()}
    assert found == RATIOS


def claim_of(word: str) -> Claim:
    (found,) = [c for c in claims() if word in c.claim]
    return found


def test_verdicts() -> None:
    assert [(c.by, c.verdict) for c in claims()] == [
        ("paper", "holds in part"),
        ("paper", "holds in part"),
        ("paper", "holds in part"),
        ("check", "does not hold"),
        ("check", "holds"),
        ("paper", "cannot be checked"),
        ("check", "holds"),
        ("check", "does not hold"),
    ]
    modular = claim_of("M > E2E")
    assert "M > E2E holds for 2 of 3 models" in modular.evidence
    assert "MiMo no (naturalness 66.0 against 71.1, consistency 70.0 against 74.0)" in modular.evidence
    assert "better on generic 0.66, repetition 0.17, memory 0.30" in claim_of("severely than").evidence
    falling = claim_of("degrade").evidence
    assert "MiMo naturalness: rounds more than 10 below R1 0 (E2E), 0 (M); slope −0.43, −0.97; R1 minus R10 1.2, 7.8" in falling
    assert "R1 minus R10 14.5, 8.1" in falling
    assert "at most 0.59 in 16 comparisons" in claim_of("rows of Table 5").evidence
    assert "10,175 turns (printed 10,175); the intents sum to 500" in claim_of("sizes").evidence


def test_verdicts_follow_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """With MiMo's two rows swapped, the first claim holds for all three models."""
    original = module.published

    def swapped(*keys: str) -> tuple[Published, ...]:
        made = []
        for table in original(*keys):
            rows = dict(table.rows)
            if "MiMo (M)" in rows:
                rows["MiMo (E2E)"], rows["MiMo (M)"] = rows["MiMo (M)"], rows["MiMo (E2E)"]
            made.append(msgspec.structs.replace(table, rows=rows))
        return tuple(made)

    monkeypatch.setattr(module, "published", swapped)
    assert claims()[0].verdict == "holds"


def test_every_table_has_source_and_date() -> None:
    assert {t.key.rstrip("cn") for t in published()} == set(TABLES)
    for table in published():
        assert table.source
        assert table.date
        assert all(table.source in sheet.note for sheet in sheets(table)[:1])
    assert published("salesagent")[0].of("SalesAgent model", "consistency") == 78.12
    assert published("1")[0].of("GPT-4o-m (T)", "quality") is None
    with pytest.raises(InputError, match="'9'"):
        published("9")


def test_the_command_prints_tables_and_claims() -> None:
    done = CliRunner().invoke(published_command, [])
    assert done.exit_code == 0
    for heading in ("Table 1.", "Table 2.", "Table 3.", "Table 4.", "Table 5. Consistency", "Table 5. Naturalness", "SalesAgent"):
        assert heading in done.output
    assert "HOLDS IN PART (paper)" in done.output


def test_the_command_in_strict_json() -> None:
    done = CliRunner().invoke(published_command, ["--table", "5", "--json"])
    made = json.loads(done.output, parse_constant=lambda c: pytest.fail(c))
    assert [t["key"] for t in made["tables"]] == ["5c", "5n"]
    assert made["tables"][0]["computed"]["slope"]["MiMo (M)"] == -1.05
    assert made["tables"][0]["computed"]["falls"]["Omni-3B (M)"] == [4, 6]
    assert all("5" in claim["tables"] for claim in made["claims"])


@pytest.mark.parametrize(("form", "sign"), [("--latex", r"\begin{tabular}"), ("--markdown", "|---|")])
def test_the_command_in_other_forms(form: str, sign: str) -> None:
    done = CliRunner().invoke(published_command, ["--table", "2", form])
    assert done.exit_code == 0
    assert done.output.count(sign) == 3  # the table, its ratios, the claims
    assert "3.51" in done.output


def test_a_wrong_table_is_a_usage_error() -> None:
    done = CliRunner().invoke(published_command, ["--table", "7"])
    assert done.exit_code == 2
    assert "'7' is not one of" in done.output


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, turnwise.cli.published; print([m for m in ('numpy', 'polars', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
