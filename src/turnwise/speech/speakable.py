"""A reply's words as a voice should be given them: without markup, with every word.

Chat models write for the eye: emphasis marks, headings, bullets, code ticks, links, emoji. A synthesizer would read the signs
aloud. Only signs go; brackets that hold words stay, because a bracket may be a telephone number: `Call (312) 555-0100`. A link
keeps its words; a bare address stays. Done twice, it changes nothing more.
"""

from __future__ import annotations

import re
import unicodedata

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:[-*+•][ \t]+|>[ \t]?)+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]+)\]\((?:https?://|/|#|mailto:)[^()\s]*\)")
_EMPHASIS = re.compile(r"(?<![\w*_])([*_]{1,3})(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*_])")
_TICKS = re.compile(r"`+([^`\n]*)`+")
_BREAK = re.compile(r"\s*\n\s*")
_ENDED = re.compile(r"[.!?:;,\"')\]]$")


def speakable(text: str) -> str:
    """The text without signs that are not to be spoken."""
    before = None
    while before != text:  # marks within marks
        before, text = text, _once(text)
    return text


def _once(text: str) -> str:
    for pattern in (_FENCE, _RULE):
        text = pattern.sub("", text)
    for pattern in (_HEADING, _BULLET):
        text = pattern.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _TICKS.sub(r"\1", text)
    text = "".join(" " if _is_picture(letter) else letter for letter in text)
    # A line that ends without a stop would run into the next one when spoken.
    lines = [" ".join(line.split()) for line in _BREAK.split(text.strip())]
    spoken = [
        line if _ENDED.search(line) or number == len(lines) - 1 else f"{line}." for number, line in enumerate(lines) if line
    ]
    return " ".join(spoken)


def _is_picture(letter: str) -> bool:
    """Emoji, their joiners and other symbols without a spoken form; signs such as $, %, + and ° are read aloud and stay."""
    if letter in "\u200d\ufe0f\u20e3":
        return True
    return unicodedata.category(letter) == "So" and letter not in "°©®™№"
