"""The report of a run: one page that opens from disk, and the tables and figures beside it.

The page asks nothing of a network and its security policy forbids it: scripts and styles are named by their hash, every
connection is refused, and nothing from the data is ever read as markup. The same results give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup

import turnwise
from turnwise.foundation.fingerprint import digest, fingerprint
from turnwise.foundation.whole_file import write_whole
from turnwise.report import sections, sound_section
from turnwise.report.charts.latency import STAGES
from turnwise.report.dialogue_blocks import Packed, pack
from turnwise.report.figures import Figures, draw_all, subset_size
from turnwise.report.judge_tables import cost_sheets, judge_sheets
from turnwise.report.numbers import chance, direction, interval, spoken, value
from turnwise.report.tables import latex_tables, markdown_report, shares
from turnwise.report.theme import css, for_file
from turnwise.statistics.judge_findings import judge_findings
from turnwise.statistics.summary import Summary, summarise
from turnwise.statistics.summary_json import summary_bytes
from turnwise.statistics.table import tidy
from turnwise.statistics.wording import between, plain, signed
from turnwise.study.results import Results

if TYPE_CHECKING:
    import polars

STYLES = ("page.css", "dialogue.css")
SCRIPTS = ("page.js", "store.js", "player.js", "dialogue.js", "browse.js")
GLYPHS = "●■▲◆✚▼▶◀"  # of the shapes in figures, in the same order
BLOCKS_HERE = Markup("<!--blocks-->")  # no data can forge it: the template escapes every "<"
_SCRIPT = b'<script type="application/octet-stream" id="block-%d">%s</script>\n'


def build(
    results: Results, out: Path | str, *, embed_audio: bool = False, figures: bool = True, summary: Summary | None = None
) -> Path:
    """Write the page, its tables and its figures into the folder `out`; returns the page's path.

    `summary` saves computing it again where the caller has it; `figures=False` leaves the figure files out, the page has its own.
    """
    out = Path(out)
    key = report_key(results, embed_audio=embed_audio)
    table = tidy(results)
    if summary is None:
        summary = summarise(results, table=table)
    page = out / "report.html"
    _make_folder(out)
    write_tables(table, summary, out)
    del table
    packed = pack(results, summary, page, embed_audio=embed_audio)
    drawn = draw_all(summary, for_files=figures)
    if figures:
        write_figures(drawn, out / "figures")
    # The page comes last: where it stands with its key, everything beside it is of the same results.
    write_whole(page, render(results, summary, drawn, packed, key))
    return page


# The name under which the package offers it, where "build" alone would not say what.
build_report = build


def report_key(results: Results, *, embed_audio: bool) -> str:
    """Name of a report: of the results, wherever they lie, and of the program that shows them."""
    state = hashlib.blake2b(digest_size=16)
    encode = msgspec.json.Encoder().encode
    state.update(encode([results.study, results.plan, results.created, results.tool, results.notes, results.instruments]))
    state.update(encode([sorted(results.arm_models.items()), results.expenses]))
    for conversation in results.conversations:
        state.update(encode(conversation))
    return fingerprint("report", state.hexdigest(), turnwise.__version__, program(), embed_audio)


@lru_cache(maxsize=1)
def program() -> str:
    """Name of the files that make the report: its own, and those that make its numbers."""
    here, numbers = files("turnwise.report"), files("turnwise.statistics")
    folders = (here, here.joinpath("charts"), here.joinpath("assets"), numbers)
    found = [p for folder in folders for p in sorted(folder.iterdir(), key=lambda p: p.name) if p.is_file()]
    return digest(b"\0".join(p.read_bytes() for p in found))


def render(results: Results, summary: Summary, drawn: Figures, packed: Packed, key: str) -> bytes:
    """The page."""
    import jinja2

    style = css() + arm_classes() + "".join(_asset(name) for name in STYLES)
    script = "".join(_asset(name) for name in SCRIPTS)
    criteria = {i.criterion.name: i.criterion for i in summary.instruments}
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        spoken=spoken,
        direction=direction,
        value=value,
        interval=interval,
        chance=chance,
        plain=_word(plain),
        signed=_word(signed),
        ends=lambda low, high: "no interval" if low is None or high is None else between(low, high),
        criterion=criteria.__getitem__,
    )
    headline, groups = sections.finding_groups(summary)
    judged, paid = judge_sheets(summary), cost_sheets(summary)
    heard = sections.curve_cards(summary, drawn, sound=True)
    empty = {name for name, shown in (("judges", judged), ("cost", paid), ("sound", heard)) if not shown}
    text = environment.get_template("page.html.jinja").render(
        key=key,
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        facts=Markup(_packed(sections.facts(summary))),
        index=Markup(packed.index.decode()),
        blocks=BLOCKS_HERE,
        summary=summary,
        glyphs=GLYPHS,
        sections=[(place, name) for place, name in sections.SECTIONS if place not in empty],
        headline=headline,
        groups=groups,
        shown=sections.shown(summary),
        overview=sections.overview(summary),
        judges=judged,
        kinships=[finding.text for finding in judge_findings(summary)[: len(summary.kinships)]],
        costs=paid,
        curves=sections.curve_cards(summary, drawn, sound=False),
        heard=heard,
        by_ear=sound_section.by_ear(results, summary, drawn),
        sound_matrix=sound_section.against_sense(summary),
        subset=subset_size(summary),
        profile=drawn.profile,
        survival=drawn.survival,
        latency=drawn.latency,
        timed=sections.timed(summary),
        kept=sections.kept(summary),
        shares=shares,
        stages=STAGES,
        matrices=sections.matrices(summary),
        contrasts=sections.contrast_groups(summary),
        accounting=sections.accounting(summary),
        fields=sections.FIELDS,
        declared=sections.declared(results, summary),
        ears=sections.ears(results, summary),
        reproduce=sections.reproduce(results, summary),
        cite=sections.cite(results),
    )
    # The blocks are most of the page: they are joined as they are instead of passing through the template.
    head, tail = text.split(BLOCKS_HERE)
    blocks = [_SCRIPT % (number, block) for number, block in enumerate(packed.blocks())]
    return b"".join([head.encode(), *blocks, tail.encode()])


def policy(style: str, script: str) -> str:
    """What the page may do: run its own script, show its own style, play sound from within or beside it. Nothing else."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; media-src 'self' file: data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def arm_classes() -> str:
    """A colour per arm, by its place in the study."""
    return "".join(f".arm{k}{{--c:var(--arm{k})}}" for k in range(len(GLYPHS))) + "\n"


