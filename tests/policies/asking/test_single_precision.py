"""Single precision serves where it changes nothing, and double precision elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.policies.asking.single_precision import MOST_APART, in_single, quickest
from mrlm.policies.contract import Policy
from mrlm.policies.mixture import Mixture
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import Tuned
from mrlm.policies.uniform import Uniform
from mrlm.worlds.latent import latent_log


@dataclass(frozen=True)
class Rounds:
    """A score by the items' codes; in single precision it is off by ``off`` for one item."""

    off: float
    single: bool = False
    kind: str = "rounds"
    columns: tuple[str, ...] = ("x",)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        codes = decisions.candidates.values
        off = np.where(codes == codes[0], self.off if self.single else 0.0, 0.0)
        return (codes % 7 + off)[:, None]

    @property
    def in_single(self) -> Rounds:
        return Rounds(self.off, single=True)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def tuned(off: float, anchor: Policy) -> Tuned:
    standardiser = Standardiser(("x",), (3.0,), (2.0,))
    return Tuned(anchor, (Rounds(off),), (), standardiser, 0.5, np.ones(1), 0.1)


@pytest.mark.parametrize("off", [np.nan, 1e-4])
def test_double_precision_serves_where_single_differs(off: float) -> None:
    decisions = latent_log(20, 3, n_candidates=6, seed=0)[0].decisions
    policy = tuned(off, Uniform())
    assert quickest(policy, decisions) is policy


def test_single_precision_reaches_every_scorer() -> None:
    decisions = latent_log(20, 3, n_candidates=6, seed=0)[0].decisions
    policy = tuned(1e-8, Mixture((tuned(1e-8, Uniform()), Uniform()), (0.5, 0.5)))
    single = quickest(policy, decisions)
    assert isinstance(single, Tuned)
    assert isinstance(single.anchor, Mixture)
    (part, _) = single.anchor.policies
    assert isinstance(part, Tuned)
    assert [s.single for t in (single, part) for s in t.scorers] == [True, True]  # type: ignore[attr-defined]
    apart = np.abs(
        np.exp(single.log_probabilities(decisions)) - np.exp(policy.log_probabilities(decisions))
    )
    assert 0 < apart.max() < MOST_APART
    assert in_single(Uniform()) == Uniform()
