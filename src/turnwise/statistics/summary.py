"""Everything that may be said of a run, computed once; reports and exports are projections of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from turnwise.foundation.errors import InputError
from turnwise.foundation.fingerprint import seed_of
from turnwise.judges.judge import Criterion
from turnwise.statistics.accounting import Accounting, account, planned_cells
from turnwise.statistics.agreement import Agreements, agreements
from turnwise.statistics.bootstrap import Bootstrap
from turnwise.statistics.contrast import Contrast, contrasts
from turnwise.statistics.correlation import Correlations, correlations
from turnwise.statistics.curve import Curve, curves, last_round, margin
from turnwise.statistics.estimate import Estimate, estimates
from turnwise.statistics.grid import Grid, grid_of
from turnwise.statistics.latency import Latency, latencies
from turnwise.statistics.profile import Profile, causes, profiles
from turnwise.statistics.roles import Roles, roles_of
from turnwise.statistics.self_preference import Kinship, kinships
from turnwise.statistics.slope import Slopes, slopes
from turnwise.statistics.spending import Spending, spending
from turnwise.statistics.survival import THRESHOLD, SurvivalStudy, survive
from turnwise.statistics.table import tidy
from turnwise.study.results import Instrument, Results

if TYPE_CHECKING:
    import polars


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader may want otherwise."""

    seed: int | None = None  # of the resampling; drawn from the study's seed where not given
    draws: int = 2000  # of the bootstrap
    flips: int = 9999  # of signs, where there are too many dialogues to try all
    level: float = 0.95
    expand: bool = True  # intervals widened for few dialogues, see `bootstrap`
    drop: float = 10.0  # points of 100 below the first round that count as a fall (the paper's bold rule)
    threshold: float = THRESHOLD  # points of 100 below which the thread counts as lost
    last_round: int | None = None  # of the curves; chosen by `curve.last_round` where not given

    def __post_init__(self) -> None:
        if self.draws < 100 or self.flips < 100 or not 0.0 < self.level < 1.0 or (self.last_round or 1) < 1:
            raise InputError("expected at least 100 draws and flips, a level within 0..1, and a last round from 1")


class Reading(msgspec.Struct, frozen=True):
    """One criterion of one arm."""

    estimate: Estimate
    curve: Curve
    slopes: Slopes


class ArmSummary(msgspec.Struct, frozen=True):
    """One arm."""

    name: str
    agent: str
    base: str  # the arm it was derived from, or ""
    criteria: dict[str, Reading]
    profile: Profile
    latency: tuple[Latency, ...]
    departures: dict[str, int]  # notes on replies, e.g. that the model's limit cut the context -> turns

    @property
    def scored(self) -> bool:
        """Whether any turn has a score under any criterion."""
        return any(reading.estimate.n for reading in self.criteria.values())

    @property
    def mute(self) -> bool:
        """Whether the agent was silent on every turn."""
        return all(reading.estimate.missing.keys() == {"silent"} for reading in self.criteria.values()) and not self.scored


class Summary(msgspec.Struct, frozen=True):
    """A run in numbers."""

    study: str
    plan: str
    created: str
    tool: str
    seed: int  # of the resampling
    options: Options
    corpus_digest: str
    corpus_size: int
    dialogues: int
    rounds: int  # planned, summed over dialogues, per arm
    last_round: int  # the last one shown in curves
    notes: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    roles: Roles
    arms: tuple[ArmSummary, ...]
    ranking: tuple[str, ...]  # arms by the worst case of the thread's criterion, best first; arms without any score last
    contrasts: tuple[Contrast, ...]
    correlations: tuple[Correlations, ...]
    survival: SurvivalStudy | None  # None where no judge says whether the thread is kept
    accounting: Accounting
    agreements: Agreements
    kinships: tuple[Kinship, ...]
    spending: Spending | None  # None where no server was asked

    def arm(self, name: str) -> ArmSummary:
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    @property
    def shown(self) -> tuple[ArmSummary, ...]:
        """Arms as tables list them: in the study's order, those without any score last, the mute after them."""
        return tuple(sorted(self.arms, key=lambda arm: (not arm.scored, arm.mute)))

    def instrument(self, criterion: str) -> Instrument:
        """Who gives a criterion."""
        return next(i for i in self.instruments if i.criterion.name == criterion)

    def criterion(self, name: str) -> Criterion:
        for instrument in self.instruments:
            if instrument.criterion.name == name:
                return instrument.criterion
        known = ", ".join(i.criterion.name for i in self.instruments)
        raise InputError(f"the run has no criterion {name!r}", f"known: {known}")

    def better(self, criterion: str) -> Literal["higher", "lower"]:
        return self.criterion(criterion).better

    def mean(self, arm: str, criterion: str) -> float | None:
        """None where no turn of the arm was scored."""
        self.criterion(criterion)
        return self.arm(arm).criteria[criterion].estimate.mean

    def contrast(self, a: str, b: str, criterion: str) -> Contrast:
        """The difference a minus b, whichever way round it was computed."""
        for found in self.contrasts:
            if found.criterion == criterion and (found.a, found.b) == (a, b):
                return found
            if found.criterion == criterion and (found.a, found.b) == (b, a):
                difference, low, high = (None if v is None else -v for v in (found.difference, found.high, found.low))
                return msgspec.structs.replace(found, a=a, b=b, difference=difference, low=low, high=high)
        raise KeyError((a, b, criterion))