def write_tables(table: polars.DataFrame, summary: Summary, out: Path) -> None:
    """The tidy table, the summary, and both as a paper wants them."""
    write_whole(out / "table.parquet", _bytes(lambda file: table.write_parquet(file)))
    write_whole(out / "table.csv", _bytes(lambda file: table.write_csv(file)))
    write_whole(out / "summary.json", summary_bytes(summary))
    write_whole(out / "report.md", markdown_report(summary).encode())
    write_whole(out / "tables.tex", latex_tables(summary).encode())


def write_figures(drawn: Figures, folder: Path) -> None:
    """Every figure as SVG and as its Vega-Lite specification, the main ones as PNG too; figures of earlier results go."""
    _make_folder(folder)
    wanted: dict[str, bytes] = {}
    for drawing in drawn.all():
        wanted[f"{drawing.figure.name}.svg"] = drawing.file.encode()
        spec = for_file(msgspec.json.encode(drawing.figure.spec).decode())
        wanted[f"{drawing.figure.name}.vl.json"] = msgspec.json.format(spec.encode(), indent=1)
    for drawing in drawn.main():
        wanted[f"{drawing.figure.name}.png"] = drawing.png()
    for name, data in wanted.items():
        write_whole(folder / name, data)
    for path in sorted(folder.iterdir()):
        if path.name not in wanted and path.name.endswith((".svg", ".png", ".vl.json")):
            path.unlink()


def _make_folder(folder: Path) -> None:
    from turnwise.study.run_folder import RunFolder

    RunFolder(folder).create()


def _bytes(write: Callable[[io.BytesIO], Any]) -> memoryview:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getbuffer()


def _word(say: Callable[..., str]) -> Callable[..., str]:
    """Like `say`, with a dash where there is no number."""
    return lambda number, decimals=1: "–" if number is None else say(number, decimals)


def _packed(record: Any) -> str:
    return base64.b64encode(zlib.compress(msgspec.json.encode(record))).decode("ascii")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=32)
def _asset(name: str) -> str:
    return files("turnwise.report").joinpath("assets", name).read_text(encoding="utf-8")
