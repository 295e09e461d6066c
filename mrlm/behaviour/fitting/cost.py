"""What fitting a behaviour model costs, and which one a log and a machine can bear."""

from __future__ import annotations

from dataclasses import dataclass

from mrlm.behaviour.settings import BehaviourSettings

# The epochs and folds at which the figures below were measured.
_EPOCHS, _FOLDS = 6, 3
_KIB_PER_GIB = float(1 << 20)


@dataclass(frozen=True)
class LogSize:
    """The fit nights' log.

    Attributes:
        rows: shown slots that are fitted on.
        entries: of the history that a decision looks back on, in the mean.
        items: in the catalogue.
        decisions: of all users, where the rows are those of some; what is kept of items is fitted
            to all of them.
    """

    rows: int
    entries: float
    items: int = 0
    decisions: int = 0


@dataclass(frozen=True)
class FitCost:
    """Of one fit: processor seconds of one core, and GiB beside the log."""

    seconds: float
    gib: float


@dataclass(frozen=True)
class _Rate:
    """Milliseconds and KiB of a row, and of each entry that it looks back on."""

    row_ms: float
    entry_ms: float
    row_kib: float
    entry_kib: float


# As ``python -m benchmarks behaviour.cost`` measured them.
_RATES = {
    "pair": _Rate(0.14, 0.0015, 8.0, 0.18),
    "history": _Rate(0.44, 0.0015, 15.0, 0.18),
    # What a transformer over entries costs beside what it shares with ``history``.
    "sequence": _Rate(0.34, 0.0116, 26.0, 0.1),
    # What a student costs beside its teacher.
    "student": _Rate(0.6, 0.0015, 15.0, 0.18),
}


# Milliseconds of a decision of all users, as ``python -m benchmarks behaviour.tail`` measured them
# with two objectives in the histories; memory does not grow with them.
_OF_ALL_MS = {"pair": 0.01, "history": 0.04}


def fit_cost(settings: BehaviourSettings, size: LogSize) -> FitCost:
    """What ``fit_reward_model`` costs on a log of this size, to about a factor of 2.

    Measured on one machine's processor. Of ``language`` it is what it shares with ``history``: its
    tunings and readings come on top, and hang on the device far more than on the log.
    """
    kind = "pair" if settings.model == "pair" else "history"
    rates = [_RATES[kind]]
    if settings.model == "sequence":
        rates.append(_RATES["sequence"])
    if settings.distil and settings.model != "pair":
        rates.append(_RATES["student"])
    passes = settings.epochs * settings.folds / (_EPOCHS * _FOLDS)
    seconds = sum(r.row_ms * passes + r.entry_ms * size.entries for r in rates) / 1000
    # One after the other.
    kib = max(r.row_kib + r.entry_kib * size.entries for r in rates)
    of_all = _OF_ALL_MS[kind] * size.decisions / 1000 if size.decisions > size.rows else 0.0
    return FitCost(size.rows * seconds + of_all, size.rows * kib / _KIB_PER_GIB)


@dataclass(frozen=True)
class Advice:
    """Which behaviour model a night should fit.

    Attributes:
        model: its name in ``behaviour.model``; None where not even the cheapest one fits.
        cost: of the model, or of the cheapest.
        reason: why, in words.
    """

    model: str | None
    cost: FitCost
    reason: str


def advised(settings: BehaviourSettings, size: LogSize, *, gib: float, seconds: float) -> Advice:
    """The best model that this log feeds and this machine bears.

    ``history`` learns what users' rewards say of items, so it is given where an item has one reward
    or more in the mean; with fewer, and where it does not fit, ``pair`` is. ``sequence`` and
    ``language`` are never advised: whether they predict better hangs on the log, and trials of
    ``settings.alternatives`` tell.

    Args:
        settings: all but the model is kept.
        size: of the fit nights.
        gib: memory that a fit may take beside the log.
        seconds: of one core that it may take; folds on several cores take as many in all.
    """

    def of(model: str) -> FitCost:
        return fit_cost(settings.model_copy(update={"model": model}), size)

    def fits(cost: FitCost) -> bool:
        return cost.gib <= gib and cost.seconds <= seconds

    pair, history = of("pair"), of("history")
    if not fits(pair):
        return Advice(None, pair, "not even 'pair' fits: lower split.fit_nights or histories")
    if max(size.rows, size.decisions) < size.items:
        return Advice("pair", pair, "most items have no reward from which 'history' could learn")
    if not fits(history):
        return Advice("pair", pair, "'history' takes too long or too much memory")
    return Advice("history", history, "items have rewards enough, and it fits")
