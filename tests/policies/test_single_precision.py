"""Single precision serves where it changes nothing, and double precision elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.policies.contract import Policy
from mrlm.policies.features import UNCERTAINTY
from mrlm.policies.mixture import Mixture
from mrlm.policies.single_precision import MOST_APART, in_one_pass, in_single, quickest
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import SceneWeights, Tuned
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


@dataclass(frozen=True)
class Unsure(Reader):
    """A model that can leave its uncertainty out."""

    told: bool = True
    columns: tuple[str, ...] = ("x", UNCERTAINTY)

    @property
    def expectation(self) -> Unsure:
        return replace(self, told=False)


def test_an_uncertainty_without_a_weight_is_left_out() -> None:
    both = Standardiser(("x", UNCERTAINTY), (0.0, 0.0), (1.0, 1.0))

    def of(off: float, weight: float, *scenes: SceneWeights, anchor: Policy) -> Tuned:
        theta = np.array([1.0, weight])
        return Tuned(anchor, (Unsure(off),), (), both, 0.5, theta, 0.1, scenes=scenes)

    def told(policy: Policy) -> list[bool]:
        if isinstance(policy, Mixture):
            return [t for p in policy.policies for t in told(p)]
        if not isinstance(policy, Tuned):
            return []
        return [s.told for s in policy.scorers if isinstance(s, Unsure)] + told(policy.anchor)

    scene = SceneWeights("home", 0.5, np.array([0.0, 0.2]))
    nested = of(1.0, 0.1, anchor=of(2.0, 0.0, anchor=of(3.0, 0.0, scene, anchor=Uniform())))
    mixed = Mixture((nested, Uniform()), (0.5, 0.5))
    assert told(mixed) == [True] * 3
    assert told(in_one_pass(mixed)) == [True, False, True]
    assert told(in_one_pass(of(1.0, 0.0, anchor=Uniform()))) == [False]


def test_a_scorer_that_an_anchor_shares_stays_one() -> None:
    class Shared(Reader):
        def reading(self, model: Reader) -> Reader:
            return replace(model)

    one, scorer = tuned(0.0, Uniform()), Shared(1.0)
    anchor = replace(one, anchor=replace(one, scorers=(Reader(2.0),)), scorers=(scorer,))
    joined = in_one_pass(replace(one, anchor=anchor, scorers=(scorer,)))
    assert isinstance(joined, Tuned)
    assert isinstance(joined.anchor, Tuned)
    assert joined.scorers[0] is joined.anchor.scorers[0]
    assert joined.scorers[0] == Shared(1.0, 2)
