from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState
from mrlm.ope.difference import difference
from mrlm.ope.intervals import estimates
from mrlm.ope.intervals.folded_estimates import folded_estimates
from mrlm.ope.nights.mixtures import (
    balanced,
    divergence,
    divergence_weighted,
    stratified,
    variance_weighted,
)
from mrlm.ope.state.folded import FoldedState
from mrlm.ope.verdict.certify import Thresholds
from mrlm.ope.verdict.diagnostics import Diagnostics

# Two contexts of equal chance, three actions; loggers of 3 and 1 rounds.
LOGGERS = np.array([[[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], [[0.1, 0.1, 0.8], [0.5, 0.25, 0.25]]])
TARGET = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
REWARD = np.array([[1.0, 0.4, 0.2], [0.1, 0.9, 0.5]])
ROUNDS = np.array([3, 1])
TRUTH = float((TARGET * REWARD).sum(1).mean())


def batch_of(x, a, logger) -> EvaluationBatch:
    """One round a user, with the mean reward of its context and action."""
    n = len(x)
    return EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 3,
        target=TARGET[x].ravel(),
        shown=np.arange(n) * 3 + a,
        propensity=LOGGERS[logger, x, a],
        rewards=REWARD[x, a][:, None],
        objectives=("click",),
        q=np.full((3 * n, 1), 0.3),
    )


def every_log():
    """All logs of 4 rounds with their probabilities, as one batch of rounds for each logger."""
    x, a = (v.ravel() for v in np.meshgrid([0, 1], [0, 1, 2], indexing="ij"))
    chance = LOGGERS[:, x, a] / 2
    return x, a, chance


@pytest.mark.parametrize("name", ["ips", "dr"])
def test_balanced_is_unbiased_and_never_wider_by_enumeration(name):
    """Mean and variance over every log of 3 rounds of one logger and 1 of the other."""
    x, a, chance = every_log()
    parts = {}
    for how in ("naive", "balanced"):
        mean, variance = 0.0, 0.0
        for k, rounds in enumerate(ROUNDS):
            # Shares are those of the whole log, so they are put in by rounds of both loggers.
            whole_x, whole_a = np.concatenate([x, np.zeros(4, int)]), np.r_[a, np.zeros(4, int)]
            logger = np.r_[np.full(6, k), np.zeros(4, int)]
            batch = batch_of(whole_x, whole_a, logger)
            if how == "balanced":
                mixture = (ROUNDS @ LOGGERS[:, whole_x, whole_a]) / ROUNDS.sum()
                batch = replace(batch, propensity=mixture)
            score = ESTIMATORS[name](batch).numerator[:6, 0, 0]
            expected = chance[k] @ score
            mean += rounds * expected
            variance += rounds * (chance[k] @ (score - expected) ** 2)
        parts[how] = mean / ROUNDS.sum(), variance / ROUNDS.sum() ** 2
    assert parts["naive"][0] == pytest.approx(TRUTH, abs=1e-12)
    assert parts["balanced"][0] == pytest.approx(TRUTH, abs=1e-12)
    assert parts["balanced"][1] < parts["naive"][1]


def test_balanced_is_the_mixture_by_the_rounds_of_each_logger():
    x, a, logger = np.array([0, 1, 1, 0]), np.array([0, 2, 1, 2]), np.array([0, 0, 0, 1])
    batch = batch_of(x, a, logger)
    both = LOGGERS[:, x, a].T
    found = balanced(batch, logger, both)
    assert found.propensity == pytest.approx(both @ [0.75, 0.25])
    assert np.isnan(found.unsupported).all()
    names = np.array(["a", "a", "a", "b"], object)
    assert balanced(batch, names, both).propensity == pytest.approx(found.propensity)


def test_what_is_no_probability_of_the_loggers_is_refused():
    x, a, logger = np.array([0, 1, 1, 0]), np.array([0, 2, 1, 2]), np.array([0, 0, 0, 1])
    batch, both = batch_of(x, a, logger), LOGGERS[:, x, a].T
    with pytest.raises(ValueError, match="ascending order of the loggers"):
        balanced(batch, logger, both[:, ::-1])
    with pytest.raises(ValueError, match=r"shape \(4, 2\)"):
        balanced(batch, logger, both[:, :1])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        balanced(batch, logger, both + np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="logger must have shape"):
        balanced(batch, logger[:3], both)
    scores = ESTIMATORS["ips"](batch)
    with pytest.raises(ValueError, match="sum 1"):
        stratified(scores, logger, np.array([0.5, 0.6]))
    with pytest.raises(ValueError, match="no objective"):
        variance_weighted(scores, logger, "buy")


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_stratified_is_the_weighted_mean_of_the_loggers_estimates(make_batch, name):
    batch = make_batch(n=300, users=40)
    logger = np.arange(300) % 3
    scores = ESTIMATORS[name](batch)
    share = np.array([0.2, 0.5, 0.3])
    found = stratified(scores, logger, share).value
    each = []
    for k in range(3):
        at = np.flatnonzero(logger == k)
        each.append(scores.numerator[at].sum(0) / scores.denominator[at].sum(0))
    assert found == pytest.approx(share @ np.array(each)[:, :, 0])


