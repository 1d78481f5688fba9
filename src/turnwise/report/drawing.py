"""A figure drawn: Vega-Lite in, clean SVG and PNG out.

Figures are drawn when the page is built, by the Vega-Lite that vl-convert carries, and put into the page as SVG: nothing is
evaluated in the reader's browser, the page's security policy stays closed, and the figure in a paper is the figure on the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from turnwise.foundation.errors import MissingDependency
from turnwise.report.theme import FONT, colour, for_file, for_page

SCALE = 2  # pixels of a PNG per unit of the drawing
Spec = dict[str, Any]

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = {"svg", "g", "path", "line", "rect", "text", "tspan", "circle"}
_PLACE = {"d", "x", "y", "x1", "x2", "y1", "y2", "r", "cx", "cy", "width", "height", "viewBox", "transform"}
_PAINT = {"fill", "stroke", "opacity", "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linejoin"}
_ATTRIBUTES = _PLACE | _PAINT | {"stroke-linecap", "text-anchor", "font-family", "font-size", "font-weight"}
_MARK = "graphics-symbol"
_GUIDES = {"axis", "legend", "title"}
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")  # a hundredth of a unit is beyond what a screen shows


@dataclass(frozen=True)
class Figure:
    """A specification with what a reader who cannot see it needs."""

    name: str  # of its files
    title: str
    text: str  # what it shows, in words
    spec: Spec


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG with stand-in colours."""

    figure: Figure
    svg: str

    @property
    def page(self) -> str:
        """For a page: colours follow the theme, fonts the page."""
        return for_page(self.svg)

    @property
    def file(self) -> str:
        """For a file: the light theme on white."""
        return for_file(self.svg.replace(">", f'><rect width="100%" height="100%" fill="{colour("panel")}"/>', 1))

    def png(self) -> bytes:
        made: bytes = _converter().svg_to_png(self.file, scale=SCALE)
        return made


def draw(figure: Figure) -> Drawing:
    """Draw a figure."""
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "padding": {"left": 4, "right": 4, "top": 4, "bottom": 4},
        "background": None,
        "config": _CONFIG,
        **figure.spec,
    }
    return Drawing(figure, clean(_converter().vegalite_to_svg(whole), figure))


def clean(svg: str, figure: Figure) -> str:
    """Only shapes, words and numbers, with a name for the whole and one for every mark that has something to say."""
    root = ElementTree.fromstring(_without_controls(svg))
    made = _keep(root)
    assert made is not None
    width, height = root.get("width", "0"), root.get("height", "0")
    made.attrib.update({"viewBox": f"0 0 {width} {height}", "width": width, "height": height})
    said = _without_controls(f"{figure.title}. {figure.text}")
    made.attrib.update({"xmlns": _SVG, "role": "img", "aria-label": said})
    return ElementTree.tostring(made, encoding="unicode")


def _keep(element: ElementTree.Element) -> ElementTree.Element | None:
    tag = element.tag.rpartition("}")[2]
    if tag not in _ELEMENTS or element.get("display") == "none":
        return None
    attributes = {name: value for name, value in element.attrib.items() if name in _ATTRIBUTES}
    if tag == "path" and attributes.get("d") in (None, "", "M0,0h0v0h0Z"):
        return None
    if element.get("role") == _MARK and element.get("aria-roledescription") not in _GUIDES and element.get("aria-label"):
        attributes["data-tip"] = element.attrib["aria-label"]
    for name in ("d", "transform", "x", "y", "x1", "x2", "y1", "y2"):
        if name in attributes:
            attributes[name] = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", attributes[name])
    if attributes.get("opacity") == "1":
        del attributes["opacity"]
    made = ElementTree.Element(tag, attributes)
    made.text = element.text
    for child in element:
        kept = _keep(child)
        if kept is not None:
            made.append(kept)
    if tag == "g" and not len(made):
        return None
    return made


def _without_controls(text: str) -> str:
    """XML has no way to write most control characters."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise MissingDependency("vl-convert-python", "pip install vl-convert-python") from error
    return vl_convert


_CONFIG: Spec = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": colour("muted"),
        "titleColor": colour("muted"),
        "gridColor": colour("line"),
        "domainColor": colour("line"),
        "tickColor": colour("line"),
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 6,
        "ticks": False,
        "labelPadding": 5,
        "domain": False,
    },
    "text": {"color": colour("ink"), "fontSize": 11},
    "rule": {"color": colour("line")},
}
