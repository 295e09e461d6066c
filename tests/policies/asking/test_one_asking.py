"""Models that several scorers read are computed once, and only what of them is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.policies.asking.one_asking import all_in_one_pass, in_one_pass
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import UNCERTAINTY
from mrlm.policies.mixture import Mixture
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import SceneWeights, Tuned
from mrlm.policies.uniform import Uniform


def tuned(scorer: Scorer, anchor: Policy) -> Tuned:
    standardiser = Standardiser(("x",), (3.0,), (2.0,))
    return Tuned(anchor, (scorer,), (), standardiser, 0.5, np.ones(1), 0.1)


@dataclass(frozen=True)
class Modelless:
    """A scorer that reads no model."""

    kind: str = "modelless"
    columns: tuple[str, ...] = ("x",)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        return np.zeros((len(decisions.candidates.values), 1))

    def save(self, folder: Path) -> None:
        raise NotImplementedError


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
    one = tuned(Modelless(), Uniform())
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

    one, scorer = tuned(Modelless(), Uniform()), Shared(1.0)
    anchor = replace(one, anchor=replace(one, scorers=(Reader(2.0),)), scorers=(scorer,))
    joined = in_one_pass(replace(one, anchor=anchor, scorers=(scorer,)))
    assert isinstance(joined, Tuned)
    assert isinstance(joined.anchor, Tuned)
    assert joined.scorers[0] is joined.anchor.scorers[0]
    assert joined.scorers[0] == Shared(1.0, 2)


def test_policies_and_a_model_beside_them_are_computed_together() -> None:
    both = Standardiser(("x", UNCERTAINTY), (0.0, 0.0), (1.0, 1.0))
    weighed, expected = Unsure(1.0), Unsure(2.0)

    def of(model: Unsure, weight: float) -> Tuned:
        return Tuned(Uniform(), (model,), (), both, 0.5, np.array([1.0, weight]), 0.1)

    asked = {"one": of(weighed, 0.3), "two": of(expected, 0.0), "none": Uniform()}
    found, model = all_in_one_pass(asked, expected)
    assert found["one"].scorers == (Unsure(1.0, 2),)  # type: ignore[attr-defined]
    assert found["two"].scorers == (Unsure(2.0, 2, told=False),)  # type: ignore[attr-defined]
    assert model is found["two"].scorers[0]  # type: ignore[attr-defined]
    assert found["none"] is asked["none"]
    # What one of them weighs is computed for all.
    found, model = all_in_one_pass({"one": of(weighed, 0.3)}, weighed)
    assert model is weighed
    assert found["one"].scorers == (weighed,)  # type: ignore[attr-defined]
    assert all_in_one_pass({}, None) == ({}, None)
