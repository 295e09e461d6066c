"""Whether the uncertainty of a prediction means what it says.

A drawn world knows the true probability of every candidate: fitted on four nights, of candidates of
the two nights after, how many true probabilities the 90 % interval holds, and how wide it is
beside that of an ensemble of ten members. Members' spread as it is holds few, so the variance of
their logits is brought to scale by the same products of held-back residuals as ours; what it is
unscaled stands in the note. A narrow interval that holds too few is no better than a wide one, so
the width is printed again beside that of the ensemble whose scale, by the truth that no model
knows, lets it hold as many as ours.

On the demonstration's world there is no true probability, but what was shown later falls into
deciles of uncertainty, and each has a squared calibration error, less what chance alone gives: of
bins of the prediction, and of one user's rows of a night, of which each pair's residuals multiply.

3 seeds of the drawn world, 5 of the logger. Quick: one each, 200 users, and 110 with the hashing
encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import spearmanr

from benchmarks._demonstration import (
    FIT_NIGHTS,
    QUICK_USERS,
    demonstration,
    nights_of,
    seeds,
    version,
)
from benchmarks._demonstration import settings as demonstration_settings
from benchmarks._kept import Kept
from benchmarks.behaviour._models import HISTORY, PAIR
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.users import group
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.fit_posterior import held_back
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.behaviour.uncertainty.residual_products import ResidualProducts
from mrlm.worlds.latent import latent_log

Floats = NDArray[np.float64]
SEEDS, QUICK_SEEDS = 3, 1
USERS, SOME_USERS = 800, 200
LEVEL, MEMBERS, DECILES = 0.9, 10, 10
LEAST, MOST, WIDER = 0.88, 0.95, 1.3
_FIT, _OFFERED = 4, 8


def run(quick: bool) -> list[Row]:
    """Coverage and width in the drawn world, then deciles on the demonstration."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", version(__name__))
    users, few = (SOME_USERS, QUICK_USERS) if quick else (USERS, None)
    drawn = {
        kind: [
            kept.of(
                ["drawn", kind, users, seed],
                lambda kind=kind, seed=seed: covered(kind, seed, users),  # type: ignore[misc]
            )
            for seed in range(1, (QUICK_SEEDS if quick else SEEDS) + 1)
        ]
        for kind in (PAIR, HISTORY)
    }
    deciles = [
        kept.of(["deciles", few or 0, seed], lambda seed=seed: by_decile(seed, few))  # type: ignore[misc]
        for seed in seeds(1 if quick else 5)
    ]
    return [*_rows(drawn, judged=not quick), *_decile_rows(deciles, judged=not quick)]


def covered(kind: str, seed: int, users: int) -> dict[str, list[float]]:
    """Share of later true probabilities in the interval, and its mean width, by what gives it."""
    log, truth = latent_log(n_users=users, decisions_per_user=36, n_candidates=_OFFERED, seed=seed)
    nights = sorted(set(log.night.astype(str)))
    fit, later = log.on_nights(nights[:_FIT]), log.on_nights(nights[_FIT:])
    true = truth[:, 0].reshape(len(log), _OFFERED)[log.night >= later.night.min()].ravel()
    ours = _fitted(fit, kind, BehaviourSettings().folds)
    ensemble = _fitted(fit, kind, MEMBERS)
    raw, scaled = _of_ensemble(ensemble, fit, later.decisions)
    found = {"ours": ours.interval(later.decisions, LEVEL), "raw": raw, "scaled": scaled}
    held = {name: _held(low, high, true) for name, (low, high) in found.items()}
    assert ours.posterior is not None
    freedom = {"freedom": [ours.posterior.freedom]}
    return held | {"equal": _held(*_holding(held["ours"][0], raw, true), true)} | freedom


def _held(low: Floats, high: Floats, true: Floats) -> list[float]:
    return [float(((low <= true) & (true <= high)).mean()), float((high - low).mean())]


def _holding(share: float, ends: tuple[Floats, Floats], true: Floats) -> tuple[Floats, Floats]:
    """The interval, its logits scaled about their middle so that it holds that share."""
    low, high = logit(ends[0]), logit(ends[1])
    middle, half = (low + high) / 2, (high - low) / 2
    half = half * float(np.quantile(np.abs(logit(true) - middle) / half, share))
    return expit(middle - half), expit(middle + half)


def _fitted(fit: BanditLog, kind: str, folds: int) -> RewardModel:
    return fit_reward_model(fit, BehaviourSettings(model=kind, folds=folds), seed=0)


