"""Fit a softmax to what a log tells of its logger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.ragged import gather
from mrlm.learners.clone.loss import Loss
from mrlm.learners.clone.targets import Targets, targets_of
from mrlm.policies.loggers.clone_view import CloneView
from mrlm.policies.loggers.feature_softmax import BLOCK, CLIP, FeatureSoftmax, Hidden, standardised
from mrlm.policies.loggers.item_softmax import ItemSoftmax, attribute_columns, attribute_terms

Floats = NDArray[np.float64]

# Candidates that a fit reads: beyond, a sample of the decisions tells as much.
MOST_CANDIDATES = 800_000
_HIDDEN = 32
# Candidates of a step, where 256 decisions have more.
_BATCH_CANDIDATES = 8192
# Decisions of a step; rounds over the log, and steps at least and at most.
_BATCH, _EPOCHS, _LEAST_STEPS, _MOST_STEPS = 256, 40, 600, 4000
_RATE, _MOMENTUM, _SPREAD = 0.03, 0.9, 0.99
_START_FLOOR = -2.2


def fit_item_attributes(log: BanditLog, seed: int) -> ItemSoftmax:
    """A softmax over the items' attributes.

    Raises:
        ValueError: the log is empty.
    """
    log = sampled(log, seed)
    catalog = log.decisions.catalog
    x = attribute_columns(catalog)[log.decisions.candidates.values]
    found = _minimise(x.astype(np.float32), None, None, targets_of(log), {}, seed)
    terms = tuple(
        replace(t, coefficient=float(c))
        for t, c in zip(attribute_terms(catalog), found["coefficient"], strict=True)
    )
    return ItemSoftmax(terms=terms, floor=float(found["floor"]))


def fit_features(log: BanditLog, seed: int) -> FeatureSoftmax:
    """A softmax linear in features of state and item, with item intercepts.

    Raises:
        ValueError: the log is empty.
    """
    return _fit_features(log, seed, hidden=False)


def fit_network(log: BanditLog, seed: int) -> FeatureSoftmax:
    """The same with a hidden layer.

    Raises:
        ValueError: the log is empty.
    """
    return _fit_features(log, seed, hidden=True)


def sampled(log: BanditLog, seed: int, most: int = MOST_CANDIDATES) -> BanditLog:
    """Decisions drawn at random with about ``most`` candidates together, in the log's order.

    Raises:
        ValueError: the log is empty.
    """
    if len(log) == 0:
        raise ValueError("no decisions to clone the logger from: no passed night has a bandit log")
    total = int(log.decisions.offsets[-1])
    if total <= most:
        return log
    many = max(len(log) * most // total, 1)
    chosen = np.random.default_rng(seed).choice(len(log), many, replace=False)
    return log.take(np.sort(chosen))


def _fit_features(log: BanditLog, seed: int, *, hidden: bool) -> FeatureSoftmax:
    log = sampled(log, seed)
    decisions, targets = log.decisions, targets_of(log)
    view = CloneView.of(decisions)
    context = view.context(decisions)
    x, mean, scale = _standardised_features(view, decisions)
    c_mean, c_scale = context.mean(0), _positive(context.std(0))
    codes, place = np.unique(decisions.candidates.values, return_inverse=True)
    shared = standardised(context, c_mean, c_scale).astype(np.float32)
    start: dict[str, Floats] = {}
    if hidden:
        rng = np.random.default_rng(seed)
        width = x.shape[1] + shared.shape[1]
        start = {
            "weight": rng.normal(0.0, width**-0.5, (_HIDDEN, width)),
            "bias": np.zeros(_HIDDEN),
            "out": rng.normal(0.0, 0.05, _HIDDEN),
        }
    found = _minimise(x, place, shared if hidden else None, targets, start, seed)
    return FeatureSoftmax(
        view=view,
        mean=np.concatenate([mean, c_mean]),
        scale=np.concatenate([scale, c_scale]),
        coefficient=found["coefficient"],
        item_id=decisions.catalog.item_id[codes],
        intercept=found["intercept"],
        hidden=Hidden(found["weight"], found["bias"], found["out"]) if hidden else None,
        floor=float(found["floor"]),
    )


def _standardised_features(
    view: CloneView, decisions: Decisions
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Features of every candidate, standardised, with their means and scales."""
    parts = [view.features(d).astype(np.float32) for _, d in decisions.blocks(BLOCK)]
    x = np.concatenate(parts)
    del parts
    mean = x.mean(axis=0, dtype=np.float64)
    scale = _positive(x.std(axis=0, dtype=np.float64))
    x -= mean.astype(np.float32)
    x /= scale.astype(np.float32)
    np.clip(x, -CLIP, CLIP, out=x)
    return x, mean, scale


def _positive(scale: Floats) -> Floats:
    return np.where(scale > 1e-6, scale, 1.0)


def _minimise(
    x: NDArray[np.float32],
    item: NDArray[np.int64] | None,
    context: NDArray[np.float32] | None,
    targets: Targets,
    start: Mapping[str, Floats],
    seed: int,
) -> dict[str, Floats]:
    """Parameters of least loss, by Adam over batches of decisions, its rate falling to 0.

    Kingma and Ba (2015), with the cosine of Loshchilov and Hutter (2017). A logged distribution is
    a target without noise, so that the batches agree where the form can reproduce the logger.

    Args:
        x: features, shape (N, d).
        item: place of each candidate's intercept, shape (N,); None without intercepts.
        context: shape (n, c), for the hidden layer; None without one.
        targets: what the rows tell.
        start: parameters to begin with, by name; others begin at 0 and a floor of 0.1.
        seed: of the batches.
    """
    p: dict[str, Floats] = {"coefficient": np.zeros(x.shape[1]), "floor": np.array(_START_FLOOR)}
    if item is not None:
        p["intercept"] = np.zeros(int(item.max()) + 1)
    p |= start
    n = len(targets.offsets) - 1
    batches = min(n, max(-(-n // _BATCH), -(-len(x) // _BATCH_CANDIDATES)))
    steps = int(np.clip(_EPOCHS * batches, _LEAST_STEPS, _MOST_STEPS))
    rng = np.random.default_rng(seed)
    first = {k: np.zeros_like(v) for k, v in p.items()}
    second = {k: np.zeros_like(v) for k, v in p.items()}
    for step, rows in enumerate(_batches(n, batches, steps, rng), 1):
        flat, _ = gather(targets.offsets, rows)
        loss = Loss(
            x[flat],
            None if item is None else item[flat],
            None if context is None else context[rows],
            targets.take(rows),
            of=n,
        )
        gradient = loss(p)[1]
        rate = 0.5 * _RATE * (1.0 + np.cos(np.pi * step / steps))
        for k, g in gradient.items():
            first[k] += (1.0 - _MOMENTUM) * (g - first[k])
            second[k] += (1.0 - _SPREAD) * (g * g - second[k])
            mean = first[k] / (1.0 - _MOMENTUM**step)
            spread = second[k] / (1.0 - _SPREAD**step)
            p[k] = p[k] - rate * mean / (np.sqrt(spread) + 1e-8)
    return p | {"floor": expit(p["floor"])}


def _batches(
    n: int, batches: int, steps: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Decisions of each step, ascending; every decision once a round."""
    done = 0
    while done < steps:
        for batch in np.array_split(rng.permutation(n), batches)[: steps - done]:
            done += 1
            yield np.sort(batch)