def test_shares_by_rounds_are_the_pooled_mean(make_batch):
    batch = make_batch(n=300, users=40, missing=0.0)
    logger = (np.arange(300) % 5 == 0).astype(int)
    scores = ESTIMATORS["ips"](batch)
    assert stratified(scores, logger, np.array([0.8, 0.2])).value == pytest.approx(scores.value)


def test_differences_states_and_intervals_take_strata(make_batch):
    batch = make_batch(n=400, users=60, missing=0.0)
    other = batch.with_target(batch.candidate_propensity, "logger")
    paired = difference(ESTIMATORS["dr"](batch), ESTIMATORS["dr"](other))
    found = variance_weighted(paired, np.arange(400) % 2, "o0")
    state = EvaluationState.of(found)
    parts = [EvaluationState.of(_part(found, h)) for h in (slice(0, 150), slice(150, 400))]
    merged = parts[0].merge(parts[1])
    for name, e in estimates(state).items():
        assert e.estimator == "dr (stratified)"
        assert estimates(merged)[name].value == pytest.approx(e.value)
        assert estimates(merged)[name].standard_error == pytest.approx(e.standard_error)


def test_one_logger_or_one_that_a_half_lacks_stays_pooled(make_batch):
    scores = ESTIMATORS["ips"](make_batch(n=60, users=12))
    assert variance_weighted(scores, np.zeros(60, int), "o0") is scores
    lonely = np.zeros(60, int)
    lonely[0] = 1
    assert variance_weighted(scores, lonely, "o0") is scores


@pytest.mark.statistics
def test_variance_weighting_is_unbiased_and_narrower():
    """2,000 logs of 400 rounds, three quarters by the logger that rarely shows what is wanted.

    The mean is within 4 standard errors of the truth: an error rate of 6e-5. The variance is less
    than nine tenths of the pooled one, the interval at .95 covers in .93 to .97 of the logs, which
    4 standard errors allow.
    """
    g = np.random.default_rng(7)
    loggers = np.array([[[0.02, 0.9, 0.08]] * 2, [[0.6, 0.2, 0.2]] * 2])
    target = np.array([[0.8, 0.1, 0.1]] * 2)
    truth = float((target * REWARD).sum(1).mean())
    pooled, weighted, covered = [], [], 0
    for _ in range(2000):
        n = 400
        x, logger = g.integers(0, 2, n), (np.arange(n) % 4 == 0).astype(int)
        a = (g.random(n)[:, None] > loggers[logger, x].cumsum(1)).sum(1)
        batch = EvaluationBatch(
            cluster=g.permutation(n),
            offsets=np.arange(n + 1) * 3,
            target=target[x].ravel(),
            shown=np.arange(n) * 3 + a,
            propensity=loggers[logger, x, a],
            rewards=(g.random(n) < REWARD[x, a]).astype(float)[:, None],
            objectives=("click",),
        )
        scores = ESTIMATORS["ips"](batch)
        pooled.append(scores.value[0])
        found = variance_weighted(scores, logger, "click")
        e = estimates(EvaluationState.of(found))["click"]
        weighted.append(e.value)
        covered += e.lower <= truth <= e.upper
    error = np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(weighted) - truth) < 4 * error
    assert np.var(weighted) < 0.9 * np.var(pooled)
    assert 0.93 < covered / 2000 < 0.97


def two_loggers(seed, small, n=3000, rate=0.05):
    """An on-policy log of one round a user, of which one logger made a few rounds."""
    g = np.random.default_rng(seed)
    a = g.integers(0, 2, n)
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 2,
        target=np.full(2 * n, 0.5),
        shown=np.arange(n) * 2 + a,
        propensity=np.full(n, 0.5),
        rewards=(g.random(n) < rate).astype(float)[:, None],
        objectives=("click",),
    )
    return batch, (g.permutation(n) < small).astype(int)


