"""The contract of the policies' family: a new member is one line in ``POLICIES``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Objective
from mrlm.bandit_log import decisions as decisions_module
from mrlm.bandit_log.ragged import segment_sum
from mrlm.bandit_log.segment_labels import HISTORY_BANDS
from mrlm.learners.clone import FORMS
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.floor import with_floor
from mrlm.policies.greedy import Greedy
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.mixture import Mixture
from mrlm.policies.rarity import KIND, Rarity, load_rarity
from mrlm.policies.standardise import Standardiser
from mrlm.policies.storage import load_policy, save_policy
from mrlm.policies.tuned import SceneWeights, Tuned
from mrlm.policies.uniform import Uniform
from mrlm.worlds.latent import latent_log

FRESH = Objective(name="fresh", source="list")


@dataclass(frozen=True)
class ByCode:
    """A scorer that needs no learning: the item's code and its square root."""

    kind: str = "by_code"
    columns: tuple[str, ...] = ("code", "uncertainty")

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        code = decisions.candidates.values.astype(np.float64)
        return np.stack([code, np.sqrt(code)], axis=1)

    def save(self, folder: Path) -> None:
        (folder / "by_code.json").write_text("{}")


@dataclass(frozen=True)
class Thirds:
    """A scorer of three values, so that many candidates share the highest."""

    kind: str = "thirds"
    columns: tuple[str, ...] = ("third",)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        return (decisions.candidates.values % 3).astype(np.float64)[:, None] / 3

    def save(self, folder: Path) -> None:
        (folder / "thirds.json").write_text("{}")


LOADERS: dict[str, Callable[[Path], Scorer]] = {
    "by_code": lambda folder: ByCode(),
    "thirds": lambda folder: Thirds(),
    KIND: load_rarity,
}


def softmax() -> ItemSoftmax:
    return ItemSoftmax((Term("popularity", True, 2.0, 1.0, 0.7),), floor=0.2)


def tuned(anchor: Policy | None = None, theta: float = 0.5, kappa: float = 0.8) -> Tuned:
    scorers: tuple[Scorer, ...] = (ByCode(),)
    columns = feature_columns(scorers, (FRESH,))
    return Tuned(
        anchor=anchor or softmax(),
        scorers=scorers,
        known=(FRESH,),
        standardiser=Standardiser(columns, (10.0, -3.0, 0.5), (5.0, 1.0, 0.5)),
        kappa=kappa,
        theta=np.array([theta, theta / 2, theta]),
        floor=0.2,
    )


def by_scene(policy: Tuned) -> Tuned:
    """Weights of its own where the made log shows its lists."""
    return replace(policy, scenes=(SceneWeights("home", 0.1, np.array([0.0, 1.5, -1.0])),))


def by_rarity() -> Tuned:
    log, _ = latent_log(n_users=20, decisions_per_user=5, n_candidates=8, seed=4)
    rarity = Rarity.of("categories", log.decisions, np.ones(len(log.decisions.candidates.values)))
    standardiser = Standardiser(rarity.columns, (2.0,), (0.5,))
    return Tuned(softmax(), (rarity,), (), standardiser, 0.5, np.ones(1), 0.1)


def by_history(policy: Tuned) -> Tuned:
    """The same for users of whom something is known."""
    own = (replace(by_scene(policy).scenes[0], scene=HISTORY_BANDS[1]),)
    return replace(policy, scenes=own, segments="history")


@cache
def clone(form: str) -> Policy:
    return FORMS[form](latent_log(n_users=20, decisions_per_user=5, n_candidates=8, seed=4)[0], 0)