def summarise(results: Results, options: Options | None = None, table: polars.DataFrame | None = None) -> Summary:
    """One pass over a run. `table` saves making the tidy table again where the caller has it.

    Matrix products run on one thread: on a busy machine threads that wait for each other take ten times as long as one
    alone, and the last bits of a sum would depend on how many there are.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        return _summarise(results, options or Options(), table)


def rank(estimates: dict[str, Estimate], better: Literal["higher", "lower"]) -> tuple[str, ...]:
    """Names by the worst case that their missing turns leave open, best first; the unscored last, the mute after them.

    Where the scale has no two ends there is no worst case, and the mean decides.
    """
    sign = -1.0 if better == "higher" else 1.0

    def key(name: str) -> tuple[int, float, float]:
        estimate = estimates[name]
        if estimate.mean is None:
            return 2, estimate.missing.get("silent", 0) / max(estimate.absent, 1), 0.0
        mean = sign * estimate.mean
        return (0, sign * estimate.bounds[0], mean) if estimate.bounds is not None else (1, mean, 0.0)

    return tuple(sorted(estimates, key=key))


def _summarise(results: Results, options: Options, table: polars.DataFrame | None) -> Summary:
    planned = planned_cells(results)
    table = tidy(results) if table is None else table
    accounting = account(table, planned)
    if not results.instruments or not accounting.total.planned:
        raise InputError(f"the study {results.study.name!r} has nothing to summarise", "it needs an arm, a dialogue and a judge")
    grid = grid_of(table)
    seed = seed_of("statistics", results.study.seed) if options.seed is None else options.seed
    bootstrap = Bootstrap(len(grid.dialogues), seed, options.draws, options.level, options.expand)
    criteria = {i.criterion.name: i.criterion for i in results.instruments}
    roles = roles_of(results.instruments)
    last = last_round(grid.lengths, options.last_round)

    means = estimates(grid, bootstrap, criteria, accounting.missing)
    shown = curves(grid, bootstrap, criteria, last, options.drop)
    tilts = slopes(grid, bootstrap, last)
    failing = {p.arm: p for p in profiles(grid, bootstrap, roles.failures, means)}
    times = latencies(results)
    arms = tuple(
        ArmSummary(
            name=arm.name,
            agent=arm.agent,
            base=arm.base,
            criteria={c: Reading(means[arm.name][c], shown[arm.name][c], tilts[arm.name][c]) for c in grid.criteria},
            profile=failing[arm.name],
            latency=tuple(t for t in times if t.arm == arm.name),
            departures=_departures(results, arm.name),
        )
        for arm in results.study.arms
    )
    return Summary(
        study=results.study.name,
        plan=results.plan,
        created=results.created,
        tool=results.tool,
        seed=seed,
        options=options,
        corpus_digest=results.corpus_digest,
        corpus_size=results.corpus_size,
        dialogues=len(grid.dialogues),
        rounds=int(grid.lengths.sum()),
        last_round=last,
        notes=results.notes,
        instruments=results.instruments,
        roles=roles,
        arms=arms,
        ranking=_ranking(arms, criteria, roles),
        contrasts=contrasts(grid, bootstrap, seed=seed, flips=options.flips),
        correlations=correlations(grid, bootstrap),
        survival=_survival(grid, bootstrap, criteria, roles, last, options, seed),
        accounting=accounting,
        agreements=agreements(results, grid, bootstrap),
        kinships=kinships(results, grid, bootstrap),
        spending=spending(results),
    )


def _ranking(arms: tuple[ArmSummary, ...], criteria: dict[str, Criterion], roles: Roles) -> tuple[str, ...]:
    if roles.thread is None:  # nothing to rank by, except that who was never scored comes last
        return tuple(arm.name for arm in sorted(arms, key=lambda arm: not arm.scored))
    return rank({arm.name: arm.criteria[roles.thread].estimate for arm in arms}, criteria[roles.thread].better)


def _survival(
    grid: Grid, bootstrap: Bootstrap, criteria: dict[str, Criterion], roles: Roles, last: int, options: Options, seed: int
) -> SurvivalStudy | None:
    if roles.thread is None:
        return None
    criterion = criteria[roles.thread]
    reach = margin(criterion, options.threshold)
    threshold = options.threshold if reach is None or criterion.low is None else criterion.low + reach
    return survive(
        grid,
        bootstrap,
        roles.thread,
        better=criterion.better,
        threshold=threshold,
        horizon=last,
        causes={arm: causes(grid, roles.failures, arm) for arm in grid.arms},
        seed=seed,
        flips=options.flips,
    )


def _departures(results: Results, arm: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for conversation in results.conversations:
        if conversation.arm == arm:
            for answered in conversation.rounds:
                for note in answered.reply.notes if answered.reply is not None else ():
                    counts[note] = counts.get(note, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
