"""What two texts have in common in the same order: the best local alignment of their tokens, by weight."""

from __future__ import annotations

from collections.abc import Callable

from turnwise.judges.likeness import same_word

SKIP = 0.12  # cost of a token left out on either side, as a share of the weight of a fully telling word


def aligned(a: tuple[str, ...], b: tuple[str, ...], weight: Callable[[str], float]) -> tuple[float, tuple[int, int]]:
    """Weight of the best common stretch, and where in `a` it lies; words left out in between cost `SKIP` each."""
    best, where = 0.0, (0, 0)
    above: list[tuple[float, int]] = [(0.0, 0)] * (len(b) + 1)
    for i, word in enumerate(a):
        gain = weight(word)
        row: list[tuple[float, int]] = [(0.0, i + 1)]
        for j, other in enumerate(b):
            diagonal, start = above[j]
            if diagonal <= 0:
                diagonal, start = 0.0, i
            if same_word(word, other):
                cell = (diagonal + gain, start)
            else:
                cell = (diagonal - SKIP, start)
                up, left = above[j + 1], row[j]
                if up[0] - SKIP > cell[0]:
                    cell = (up[0] - SKIP, up[1])
                if left[0] - SKIP > cell[0]:
                    cell = (left[0] - SKIP, left[1])
            if cell[0] > best:
                best, where = cell[0], (cell[1], i + 1)
            row.append(cell if cell[0] > 0 else (0.0, i + 1))
        above = row
    return best, where