POLICIES: dict[str, Callable[[], Policy]] = {
    "uniform": Uniform,
    "item_softmax": softmax,
    "tuned": tuned,
    "tuned by rarity": by_rarity,
    "tuned on tuned": lambda: tuned(tuned()),
    "tuned by scene": lambda: by_scene(tuned()),
    "tuned by history": lambda: by_history(tuned()),
    "tuned on tuned by scene": lambda: tuned(by_scene(tuned())),
    **{f"clone, {form}": partial(clone, form) for form in FORMS},
    "mixture": lambda: Mixture((softmax(), clone("small network")), (0.3, 0.7)),
    "greedy": lambda: Greedy(Thirds(), floor=0.2),
    "greedy without a floor": lambda: Greedy(Thirds(), floor=0.0, name="plain"),
    "tuned on greedy": lambda: tuned(Greedy(Thirds(), floor=0.2)),
    "tuned beside greedy": lambda: tuned(Greedy(Thirds(), floor=0.2), kappa=0.0),
    "mixture with greedy": lambda: Mixture((softmax(), Greedy(Thirds(), 0.1)), (0.4, 0.6)),
    "tuned on mixture": lambda: tuned(Mixture((softmax(), Uniform()), (0.5, 0.5))),
}


@pytest.fixture(scope="module")
def log() -> BanditLog:
    return latent_log(n_users=60, decisions_per_user=5, n_candidates=8, seed=3)[0]


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return POLICIES[request.param]()


def test_probabilities_are_a_distribution_above_the_floor(policy: Policy, log: BanditLog) -> None:
    assert isinstance(policy, Policy)
    log_p = policy.log_probabilities(log.decisions)
    assert log_p.dtype == np.float64
    sums = segment_sum(np.exp(log_p), log.decisions.offsets)
    assert sums == pytest.approx(np.ones(len(log)), abs=1e-12)
    k = np.diff(log.decisions.offsets)
    assert (np.exp(log_p) >= np.repeat(policy.floor / k, k) - 1e-12).all()
    core = policy.core_log_probabilities(log.decisions)
    assert with_floor(core, log.decisions.offsets, policy.floor) == pytest.approx(log_p)


def test_a_decision_does_not_depend_on_its_neighbours(policy: Policy, log: BanditLog) -> None:
    whole = policy.log_probabilities(log.decisions)
    index = np.array([5, 0, 17])
    offsets = log.decisions.offsets
    alone = policy.log_probabilities(log.decisions.take(index))
    expected = np.concatenate([whole[offsets[i] : offsets[i + 1]] for i in index])
    assert alone == pytest.approx(expected, abs=1e-12)


def test_what_is_stored_is_what_is_loaded(policy: Policy, log: BanditLog, tmp_path: Path) -> None:
    save_policy(policy, tmp_path / "p")
    again = load_policy(tmp_path / "p", LOADERS)
    same = again.log_probabilities(log.decisions) == policy.log_probabilities(log.decisions)
    assert same.all()
    assert again.name == policy.name


def test_an_unknown_scorer_is_refused(tmp_path: Path) -> None:
    save_policy(tuned(), tmp_path / "p")
    with pytest.raises(ValueError, match="no loader"):
        load_policy(tmp_path / "p", {})


def test_an_unknown_scorer_of_a_greedy_policy_is_refused(tmp_path: Path) -> None:
    save_policy(Greedy(Thirds(), 0.1), tmp_path / "p")
    with pytest.raises(ValueError, match="no loader"):
        load_policy(tmp_path / "p", {"by_code": LOADERS["by_code"]})


def test_greedy_shares_among_equals_and_explores_everywhere(log: BanditLog) -> None:
    decisions, offsets = log.decisions, log.decisions.offsets
    p = np.exp(Greedy(Thirds(), floor=0.2).log_probabilities(decisions))
    score = decisions.candidates.values % 3
    shared = 0
    for start, stop in itertools.pairwise(offsets):
        best = score[start:stop] == score[start:stop].max()
        shared += best.sum() > 1
        expected = np.where(best, 0.8 / best.sum(), 0.0) + 0.2 / (stop - start)
        assert p[start:stop] == pytest.approx(expected, abs=1e-15)
    assert shared > 100


def test_the_core_of_greedy_is_finite_and_sums_to_one(log: BanditLog) -> None:
    """A core of minus infinity would make NaN of a policy that weighs it by 0."""
    core = Greedy(Thirds(), floor=0.2).core_log_probabilities(log.decisions)
    assert np.isfinite(core).all()
    assert core.min() < -700
    sums = segment_sum(np.exp(core), log.decisions.offsets)
    assert np.abs(sums - 1.0).max() <= 4 * np.finfo(np.float64).eps