def certified(scores):
    """The estimate, whose verdict and numbers folded users give too."""
    state = EvaluationState.of(scores)
    e = estimates(state)["click"]
    f = folded_estimates(FoldedState.of(state))["click"]
    assert (f.certified, f.certificate.reasons) == (e.certified, e.certificate.reasons)
    return e


@pytest.mark.parametrize("small", [12, 40])
def test_a_small_logger_with_a_large_share_is_refused(small):
    half = np.array([0.5, 0.5])
    for seed in range(20):
        batch, logger = two_loggers(seed, small)
        for name in ("ips", "snips"):
            scores = stratified(ESTIMATORS[name](batch), logger, half)
            assert not certified(scores).certified
            share = np.where(logger == 1, 0.5 / small, 0.5 / (3000 - small))
            d = certified(scores).diagnostics[0]
            assert d.effective_sample_size == pytest.approx(1 / (share**2).sum())
            assert d.mean_weight == pytest.approx(1)
    batch, logger = two_loggers(0, 1500)
    assert certified(stratified(ESTIMATORS["ips"](batch), logger, half)).certified


@pytest.mark.statistics
@pytest.mark.parametrize(("small", "how"), [(12, "variance"), (40, "variance"), (100, "half")])
def test_certified_strata_cover(small, how):
    """400 logs of 3,000 rounds: of the certified intervals at .95, no fewer than .93 cover.

    Fewer of 400 that cover at .95 have a chance of .04; seeds are fixed. Weighed by the
    variances of 6 rounds a half, four intervals in ten cover.
    """
    covered = []
    for seed in range(400):
        batch, logger = two_loggers(seed, small)
        scores = ESTIMATORS["ips"](batch)
        found = (
            variance_weighted(scores, logger, "click")
            if how == "variance"
            else stratified(scores, logger, np.array([0.5, 0.5]))
        )
        e = estimates(EvaluationState.of(found))["click"]
        if e.certified:
            covered.append(e.lower <= 0.05 <= e.upper)
    assert len(covered) > 100
    assert np.mean(covered) >= 0.93


def test_states_of_different_shares_do_not_add_up():
    batch, logger = two_loggers(0, 1000)
    scores = ESTIMATORS["ips"](batch)
    states = [
        EvaluationState.of(stratified(scores, logger, np.array([s, 1 - s]))) for s in (0.5, 0.6)
    ]
    with pytest.raises(ValueError, match="different signs or shares"):
        states[0].merge(states[1])
    with pytest.raises(ValueError, match="different signs or shares"):
        states[0].subtract(states[1])
    with pytest.raises(ValueError, match="different signs or shares"):
        FoldedState.of(states[0]).merge(FoldedState.of(states[1]))
    claims = replace(states[0], covers_policy_value=False)
    with pytest.raises(ValueError, match="covers_policy_value"):
        states[0].merge(claims)
    with pytest.raises(ValueError, match="covers_policy_value"):
        FoldedState.of(states[0]).merge(FoldedState.of(claims))


def test_a_share_below_0_is_refused():
    batch, logger = two_loggers(0, 100)
    with pytest.raises(ValueError, match="at least 0"):
        stratified(ESTIMATORS["ips"](batch), logger, np.array([1.5, -0.5]))


def _part(scores, where):
    names = [f.name for f in fields(scores) if isinstance(getattr(scores, f.name), np.ndarray)]
    names.remove("signs")
    return replace(scores, **{name: getattr(scores, name)[where] for name in names})


@pytest.mark.statistics
def test_a_narrow_loggers_luck_is_not_believed() -> None:
    """A pair whose champion alone made two nights of five, and both together the other three.

    200 logs of no difference. The standard error says how far values lie apart within a tenth,
    and one-sided 5 % holds within four of its standard errors. Weighed by the rewards' own
    variance the values lie three times as far apart, and their standard error says much less.
    """
    many, rows, share = 12, 400, 0.25
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one, other = (_nearly_greedy(rng.integers(0, many, 5 * rows), many) for _ in range(2))
        trial = np.arange(5 * rows) >= 2 * rows
        chance = np.where(trial[:, None], share * one + (1 - share) * other, other)
        action = (chance.cumsum(1) < rng.random((len(chance), 1))).sum(1)
        offsets = np.arange(len(chance) + 1) * many
        batch = EvaluationBatch(
            cluster=rng.integers(0, 400, len(chance)),
            offsets=offsets,
            target=one.ravel(),
            shown=offsets[:-1] + action,
            propensity=chance[np.arange(len(chance)), action],
            rewards=(rng.random((len(chance), 1)) < 0.2).astype(float),
            objectives=("o",),
            candidate_propensity=chance.ravel(),
        )
        pair = (ESTIMATORS["ips"](b) for b in (batch, batch.with_target(other.ravel(), "q")))
        apart = divergence(batch, other.ravel())
        assert apart is not None
        scores = divergence_weighted(difference(*pair), trial.astype(int), apart)
        told = estimates(EvaluationState.of(scores), 0.95)["o"]
        found.append([told.value, told.standard_error])
    value, error = np.array(found).T
    assert error.mean() == pytest.approx(value.std(), rel=0.1)
    for side in (-1, 1):
        assert (side * value / error > 1.645).mean() < 0.05 + 4 * (0.05 * 0.95 / 200) ** 0.5
    assert abs(value.mean()) < 3 * value.std() / 200**0.5