def _of_ensemble(
    model: RewardModel, fit: BanditLog, later: Decisions
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The interval by the spread of the members, as it is and brought to scale."""
    newest = np.unique(fit.night)[-BehaviourSettings().uncertainty_nights :].astype(str)
    rows = held_back(model, fit.on_nights(newest.tolist()))
    pairs, p = rows.by_user(), rows.expected
    spread = _logits(model, rows.decisions).std(axis=0)
    alike = spread[pairs.first] * spread[pairs.second]
    (scale,) = pairs.variances(rows.residual, p * (1 - p), p * (1 - p), [alike])
    members = _logits(model, later)
    middle, half = members.mean(axis=0), float(ndtri((1 + LEVEL) / 2)) * members.std(axis=0)
    ends = [(expit(middle - h), expit(middle + h)) for h in (half, half * float(np.sqrt(scale)))]
    return ends[0], ends[1]


def _logits(model: RewardModel, decisions: Decisions) -> Floats:
    """Of the north star by each member, shape (members, N)."""
    star = model.heads.index(model.north_star)
    parts = [model.calibrated(model.hidden(part)[1])[..., star] for _, part in decisions.blocks()]
    return np.asarray(logit(np.concatenate(parts, axis=1)))


def by_decile(seed: int, users: int | None) -> dict[str, list[float]]:
    """Of each decile of uncertainty, the lowest first: its mean, and two squared errors."""
    world = demonstration(seed, users)
    nights = nights_of(world)
    fit, later = (world.on_nights(n).log for n in (nights[:FIT_NIGHTS], nights[FIT_NIGHTS:]))
    of = demonstration_settings()
    model = fit_reward_model(fit, of.behaviour, of.seed)
    column = later.column(north_star(later.objectives).name)
    later = later.where(later.final[:, column] & np.isfinite(later.rewards[:, column]))
    values = model.score(shown_only(later))
    p, uncertainty = values[:, model.heads.index(model.north_star)], values[:, -1]
    residual = later.rewards[:, column] - p
    decile = np.argsort(np.argsort(uncertainty, kind="stable")) * DECILES // len(p)
    user, night = group(later.decisions.user)[1], np.unique(later.night, return_inverse=True)[1]
    found: dict[str, list[float]] = {"uncertainty": [], "bins": [], "users": []}
    for d in range(DECILES):
        own = np.flatnonzero(decile == d)
        found["uncertainty"].append(float(uncertainty[own].mean()))
        found["bins"].append(_in_bins(p[own], residual[own]))
        pairs = ResidualProducts.of((night * (user.max() + 1) + user)[own])
        product = residual[own][pairs.first] * residual[own][pairs.second]
        found["users"].append(float(product.mean()))
    return found


def _in_bins(p: Floats, residual: Floats) -> float:
    """Mean over ten bins of the prediction of the squared mean residual, less its own variance."""
    bins = np.array_split(np.argsort(p, kind="stable"), 10)
    squares = [residual[b].mean() ** 2 - residual[b].var(ddof=1) / len(b) for b in bins]
    return float(np.mean(squares))


def _rows(drawn: Mapping[str, Sequence[Any]], judged: bool) -> list[Row]:
    rows = []
    for kind, cells in drawn.items():
        mean = {n: np.mean([c[n] for c in cells], axis=0) for n in cells[0]}
        share, width = mean["ours"].tolist()
        peer_share, peer_width = mean["scaled"].tolist()
        raw_share, raw_width = mean["raw"].tolist()
        shares = np.array([c["ours"][0] for c in cells])
        by_seed = ", ".join(f"{s:.3f}" for s in shares)
        error = shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else np.nan
        freedom = ", ".join(f"{c['freedom'][0]:.0f}" for c in cells)
        rows += [
            Row(
                f"true probabilities in the {LEVEL:.0%} interval, {kind}",
                share,
                peer_share,
                bar=f"{LEAST} to {MOST}",
                holds=LEAST <= share <= MOST,
                note=f"by seed {by_seed}, standard error {error:.3f}, degrees of freedom "
                f"{freedom}; peer: {MEMBERS} members to scale, as they are {raw_share:.3f}",
            ).where(judged),
            Row(
                f"mean width of the interval, {kind}",
                width,
                peer_width,
                bar=f"<= {WIDER} x",
                holds=width <= WIDER * peer_width,
                note=f"peer: {MEMBERS} members to scale, which hold {peer_share:.3f}; as they are "
                f"{raw_width:.3f}, holding {raw_share:.3f}",
            ).where(judged),
            Row(
                f"mean width where {MEMBERS} members hold as many, {kind}",
                width,
                float(mean["equal"][1]),
                note="no bar: the members' scale is read off the truth",
            ),
        ]
    return rows


def _decile_rows(cells: Sequence[Mapping[str, list[float]]], judged: bool) -> list[Row]:
    mean = {n: np.mean([c[n] for c in cells], axis=0) for n in cells[0]}
    rows = []
    for name, of in (("bins", "of bins of the prediction"), ("users", "of a user's rows")):
        found = float(spearmanr(mean["uncertainty"], mean[name]).statistic)
        told = ", ".join(f"{v:.5f}" for v in mean[name])
        rows.append(
            Row(
                f"rank correlation over deciles: uncertainty, squared calibration error {of}",
                found,
                bar="above 0",
                holds=found > 0,
                note=f"{len(cells)} seeds; by decile {told}",
            ).where(judged)
        )
    return rows
