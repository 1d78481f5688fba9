"""Every figure of a summary, drawn once; the page and the files take what they need."""

from __future__ import annotations

from dataclasses import dataclass

from turnwise.judges.judge import Criterion
from turnwise.report.charts.correlation import correlation_figure
from turnwise.report.charts.curve import curve_figure
from turnwise.report.charts.latency import latency_figure
from turnwise.report.charts.profile import profile_figure
from turnwise.report.charts.ratings import ratings_figure
from turnwise.report.charts.survival import survival_figure
from turnwise.report.drawing import Drawing, Figure, draw
from turnwise.statistics.correlation import POOLED
from turnwise.statistics.roles import is_sound
from turnwise.statistics.summary import Summary
from turnwise.study.results import Instrument


@dataclass(frozen=True)
class Figures:
    """Drawings by what they show; None where there is nothing to show."""

    curves: dict[str, Drawing | None]  # criterion -> on all dialogues
    constant: dict[str, Drawing | None]  # on those that reach the last round; empty where these are all dialogues
    profile: Drawing | None
    sound: dict[str, Drawing]  # first criterion of a group of `sound_groups` -> the group side by side
    survival: Drawing | None
    latency: Drawing | None
    matrix: Drawing | None  # pooled over turns, for files: the page shows all matrices as tables

    def all(self) -> list[Drawing]:
        """Every drawing there is."""
        found = [
            *self.curves.values(),
            *self.constant.values(),
            self.profile,
            *self.sound.values(),
            self.survival,
            self.latency,
            self.matrix,
        ]
        return [d for d in found if d is not None]

    def main(self) -> list[Drawing]:
        """Those worth a raster image too: the rest is one step away as SVG."""
        found = [*self.curves.values(), self.profile, *self.sound.values(), self.survival, self.latency, self.matrix]
        return [d for d in found if d is not None]


def draw_all(summary: Summary, *, for_files: bool) -> Figures:
    """Draw what the summary holds."""
    criteria = [i.criterion for i in summary.instruments]
    subset = subset_size(summary)
    return Figures(
        curves={c.name: _drawn(curve_figure(summary, c, "all")) for c in criteria},
        constant={c.name: _drawn(curve_figure(summary, c, "constant")) for c in criteria} if subset else {},
        profile=_drawn(profile_figure(summary)),
        sound={
            criteria[0].name: drawn
            for first, criteria in sound_groups(summary)
            if (drawn := _drawn(ratings_figure(summary, first.judge, criteria))) is not None
        },
        survival=_drawn(survival_figure(summary)),
        latency=_drawn(latency_figure(summary)),
        matrix=_drawn(_matrix(summary)) if for_files else None,
    )


def subset_size(summary: Summary) -> int:
    """Dialogues that reach the last round shown; 0 where these are all, so that there is nothing to choose."""
    curve = summary.arms[0].criteria[summary.instruments[0].criterion.name].curve
    return 0 if curve.constant_dialogues == curve.dialogues else curve.constant_dialogues


def sound_groups(summary: Summary) -> list[tuple[Instrument, list[Criterion]]]:
    """Criteria of sound that one judge gives on one scale, with the first's instrument, where there are several."""
    groups: dict[tuple[str, str, str, float | None, float | None], list[Instrument]] = {}
    for instrument in summary.instruments:
        if is_sound(instrument):
            c = instrument.criterion
            groups.setdefault((instrument.judge, c.unit, c.better, c.low, c.high), []).append(instrument)
    return [(group[0], [i.criterion for i in group]) for group in groups.values() if len(group) > 1]


def _matrix(summary: Summary) -> Figure | None:
    names = tuple(i.criterion.name for i in summary.instruments)
    pooled = next((m for m in summary.correlations if m.arm == POOLED and m.unit == "turns"), None)
    return correlation_figure(pooled, names) if pooled is not None and len(names) > 1 else None


def _drawn(figure: Figure | None) -> Drawing | None:
    return None if figure is None else draw(figure)
