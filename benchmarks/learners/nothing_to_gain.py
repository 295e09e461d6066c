"""Where there is little to gain or little to learn from, ours must not lose against the logger.

Three drawn worlds (``mrlm.worlds.latent``), each with what makes a learner lose: a logger that
already takes the best item, with the floor that ours has, because all users are alike; a log of 500
rows; and a logger that never shows 18 of 20 candidates. Fitted on the first four nights, judged by
the truth on the last two. The contenders and their settings are those of the demonstration; what is
chosen is served where the log proves that it is better than the logger, at 5 % for all contenders
at once, and else the logger is left as it is.

100 seeds; quick: 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._demonstration import KnownLog, nights_of, settings
from benchmarks.learners._finished import finished
from benchmarks.learners._ours import fitted, heads, learned, scores_of
from benchmarks.learners._peers.field import sample_of
from benchmarks.rows import Row
from mrlm.bandit_log import Catalog
from mrlm.bandit_log.objectives import north_star
from mrlm.learners.choice import ExpectedReward, LearnedScore, choose
from mrlm.policies.greedy import greedy_with_floor
from mrlm.worlds.latent import LatentModel, drawn_latent, latent_log
from mrlm.worlds.logger import SoftmaxLogger

Floats = NDArray[np.float64]
SEEDS, QUICK_SEEDS = 100, 10
NIGHTS, FIT_NIGHTS, CANDIDATES = 6, 4, 20
BELOW, SHARE = 0.01, 0.05
SUPPORTED = 0.1


@dataclass(frozen=True)
class FewSupported(SoftmaxLogger):
    """The same among the tenth of the candidates with the highest weight; it shows no other."""

    def probabilities(self, weights: Floats, offered: NDArray[np.bool_]) -> Floats:
        """See ``SoftmaxLogger``."""
        kept = max(int(SUPPORTED * weights.shape[1]), 1)
        least = np.sort(np.where(offered, weights, -np.inf), axis=1)[:, [-kept]]
        return super().probabilities(weights, offered & (weights >= least))


def near_optimal(seed: int) -> KnownLog:
    """All users are alike and the logger takes the item that they like most, but for its floor."""
    model = drawn_latent()
    width = len(model.user_mean)
    alike = replace(
        model, user_covariance=1e-8 * np.eye(width), catalog=_with_quality(model, model.catalog)
    )
    floor = settings().learning.floor
    logger = SoftmaxLogger("quality", 200.0, floor, "best-item")
    return _log(300, seed, alike, logger)


def short(seed: int) -> KnownLog:
    """500 rows to fit on."""
    return _log(125, seed, drawn_latent(), SoftmaxLogger())


def unsupported(seed: int) -> KnownLog:
    """Nine of ten candidates are never shown."""
    return _log(300, seed, drawn_latent(), FewSupported())


WORLDS: Mapping[str, Callable[[int], KnownLog]] = {
    "a near-optimal logger": near_optimal,
    "500 rows": short,
    "90 % unsupported": unsupported,
}


def run(quick: bool) -> list[Row]:
    """Ours less the logger in each world: the mean, and how often it is below by more than 1 %."""
    kept = finished(__name__)
    rows = []
    for name, world in WORLDS.items():
        cells = [
            kept.of([name, seed], lambda world=world, seed=seed: cell(world(seed)))  # type: ignore[misc]
            for seed in range(QUICK_SEEDS if quick else SEEDS)
        ]
        rows += _rows(name, cells, judged=not quick)
    return rows


def cell(world: KnownLog) -> dict[str, Any]:
    """True values of the logger, of what is served, and of what was chosen, on the last nights."""
    nights = nights_of(world)
    fit, judged = world.on_nights(nights[:FIT_NIGHTS]), world.on_nights(nights[FIT_NIGHTS:])
    sample = sample_of(fit.log)
    of, star = settings(), north_star(fit.log.objectives).name
    contenders: list[ExpectedReward | LearnedScore] = [
        *heads(sample.reward_model.heads, star),
        *learned({star: 1.0}, of.learning, of.seed, "north star alone"),
    ]
    choice = choose(sample, contenders, of.learning.floor)
    chosen = next(c for c in contenders if c.name == choice.chosen)
    served = {chosen.name: fitted(chosen, sample)}
    scores = scores_of(sample.reward_model, judged.log.decisions, served)[chosen.name]
    greedy = greedy_with_floor(scores, judged.log.decisions.offsets, of.learning.floor)
    logger = _value(judged, judged.log.candidate_propensity)
    found = _value(judged, greedy)
    return {
        "logger": logger,
        "served": found if choice.improves else logger,
        "chosen": found,
        "name": choice.chosen,
        "improves": choice.improves,
        "best": _value(
            judged,
            greedy_with_floor(judged.truth, judged.log.decisions.offsets, of.learning.floor),
        ),
    }


def _rows(name: str, cells: Sequence[Mapping[str, Any]], judged: bool) -> list[Row]:
    found = {
        k: np.array([cell[k] for cell in cells]) for k in ("logger", "served", "chosen", "best")
    }
    less = found["served"] - found["logger"]
    below = float(np.mean(less < -BELOW * found["logger"]))
    changed = int(np.sum([cell["improves"] for cell in cells]))
    anyway = found["chosen"] - found["logger"]
    return [
        Row(
            f"{name}: ours less the logger, mean",
            float(less.mean()),
            bar=">= 0",
            holds=bool(less.mean() >= 0),
            note=f"{len(cells)} seeds, logger {found['logger'].mean():.4f}, oracle "
            f"{found['best'].mean():.4f}; served in {changed}, else the logger; served always "
            f"{anyway.mean():+.4f}",
        ).where(judged),
        Row(
            f"{name}: share of seeds below the logger by more than 1 %",
            below,
            bar=f"<= {SHARE:g}",
            holds=below <= SHARE,
            note=f"served always {np.mean(anyway < -BELOW * found['logger']):.2f}",
        ).where(judged),
    ]


def _log(users: int, seed: int, model: LatentModel, logger: SoftmaxLogger) -> KnownLog:
    log, truth = latent_log(
        users, NIGHTS, CANDIDATES, seed, model=model, logger=logger, nights=NIGHTS
    )
    return KnownLog(log, truth[:, log.column(north_star(log.objectives).name)])


def _with_quality(model: LatentModel, catalog: Catalog) -> Catalog:
    # The mean user's expected rating, on the scale that the logger takes logarithms of.
    quality = np.exp(model.item_bias + model.item_factor @ model.user_mean[1:])
    return replace(catalog, attributes={**catalog.attributes, "quality": quality})


def _value(known: KnownLog, probabilities: Floats) -> float:
    return float(probabilities @ known.truth) / len(known.log)