@pytest.mark.parametrize(("scorer", "floor"), [(ByCode(), 0.1), (Thirds(), -0.1), (Thirds(), 1.5)])
def test_greedy_refuses_several_scores_and_no_share(scorer: Scorer, floor: float) -> None:
    with pytest.raises(ValueError, match=r"one score|share"):
        Greedy(scorer, floor)


def test_kappa_one_and_theta_zero_is_the_champion_and_the_floor_is_not_applied_twice(
    log: BanditLog,
) -> None:
    champion = softmax()
    for _ in range(5):
        same = tuned(champion, theta=0.0, kappa=1.0)
        gap = same.log_probabilities(log.decisions) - champion.log_probabilities(log.decisions)
        assert np.abs(gap).max() < 1e-12
        champion = same  # type: ignore[assignment]
    assert same.depth == 5


def test_more_weight_on_a_feature_never_lowers_its_mean(log: BanditLog) -> None:
    decisions = log.decisions
    means = []
    for theta in np.linspace(0, 3, 7):
        policy = tuned()
        at = Tuned(**{**policy.__dict__, "theta": np.array([theta, 0.0, 0.0])})
        feature = policy.standardiser.apply(
            feature_matrix(decisions, policy.scorers, policy.known)
        )[:, 0]
        p = np.exp(at.log_probabilities(decisions))
        means.append(float((p * feature).sum()))
    assert (np.diff(means) >= 0).all()


def test_a_scene_has_its_own_weights_and_every_other_the_common_ones(log: BanditLog) -> None:
    """What is served in a scene is the policy that has these weights alone."""
    scene = np.where(np.arange(len(log)) % 3 == 0, "home", "page").astype(object)
    decisions = replace(log.decisions, scene=scene)
    policy = by_scene(tuned())
    own = policy.scenes[0]
    there = replace(tuned(), kappa=own.kappa, theta=own.theta)
    found, home, page = (p.log_probabilities(decisions) for p in (policy, there, tuned()))
    at_home = np.repeat(scene == "home", np.diff(decisions.offsets))
    assert found == pytest.approx(np.where(at_home, home, page), abs=1e-12)
    assert np.abs(home - page).max() > 0.1
    with pytest.raises(ValueError, match="twice"):
        replace(policy, scenes=policy.scenes * 2)
    with pytest.raises(ValueError, match="one value for each"):
        replace(policy, scenes=(replace(own, theta=np.zeros(2)),))


def test_users_with_a_history_have_their_own_weights(log: BanditLog) -> None:
    policy, offsets = by_history(tuned()), log.decisions.offsets
    known = np.repeat(log.decisions.looked_back_on().lengths > 0, np.diff(offsets))
    assert 0.2 < known.mean() < 0.9
    found, common = (p.log_probabilities(log.decisions) for p in (policy, tuned()))
    assert found[~known] == pytest.approx(common[~known], abs=1e-12)
    assert np.abs(found - common)[known].max() > 0.1
    # As when it answers: one decision at a time.
    place = int(np.flatnonzero(log.decisions.looked_back_on().lengths > 0)[0])
    alone = policy.log_probabilities(log.decisions.take(np.array([place])))
    assert alone == pytest.approx(found[offsets[place] : offsets[place + 1]], abs=1e-12)


def test_uncertainty_enters_with_a_minus_sign(log: BanditLog) -> None:
    matrix = feature_matrix(log.decisions, (ByCode(),), ())
    assert (matrix[:, 1] <= 0).all()


def test_features_do_not_depend_on_the_block(
    log: BanditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = feature_matrix(log.decisions, (ByCode(),), (FRESH,))
    monkeypatch.setattr(decisions_module, "BLOCK", 30)
    assert (feature_matrix(log.decisions, (ByCode(),), (FRESH,)) == whole).all()
    nothing = log.take(np.arange(0)).decisions
    assert feature_matrix(nothing, (ByCode(),), (FRESH,)).shape == (0, 3)
