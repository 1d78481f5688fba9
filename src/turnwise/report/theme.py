"""Colours of pages and figures, light and dark, in one list.

A figure is drawn once with stand-in colours, one per name below. In a page they become CSS variables, so one drawing serves
both themes; in a file they become the light theme's colours. The arms' colours differ in lightness as well as in hue
(after Okabe and Ito's palette, which people with any colour vision can tell apart), each stands out at least 3:1 from its
background, and shape, dash and a label at the line's end say the same once more.
"""

from __future__ import annotations

import re

# name: (light, dark)
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#f7f7f4", "#14171a"),
    "panel": ("#ffffff", "#1c2024"),
    "sunken": ("#f0f0ec", "#23282d"),
    "ink": ("#1d2126", "#e9eaec"),
    "muted": ("#5a616a", "#a3abb4"),
    "line": ("#dcdcd6", "#363c43"),
    "accent": ("#1f5f8f", "#7fb8e6"),
    "onaccent": ("#ffffff", "#10202c"),
    "lost": ("#a8321f", "#ff9d87"),
    "lostwash": ("#fbeeea", "#3a2622"),
    "arm0": ("#0069a8", "#5ab4ec"),
    "arm1": ("#c4500a", "#f58f55"),
    "arm2": ("#00805c", "#2fc79c"),
    "arm3": ("#a3447f", "#e897c6"),
    "arm4": ("#8a6500", "#e3b53a"),
    "arm5": ("#5b4bb0", "#b4a8f5"),
    "arm6": ("#3d7d8c", "#86cfe0"),
    "arm7": ("#66625c", "#bdb8b0"),
    # From strongly negative through none to strongly positive: orange, grey, blue.
    "r0": ("#b4530f", "#c9681f"),
    "r1": ("#e09a5f", "#8f5426"),
    "r2": ("#f3d3b8", "#56402f"),
    "r3": ("#ededea", "#2c3136"),
    "r4": ("#c3daec", "#2b4356"),
    "r5": ("#79aed6", "#2f658f"),
    "r6": ("#1f6aa5", "#4a97d0"),
    "onr": ("#ffffff", "#0d1114"),  # text on the two strong ends
}
ARMS = 8  # colours for arms before they repeat
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 3], [1, 3], [6, 2, 1, 2, 1, 2])
# Figures are laid out by the metrics of Arial and its free twins; another font in the browser would not fit its space.
FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"

_NAMES = tuple(COLOURS)
_STAND_IN = re.compile(r"#0a0b([0-9a-f]{2})")


def colour(name: str) -> str:
    """The stand-in for a colour in a specification."""
    return f"#0a0b{_NAMES.index(name):02x}"


def arm_colour(place: int) -> str:
    return colour(f"arm{place % ARMS}")


def for_page(svg: str) -> str:
    """Stand-ins as CSS variables."""
    return _STAND_IN.sub(lambda found: f"var(--{_NAMES[int(found[1], 16)]})", svg)


def for_file(text: str) -> str:
    """Stand-ins as the light theme's colours."""
    return _STAND_IN.sub(lambda found: COLOURS[_NAMES[int(found[1], 16)]][0], text)


def css() -> str:
    """The variables: light, dark where the system asks for it, and either by the reader's choice."""
    light, dark = (";".join(f"--{name}:{pair[k]}" for name, pair in COLOURS.items()) for k in (0, 1))
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        f"@media print{{:root,:root[data-theme=dark]{{color-scheme:light;{light}}}}}\n"
    )


def contrast(first: str, second: str) -> float:
    """WCAG's ratio of two colours, 1 to 21."""
    bright, dim = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(hexadecimal: str) -> float:
    parts = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
