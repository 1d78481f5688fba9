"""Describes ratings by fixed sentences: no model, no network, the same words for the same ratings.

Says the level of noise, coloration, discontinuity and loudness in the words of the listening tests, with the ratings; names
what lowers the overall quality most, where something is at the third level or below (several, where the lowest read alike); and
ends with the overall rating ("MOS: 2.4"; "Heuristic overall: 2.4" where the numbers are no ratings). A rating that does not
exist is told with its reason. A comparison follows the rule of `listening/preference.py` and ends with `[SpeechA]`, `[SpeechB]`
or `[Tie]`.

Options: `preset`, "plain" (default) or "diverse", which words and orders its sentences by the seed; `tie` (0.1), by how much two
overall ratings may differ and still count as equal.

It knows the ratings and nothing else: that the lowest of four ratings is the cause of the whole is what listeners mostly say, not
what was measured here. Needs nothing. Licence: as the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.foundation.lineage import lineage
from turnwise.listening.preference import TIE, TOKENS, Gap, preferred
from turnwise.listening.ratings import ASPECTS, TITLES, Dimension, Ratings, level, printed, words

PRESETS = ("plain", "diverse")
_FAIR = 3  # the highest level that counts as a fault
_CULPRITS: dict[Dimension, str] = {"noi": "noise", "col": "coloration", "dis": "discontinuity", "loud": "low loudness"}
_OPENINGS = ("The speech is {}.", "This recording is {}.", "What is heard is {}.", "To a listener the speech is {}.")
# Of one culprit, and of several that are rated alike.
_BLAMES = (
    ("What lowers the overall quality most is the {}.", "What lowers the overall quality most are, alike, the {}."),
    ("The {} weighs most on the whole.", "The {} weigh most, and alike, on the whole."),
    ("Above all the {} takes from it.", "Above all the {} take from it, alike."),
    ("A listener would mostly hold the {} against it.", "A listener would mostly hold the {} against it, alike."),
)
_PRAISES = (
    "None of this lowers the overall quality much.",
    "There is little in it to object to.",
    "No one of the four stands out as a fault.",
)
_UNEXPLAINED = "None of the four explains why the whole is not rated higher."
_CLOSINGS = (
    "The overall quality is {words}. MOS: {mos}",
    "All in all the quality is {words}. MOS: {mos}",
    "Its overall quality is {words}. MOS: {mos}",
)


@dataclass(frozen=True)
class Template:
    """The describer with its options."""

    preset: str
    tie: float
    listens = False

    def identity(self) -> Mapping[str, str]:
        return {"shared": lineage(__file__)}

    def open(self) -> Template:
        return self

    def describe(self, ratings: Ratings, sound: Sound | None = None, *, seed: int) -> str:
        draw = Random(seed_of("template", seed)) if self.preset == "diverse" else None
        rated = [aspect for aspect in ASPECTS if ratings.value(aspect) is not None]
        if draw is not None:
            draw.shuffle(rated)
        said = [_levelled(aspect, ratings) for aspect in rated]
        sentences = [_chosen(draw, _OPENINGS).format(_listed(said))] if said else []
        sentences += [
            f"Its {TITLES[aspect]} is not rated: {ratings.missing[aspect]}." for aspect in ASPECTS if aspect not in rated
        ]
        if ratings.mos is None:
            return " ".join([*sentences, f"The overall quality is not rated: {ratings.missing['mos']}."])
        if rated:
            sentences.append(_effect(draw, rated, ratings, ratings.mos))
        if ratings.placeholder:
            return " ".join([*sentences, f"Heuristic overall: {ratings.mos:.1f}"])
        closing = _chosen(draw, _CLOSINGS).format(words=words("mos", printed(ratings.mos)), mos=f"{ratings.mos:.1f}")
        return " ".join([*sentences, closing])

    def compare(self, first: Ratings, second: Ratings, sounds: tuple[Sound, Sound] | None = None, *, seed: int) -> str:
        rule = preferred(first, second, self.tie)
        if rule.winner is None or first.mos is None or second.mos is None:
            return f"Neither can be preferred: {rule.reason}."
        called = "heuristic overall" if first.placeholder or second.placeholder else "mos"
        quality = [f"{words('mos', printed(mos))} ({called} {mos:.1f})" for mos in (first.mos, second.mos)]
        if rule.winner == "tie":
            opening = f"Neither is better, since their overall ratings differ by no more than {self.tie:g}: "
            opening += f"SpeechA has the overall quality {quality[0]}, SpeechB the overall quality {quality[1]}."
        else:
            better, worse = ("A", "B") if rule.winner == "first" else ("B", "A")
            ordered = quality if better == "A" else quality[::-1]
            opening = f"Speech{better} is better than Speech{worse}: "
            opening += f"Speech{better} has the overall quality {ordered[0]}, Speech{worse} the overall quality {ordered[1]}."
        reasons = " ".join(map(_reason, rule.aspects)) or "They differ obviously in no single aspect."
        return f"{opening} {reasons}\n{TOKENS[rule.winner]}"

    def close(self) -> None:
        """Nothing is held."""


def describer(preset: str = "plain", tie: float = TIE) -> Template:
    if preset not in PRESETS:
        raise InputError(f"template: preset is {preset!r}, expected 'plain' or 'diverse'")
    if not 0 <= tie <= 4:
        raise InputError(f"template: tie is {tie}, expected 0 to 4")
    return Template(preset, tie)


def _levelled(aspect: Dimension, ratings: Ratings) -> str:
    value = ratings.value(aspect)
    assert value is not None  # only those that exist are asked for
    return f"{words(aspect, printed(value))} ({value:.1f})"


def _effect(draw: Random | None, rated: list[Dimension], ratings: Ratings, mos: float) -> str:
    """What the aspects do to the whole."""
    values = {aspect: ratings.value(aspect) or 0.0 for aspect in rated}
    lowest = min(values.values())
    if level(printed(lowest)) <= _FAIR:
        # Those that read the same to one decimal are alike.
        worst = [_CULPRITS[aspect] for aspect in ASPECTS if aspect in values and f"{values[aspect]:.1f}" == f"{lowest:.1f}"]
        one, several = _BLAMES[0] if draw is None else draw.choice(_BLAMES)
        return one.format(worst[0]) if len(worst) == 1 else several.format(_listed(worst))
    return _chosen(draw, _PRAISES) if level(printed(mos)) > _FAIR else _UNEXPLAINED


def _reason(gap: Gap) -> str:
    first, second = (f"{words(gap.dimension, printed(value))} ({value:.1f})" for value in (gap.first, gap.second))
    return f"In {TITLES[gap.dimension]} they differ: SpeechA is {first}, SpeechB is {second}."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _chosen(draw: Random | None, patterns: tuple[str, ...]) -> str:
    return patterns[0] if draw is None else draw.choice(patterns)
