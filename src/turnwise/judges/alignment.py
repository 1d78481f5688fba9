"""What two texts have in common in the same order: the best local alignment of their tokens, by weight.

Only places that a common word reaches are looked at, because every other place is worth nothing. Of longer texts the first 500
words are compared, which takes about a second at worst, where a text says one word over and over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from turnwise.judges.likeness import same_word

LONGEST = 500  # words of each text; spoken, about three minutes
SKIP = 0.12  # cost of a token left out on either side, as a share of the weight of a fully telling word


def aligned(a: tuple[str, ...], b: tuple[str, ...], weight: Callable[[str], float]) -> tuple[float, tuple[int, int]]:
    """Weight of the best common stretch, and where in `a` it lies; words left out in between cost `SKIP` each."""
    best, where = 0.0, (0, 0)
    a, b = a[:LONGEST], b[:LONGEST]
    every = range(1, len(b) + 1)
    places = _places(a, b)
    above: dict[int, tuple[float, int]] = {}  # by place in `b`, from 1: weight so far and where in `a` it began
    for i, word in enumerate(a):
        gain = weight(word)
        common = places[word]
        row: dict[int, tuple[float, int]] = {}
        crowded = 4 * (len(common) + len(above)) > len(b)  # then looking for the places costs more than visiting all
        for k in every if crowded else _reached(above, common, row):
            if k > len(b):
                continue
            diagonal, start = above.get(k - 1, (0.0, i))
            if k in common:
                cell = (diagonal + gain, start)
            else:
                cell = (diagonal - SKIP, start)
                up, left = above.get(k, (0.0, i)), row.get(k - 1, (0.0, i))
                if up[0] - SKIP > cell[0]:
                    cell = (up[0] - SKIP, up[1])
                if left[0] - SKIP > cell[0]:
                    cell = (left[0] - SKIP, left[1])
            if cell[0] > best:
                best, where = cell[0], (cell[1], i + 1)
            if cell[0] > 0:
                row[k] = cell
        above = row
    return best, where


def _places(a: tuple[str, ...], b: tuple[str, ...]) -> dict[str, frozenset[int]]:
    """Where each word of `a` stands in `b`, counted from 1."""
    of_b: dict[str, list[int]] = {}
    for k, word in enumerate(b, start=1):
        of_b.setdefault(word, []).append(k)
    return {word: frozenset(k for other, ks in of_b.items() if same_word(word, other) for k in ks) for word in set(a)}


def _reached(above: dict[int, tuple[float, int]], common: frozenset[int], row: dict[int, tuple[float, int]]) -> Iterator[int]:
    """Places that may be worth something, in order; one more after each that is, while the row is being made."""
    done = 0
    for k in sorted({*common, *above, *(place + 1 for place in above)}):
        while done and done in row and done + 1 < k:
            done += 1
            yield done
        done = k
        yield k
    while done in row:
        done += 1
        yield done
