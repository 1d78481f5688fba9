"""Points of 100 composed from severities, each taking its share of what the others leave."""

from __future__ import annotations

from collections.abc import Mapping

from turnwise.judges.verdict import Abstention, Fault, Score, Verdict


def composed(verdicts: Mapping[str, Verdict], loss: Mapping[str, float]) -> Verdict:
    """100 x product of (1 - loss x severity / 100) over the parts that were decided.

    A part that abstained counts as without failure and is named; a part that is absent or at fault makes a fault.
    """
    points, taken, silent = 100.0, list[tuple[float, str]](), list[str]()
    for part, share in loss.items():
        verdict = verdicts.get(part)
        if verdict is None:
            return Fault("upstream", f"{part} was not decided")
        if isinstance(verdict, Fault):
            return Fault("upstream", f"{part}: {verdict.cause}")
        if isinstance(verdict, Abstention):
            silent.append(part)
            continue
        points *= 1 - share * verdict.value / 100
        if verdict.value > 0:
            taken.append((share * verdict.value, f"{part} {verdict.value:g}: -{share * verdict.value:g} points"))
    if len(silent) == len(loss):
        return Abstention(f"not judged: {', '.join(silent)}")
    said = [text for _, text in sorted(taken, reverse=True)] or ["no failure found"]
    if silent:
        said.append(f"not judged: {', '.join(silent)}")
    return Score(round(points, 1), "; ".join(said))
