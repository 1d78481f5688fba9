"""The page of a folder that was listened to: one file that opens from disk, the oddest recordings first.

It stands under the same policy as the report of a study: scripts and styles are named by their hash, every connection is refused,
nothing from the data is read as markup. Sounds are played from beside the page, or from within it. Pictures are drawn for the
first `DRAWN` recordings, which are those that lie farthest from the others; the page is written piece by piece.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from statistics import median
from urllib.parse import quote

import msgspec
from markupsafe import Markup

import turnwise
from turnwise.foundation.errors import EngineError, InputError, MissingDependency, StorageError
from turnwise.listening.outliers import FEWEST, LEAST, ODD, Distance, distances
from turnwise.listening.ratings import DIMENSIONS, TITLES, Dimension, Moment, level, words
from turnwise.listening.recording import recording
from turnwise.listening.row import Row
from turnwise.listening.sound_check import read
from turnwise.report import sound_picture
from turnwise.report.page import policy
from turnwise.report.sound_picture import Picture, picture_of
from turnwise.report.theme import css

STYLES = ("page.css", "listening.css")
SCRIPTS = ("page.js", "listening.js")
DRAWN = 300  # recordings with pictures, of about 20 kB each
_PLAYED = {  # what browsers play as it is
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}


class Entry(msgspec.Struct, frozen=True):
    """One recording as the page shows it."""

    number: int
    row: Row
    distance: Distance | None
    picture: Picture | None
    sound: str  # address of the sound, "" where there is none
    silent: str  # why it has no picture or cannot be played, "" where all is well


class Column(msgspec.Struct, frozen=True):
    """A dimension over all recordings."""

    dimension: Dimension
    title: str
    count: int
    low: float | None
    middle: float | None
    high: float | None


def write_page(path: Path, rows: Sequence[Row], *, embed_audio: bool = False, drawn: int = DRAWN) -> None:
    """Write the page of these recordings."""
    found = distances([row.ratings for row in rows])
    order = sorted(range(len(rows)), key=lambda k: _oddity(rows[k], found[k]))
    entries = (_entry(place, rows[k], found[k], path, embed_audio, place < drawn) for place, k in enumerate(order))
    pieces = _rendered(rows, found, entries, drawn=min(drawn, len(rows)))
    part = path.with_name(f".part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w", encoding="utf-8") as file:
                for piece in pieces:
                    file.write(piece)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", "make room or permit writing there") from error


def _rendered(rows: Sequence[Row], found: Sequence[Distance | None], entries: Iterator[Entry], drawn: int) -> Iterator[str]:
    import jinja2

    style, script = css() + "".join(map(_asset, STYLES)), "".join(map(_asset, SCRIPTS))
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(level=level, words=words, number=_number, signed=_signed, line=_line, marks=_marks)
    # What a source says of one recording stands with it, in brackets; here only what was used.
    sources = sorted(
        {f"{d}: {said.partition(' (')[0]}" for row in rows if row.ratings for d, said in row.ratings.sources.items()}
    )
    return environment.get_template("listening.html.jinja").generate(
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        total=len(rows),
        rated=sum(row.ratings is not None and row.ratings.mos is not None for row in rows),
        troubled=sum(bool(row.troubles) for row in rows),
        odd=sum(distance is not None and distance.odd for distance in found),
        threshold=ODD,
        fewest=FEWEST,
        least=LEAST,
        drawn=drawn,
        columns=[_column(dimension, rows) for dimension in DIMENSIONS],
        dimensions=DIMENSIONS,
        titles=TITLES,
        sources=sources,
        tool=turnwise.__version__,
        width=sound_picture.WIDTH,
        height=sound_picture.HEIGHT,
        bands=sound_picture.BANDS,
        entries=entries,
    )


def _oddity(row: Row, distance: Distance | None) -> tuple[int, float, str]:
    """First what could not be rated, then the farthest from the others."""
    if row.troubles or row.ratings is None or row.ratings.mos is None:
        return 0, 0.0, row.file
    return 1, -abs(distance.z) if distance else 0.0, row.file


def _entry(place: int, row: Row, distance: Distance | None, page: Path, embed_audio: bool, draws: bool) -> Entry:
    path = Path(row.file)
    made, silent, sound = None, "", ""
    if not path.is_file():
        return Entry(place + 1, row, distance, None, "", "The file was not found when this page was made.")
    unread = any(trouble.step == "file" for trouble in row.troubles)
    if draws and not unread:
        try:
            file = recording(path)
            made = picture_of(file.blocks(), file.length, file.rate)
        except (InputError, EngineError, MissingDependency, OSError) as error:
            silent = f"It could not be drawn: {error}"
    if not unread:
        try:
            sound = _embedded(path) if embed_audio else _address(path, page)
        except (InputError, OSError) as error:
            silent = f"It could not be put into the page: {error}"
    return Entry(place + 1, row, distance, made, sound, silent)


def _address(path: Path, page: Path) -> str:
    """Where the sound lies, as seen from the page."""
    relative = os.path.relpath(path.resolve(), page.parent.resolve())
    # A first part with a colon would be read as the scheme of an address.
    return "./" + quote(os.fsencode(relative).replace(os.sep.encode(), b"/"))


def _embedded(path: Path) -> str:
    """The sound itself, as it is where browsers play it, else as WAV."""
    kind = _PLAYED.get(path.suffix.lower())
    if kind is not None:
        data = path.read_bytes()
    else:
        import soundfile

        sound, buffer = read(path).sound, io.BytesIO()
        soundfile.write(buffer, sound.samples, sound.rate, format="WAV", subtype="PCM_16")
        kind, data = "audio/wav", buffer.getvalue()
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _column(dimension: Dimension, rows: Sequence[Row]) -> Column:
    values = sorted(v for row in rows if row.ratings is not None and (v := row.ratings.value(dimension)) is not None)
    if not values:
        return Column(dimension, TITLES[dimension], 0, None, None, None)
    return Column(dimension, TITLES[dimension], len(values), values[0], median(values), values[-1])


def _line(timeline: Sequence[Moment], dimension: Dimension, seconds: float) -> str:
    """`d` of a path through the windows of a long recording, in a box of WIDTH by HEIGHT; it breaks where there is no rating."""
    pieces, drawing = [], False
    for moment in timeline:
        value = moment.ratings.value(dimension)
        if value is None:
            drawing = False
            continue
        x = (moment.start + moment.end) / 2 / seconds * sound_picture.WIDTH
        y = (5 - min(5.0, max(1.0, value))) / 4 * (sound_picture.HEIGHT - 8) + 4
        pieces.append(f"{'L' if drawing else 'M'}{x:.1f},{y:.1f}")
        drawing = True
    return "".join(pieces)


def _marks(seconds: float) -> list[tuple[float, str]]:
    """Places and names of a few round times."""
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800) if seconds / s <= 8), 3600)
    times = range(0, int(seconds) + 1, step)
    return [(t / seconds * sound_picture.WIDTH, f"{t} s" if seconds < 120 else f"{t // 60}:{t % 60:02}") for t in times]


def _number(value: float | None, decimals: int = 1) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")


@lru_cache(maxsize=16)
def _asset(name: str) -> str:
    return files("turnwise.report").joinpath("assets", name).read_text(encoding="utf-8")
