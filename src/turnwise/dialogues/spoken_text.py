"""The words of a turn that are meant to be spoken, out of text that holds more than words.

Written dialogues carry what a voice must not read aloud: a turn wrapped in quotation marks (`"Hi there."`), a stage direction
(`*pause*`, `(laughs)`), an emphasis mark (`*really*`). Each is taken out and said. Brackets that hold words to be spoken stay:
`(312) 555-0100`, `(the one on Main Street)`. Every function here leaves its own result unchanged.
"""

from __future__ import annotations

import re

QUOTES = (('"', '"'), ("\u201c", "\u201d"), ('\\"', '\\"'))

# What people are seen or heard to do; as a noun ("a long pause"), or as a verb in one of its forms ("softly laughing").
_MANNERS = """
    beam blink blush chuckle clap cough exhale frown gasp gesture giggle grin groan gulp hesitate inhale laugh mumble murmur
    nod pause ponder scoff shrug sigh smile smirk sniff snort sob stammer stutter whisper wince wink yawn
"""
# These also begin ordinary asides, "(types of tea)" or "(clear skies)", so they count between stars only.
_STARRED = "breathe clear cry glance hum lean listen look pat raise roll scratch take tilt tap think type wait wave"
MANNERS = frozenset(_MANNERS.split())
STARRED_MANNERS = MANNERS | frozenset(_STARRED.split())
SOUNDS = MANNERS | {"laughter", "silence", "applause", "beat"}
SUBJECTS = frozenset({"he", "she", "they", "both", "the", "agent", "user", "customer", "speaker", "assistant"})
LONGEST_DIRECTION = 6  # words; more than that in brackets is something to say

_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]{1,80}?)(?<=\S)\1(?![\w*])")
_BRACKETS = re.compile(r"\(([^()\n]{1,80})\)|\[([^\[\]\n]{1,80})\]")


def mended(text: str) -> tuple[str, str]:
    """The text without characters no voice, file or page can carry, and which they were ("" where none)."""
    bad = sorted({letter for letter in text if _unspeakable(letter)})
    if not bad:
        return text, ""
    clean = "".join(" " if _unspeakable(letter) else letter for letter in text)
    return clean, "replaced by a space: " + ", ".join(f"U+{ord(letter):04X}" for letter in bad)


def unquoted(text: str) -> str:
    """The text without one pair of quotation marks around the whole of it."""
    text = text.strip()
    for opening, closing in QUOTES:
        if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : -len(closing)].strip()
            if inner and _is_whole(inner, opening, closing):
                return unquoted(inner)
    return text


def without_directions(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without its stage directions, and those directions as they stood."""
    found: list[str] = []

    def drop(match: re.Match[str]) -> str:
        starred = match.group(0).startswith("*")
        inner = match.group(2) if starred else match.group(1) or match.group(2)
        if not is_direction(inner, starred=starred):
            return match.group(0)
        found.append(match.group(0))
        return " "

    kept = _BRACKETS.sub(drop, _EMPHASIS.sub(drop, text))
    if not found:
        return text, ()
    kept = re.sub(r"[ \t]{2,}", " ", kept).strip()
    kept = re.sub(r" +([,.;:!?])", r"\1", kept)
    again, more = without_directions(kept)
    return again, tuple(found) + more


def without_emphasis(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with `*marked*` words kept and their marks gone, and those words as they stood."""
    found = tuple(match.group(0) for match in _EMPHASIS.finditer(text))
    if not found:
        return text, ()
    again, more = without_emphasis(_EMPHASIS.sub(lambda match: match.group(2), text))
    return again, found + more


def is_direction(inner: str, *, starred: bool = False) -> bool:
    """Whether these words, in brackets or between stars, describe a manner instead of being said."""
    words = re.findall(r"[a-z']+", inner.lower())
    if not words or len(words) > LONGEST_DIRECTION or re.search(r"[\d@]", inner):
        return False
    if len(words) <= 3 and words[-1] in SOUNDS:
        return True
    verb = next((word for word in words if word not in SUBJECTS and not word.endswith("ly")), "")
    return not _stems(verb).isdisjoint(STARRED_MANNERS if starred else MANNERS)


def _stems(word: str) -> set[str]:
    """What a verb in -s, -ing or -ed may come from: "pauses", "nodding", "sighed"."""
    for ending in ("ing", "ed"):
        if word.endswith(ending):
            bare = word.removesuffix(ending)
            return {bare, bare + "e", bare[:-1]}
    return {word.removesuffix("s"), word.removesuffix("es")} if word.endswith("s") else set()


def _is_whole(inner: str, opening: str, closing: str) -> bool:
    """Whether the outer marks belong together: `"Yes" and "no"` is two quotations, `"I saw "Up" today"` is one."""
    first = inner.find(opening)
    last = inner.find(closing)
    if opening != closing:
        return last < 0 or 0 <= first < last
    return first < 0 or (inner.count(opening) % 2 == 0 and (first == 0 or inner[first - 1].isspace()))


def _unspeakable(letter: str) -> bool:
    code = ord(letter)
    return (code < 32 and letter not in "\t\n\r") or 127 <= code < 160 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF)