def _nearly_greedy(best: np.ndarray, many: int) -> np.ndarray:
    return np.where(np.arange(many) == best[:, None], 0.9, 0.0) + 0.1 / many


def test_where_divergences_tell_nothing_the_pooled_estimate_stays(make_batch):
    batch = make_batch(n=60, users=12, missing=0.0)
    apart = divergence(batch, batch.candidate_propensity)
    scores, two = ESTIMATORS["ips"](batch), np.arange(60) % 2
    assert divergence_weighted(scores, np.zeros(60, int), apart) is scores
    assert divergence_weighted(scores, two, divergence(batch, batch.target)) is scores
    # A logger of whose rounds no reward is known has no estimate.
    unknown = np.where(two[:, None] == 1, np.nan, batch.rewards)
    half = ESTIMATORS["ips"](replace(batch, rewards=unknown))
    assert divergence_weighted(half, two, apart) is half
    assert divergence(replace(batch, candidate_propensity=None), batch.target) is None


def busy_users(seed, n=3000, users=250, rate=0.05):
    """An on-policy log of users of unlike activity, half of whom each logger served."""
    g = np.random.default_rng(seed)
    activity = np.exp(g.normal(size=users))
    user = g.choice(users, n, p=activity / activity.sum())
    a = g.integers(0, 2, n)
    batch = EvaluationBatch(
        cluster=user,
        offsets=np.arange(n + 1) * 2,
        target=np.full(2 * n, 0.5),
        shown=np.arange(n) * 2 + a,
        propensity=np.full(n, 0.5),
        rewards=(g.random(n) < rate).astype(float)[:, None],
        objectives=("click",),
    )
    return batch, (g.permutation(users)[user] < users / 2).astype(int)


@pytest.mark.statistics
def test_busy_users_do_not_stand_in_the_way_of_two_loggers():
    """Rewards are counted by rounds: 200 logs of which nearly all certify, and .92 or more cover.

    Fewer of 200 that cover at .95 have a chance of .03; seeds are fixed. The fourth powers of such
    users' sums leave 20 of 250, which count for the degrees of freedom alone.
    """
    thresholds, half = Thresholds(min_nonzero=50.0), np.array([0.5, 0.5])
    covered = []
    for seed in range(200):
        batch, logger = busy_users(seed)
        state = EvaluationState.of(stratified(ESTIMATORS["ips"](batch), logger, half))
        e = estimates(state, thresholds=thresholds)["click"]
        f = folded_estimates(FoldedState.of(state), thresholds=thresholds)["click"]
        assert f.diagnostics[0].tail_rounds == pytest.approx(e.diagnostics[0].tail_rounds)
        if e.certified:
            covered.append(e.lower <= 0.05 <= e.upper)
    assert len(covered) >= 190
    assert np.mean(covered) >= 0.92


def test_the_largest_parts_are_counted_by_rounds():
    batch, logger = two_loggers(0, 100)
    share = np.where(logger == 1, 0.5 / 100, 0.5 / 2900)
    (d,) = certified(stratified(ESTIMATORS["ips"](batch), logger, np.array([0.5, 0.5]))).diagnostics
    assert d.tail_rounds == pytest.approx((share**2).sum() ** 2 / (share**4).sum())
    assert d.effective_nonzero == pytest.approx(d.nonzero / d.matched * d.tail_rounds)
    told = d.to_json()
    assert Diagnostics.from_json(told) == d
    del told["tail_rounds"]
    assert Diagnostics.from_json(told) is None
    (one,) = certified(ESTIMATORS["ips"](batch)).diagnostics
    assert one.tail_rounds is None
