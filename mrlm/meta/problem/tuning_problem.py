"""TuningProblem: what the meta-update is given, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Objective
from mrlm.bandit_log.ragged import Ragged, gather
from mrlm.meta.problem.judged_groups import JudgedGroups


@dataclass(frozen=True)
class TuningProblem:
    """Logged rounds of the tune nights: n decisions, N candidates, f features, m objectives.

    Attributes:
        offsets: int64, shape (n + 1,), offsets of the candidate sets; none is empty.
        shown: int64, shape (n,), flat position of the shown item among all candidates.
        propensity: float64, shape (n,), probability with which it was shown.
        cluster: user of each decision, int64 or str, shape (n,).
        features: float64, shape (N, f), standardised and clipped.
        columns: f names of features.
        serves: for each feature the name of the objective whose head it is; None for a learned
            score, an uncertainty, or anything else that is no objective.
        log_anchor: float64, shape (N,), finite, the log probabilities that kappa multiplies.
        champion: float64, shape (N,), positive probabilities of the champion.
        rewards: float64, shape (n, m); NaN where unknown.
        q: float64, shape (N, m), predicted reward of every candidate, fitted on other users or
            nights; exact for objectives that are known for every candidate.
        objectives: m objectives; exactly one is the north star.
        floor: exploration floor of the tuned policy, in [0, 1).
        weight_clip: importance weights above it are cut.
        lowest: float64, shape (f,), lower bound of each theta; None is 0 for all.
        highest: float64, shape (f,), upper bound of each theta; None is no bound of its own.
        horizon: columns whose score counts later rewards too.
        age: int64, shape (n,), nights before the newest one; left out, all are of one night.
        weight: float64, shape (n,), positive, of each decision in every estimate; left out, 1.
        open: bool, shape (n,), rounds whose north star is unknown because its time is not over;
            left out, none.
        groups: by what shows are counted by, int64 codes of each candidate's groups, ragged, N
            rows; left out, nothing is counted.
        judged: groups of rounds none of which the search may harm; None where nobody judges by any.

    Raises:
        ValueError: shapes or ranges are wrong.
    """

    offsets: NDArray[np.int64]
    shown: NDArray[np.int64]
    propensity: NDArray[np.float64]
    cluster: NDArray[Any]
    features: NDArray[np.float64]
    columns: tuple[str, ...]
    serves: tuple[str | None, ...]
    log_anchor: NDArray[np.float64]
    champion: NDArray[np.float64]
    rewards: NDArray[np.float64]
    q: NDArray[np.float64]
    objectives: tuple[Objective, ...]
    floor: float
    weight_clip: float
    lowest: NDArray[np.float64] | None = None
    highest: NDArray[np.float64] | None = None
    horizon: tuple[str, ...] = ()
    age: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    weight: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    open: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    groups: Mapping[str, Ragged] = field(default_factory=dict)
    judged: JudgedGroups | None = None

    def __post_init__(self) -> None:
        n, total, f, m = (
            len(self.propensity),
            len(self.log_anchor),
            len(self.columns),
            len(self.objectives),
        )
        if len(self.age) == 0:
            object.__setattr__(self, "age", np.zeros(n, np.int64))
        if len(self.weight) == 0:
            object.__setattr__(self, "weight", np.ones(n))
        if len(self.open) == 0:
            object.__setattr__(self, "open", np.zeros(n, np.bool_))
        expected = {
            "offsets": (self.offsets, (n + 1,)),
            "shown": (self.shown, (n,)),
            "cluster": (self.cluster, (n,)),
            "features": (self.features, (total, f)),
            "champion": (self.champion, (total,)),
            "rewards": (self.rewards, (n, m)),
            "q": (self.q, (total, m)),
            "lowest": (self.lowest, (f,)),
            "highest": (self.highest, (f,)),
            "age": (self.age, (n,)),
            "weight": (self.weight, (n,)),
            "open": (self.open, (n,)),
        }
        for name, (array, shape) in expected.items():
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
        for kind, groups in self.groups.items():
            if len(groups) != total:
                raise ValueError(f"groups of {kind} must have {total} rows; got {len(groups)}")
        if self.judged is not None and len(self.judged.code) != n:
            raise ValueError(f"judged groups must have {n} rows; got {len(self.judged.code)}")
        if len(self.serves) != f:
            raise ValueError(f"serves must name an objective or None for each of {f} features")
        if n == 0 or self.offsets[-1] != total or (np.diff(self.offsets) <= 0).any():
            raise ValueError("offsets must cover all candidates, at least one for each decision")
        for name, array in {
            "features": self.features,
            "log_anchor": self.log_anchor,
            "q": self.q,
        }.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite")
        if not (self.champion > 0).all():
            raise ValueError(
                "the champion must give every candidate a positive probability; it needs a floor"
            )
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise ValueError("propensities must be in (0, 1]")
        if not (self.weight > 0).all():
            raise ValueError("weights of decisions must be positive")
        if not 0 <= self.floor < 1 or self.weight_clip <= 0:
            raise ValueError("the floor must be in [0, 1) and the weight clip positive")

    def rounds(self, index: NDArray[np.int64]) -> TuningProblem:
        """The problem of some of its rounds, by their places, in that order."""
        flat, offsets = gather(self.offsets, index)
        within = self.shown - self.offsets[:-1]
        return replace(
            self,
            offsets=offsets,
            shown=offsets[:-1] + within[index],
            propensity=self.propensity[index],
            cluster=self.cluster[index],
            features=self.features[flat],
            log_anchor=self.log_anchor[flat],
            champion=self.champion[flat],
            rewards=self.rewards[index],
            q=self.q[flat],
            age=self.age[index],
            weight=self.weight[index],
            open=self.open[index],
            groups={kind: groups.take(flat) for kind, groups in self.groups.items()},
            judged=None if self.judged is None else self.judged.rounds(index),
        )

    def decayed(self, half_life: float | None) -> TuningProblem:
        """The same where a round of ``half_life`` nights before the newest counts half; None: all.

        Weights are divided by their mean, so that they add up to the rounds.
        """
        if half_life is None:
            return self
        weight = self.weight * 0.5 ** (self.age / half_life)
        return replace(self, weight=weight / weight.mean())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(o.name for o in self.objectives)
