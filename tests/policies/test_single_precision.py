"""Single precision serves where it changes nothing, and double precision elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.policies.contract import Policy
from mrlm.policies.mixture import Mixture
from mrlm.policies.single_precision import MOST_APART, in_one_pass, in_single, quickest
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


@dataclass(frozen=True)
class Reader:
    """A scorer by a model, and the model itself."""

    off: float
    others: int = 0
    kind: str = "reader"
    columns: tuple[str, ...] = ("x",)

    @property
    def model(self) -> Reader:
        return self

    def reading(self, model: Reader) -> Reader:
        return model

    def together(self, models: list[Reader]) -> list[Reader]:
        return [replace(m, others=len(models)) for m in models]

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        return (decisions.candidates.values % 5 * self.off)[:, None]

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def test_models_of_a_policy_and_of_its_anchors_are_computed_together() -> None:
    one = tuned(0.0, Uniform())
    policy = replace(one, anchor=replace(one, scorers=(Reader(1.0),)), scorers=(Reader(2.0),))
    joined = in_one_pass(policy)
    assert isinstance(joined, Tuned)
    assert isinstance(joined.anchor, Tuned)
    assert joined.scorers + joined.anchor.scorers == (Reader(2.0, 2), Reader(1.0, 2))
    alone = replace(one, scorers=(Reader(1.0),))
    assert in_one_pass(alone) is alone
    assert in_one_pass(one) is one
