"""A table for people: columns, rows of cells, bold where something stands out; as text, Markdown or LaTeX.

Everything in a cell may come from a model or a user, so each form escapes what would be markup in it.
"""

from __future__ import annotations

import re

import msgspec

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")
_BREAKS = re.compile(r"\s+")  # a line break in a cell would end the row


class Cell(msgspec.Struct, frozen=True):
    """What stands in one place of a table."""

    text: str
    bold: bool = False


class Sheet(msgspec.Struct, frozen=True):
    """A table with its heading; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(self.columns)} columns, but a row of {len(row)} cells")

    def text(self) -> str:
        """Aligned columns; bold cells carry a star."""
        starred = [[_flat(c.text) + ("*" if c.bold else "") for c in row] for row in self.rows]
        cells = [[_flat(c) for c in self.columns], *starred]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.columns))]
        lines = []
        for row in cells:
            first, *others = (c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
            lines.append("  ".join([first, *others]))
        lines.insert(1, "-" * len(lines[0]))
        note = ["", self.note] if self.note else []
        return "\n".join([self.title, "", *(line.rstrip() for line in lines), *note]) + "\n"

    def markdown(self) -> str:
        """A pipe table."""
        head = "| " + " | ".join(markdown_escaped(c) for c in self.columns) + " |"
        rule = "|" + "|".join(["---", *["---:"] * (len(self.columns) - 1)]) + "|"
        body = []
        for row in self.rows:
            cells = (f"**{markdown_escaped(c.text)}**" if c.bold else markdown_escaped(c.text) for c in row)
            body.append("| " + " | ".join(cells) + " |")
        note = ["", markdown_escaped(self.note)] if self.note else []
        return "\n".join([f"**{markdown_escaped(self.title)}**", "", head, rule, *body, *note]) + "\n"

    def latex(self) -> str:
        """A table environment for the booktabs package."""
        body = []
        for row in self.rows:
            cells = (rf"\textbf{{{latex_escaped(c.text)}}}" if c.bold else latex_escaped(c.text) for c in row)
            body.append(" & ".join(cells))
        caption = latex_escaped(self.title + (f". {self.note}" if self.note else ""))
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{caption}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
                r"\toprule",
                " & ".join(latex_escaped(c) for c in self.columns) + r" \\",
                r"\midrule",
                *(rf"{line} \\" for line in body),
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def row(name: str, *cells: str | Cell) -> tuple[Cell, ...]:
    """A row from plain texts and cells."""
    return (Cell(name), *(c if isinstance(c, Cell) else Cell(c) for c in cells))


def latex_escaped(text: str) -> str:
    """Text that LaTeX sets as it stands. A leading bracket is wrapped: after a row's end it would be read as an option."""
    made = "".join(_LATEX.get(c, c) for c in _flat(text))
    return "{[}" + made[1:] if made.startswith("[") else made


def markdown_escaped(text: str) -> str:
    """Text without markup in it."""
    return _MARKDOWN.sub(r"\\\1", _flat(text))


def _flat(text: str) -> str:
    return _BREAKS.sub(" ", text).strip()
