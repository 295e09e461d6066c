from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.evidence.criteria import Criteria
from mrlm.evidence.policies import decisions_table, policy_estimates
from mrlm.evidence.propensities import completed
from mrlm.evidence.scored_log import scored_log
from mrlm.ope.registry import ESTIMATORS
from mrlm.policies.uniform import Uniform
from tests.evidence.arrays import (
    CANDIDATES,
    Heads,
    Prefers,
    chances,
    clustered_error,
    criteria,
    doubly_robust,
    make_log,
    weights,
)

CHALLENGER, CHAMPION = Prefers(0.4), Prefers(-0.2)
SIMPLE = {"item_mean": Prefers(0.3), "popularity": Prefers(0.7)}


def estimates_of(
    log: BanditLog,
    by: Criteria | None = None,
    estimated: Any = None,
    simple: Mapping[str, Prefers] | None = None,
    anchor: Prefers | None = None,
) -> dict[str, Any]:
    compared = {"challenger": CHALLENGER, "champion": CHAMPION, "uniform": Uniform()}
    told = scored_log(log, {**compared, **(simple or {})}, Heads())
    p = told.probabilities
    policies, baselines = {n: p[n] for n in compared}, {n: p[n] for n in simple or {}}
    q = told.q
    fixed = scored_log(log, {"anchor": anchor}, None).probabilities["anchor"] if anchor else None
    return policy_estimates(log, policies, q, estimated, by or criteria(), 1, baselines, fixed)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return estimates_of(make_log())


def test_it_has_the_fields_of_evidence(found: dict[str, Any]) -> None:
    assert set(found) == {
        *("policies", "differences", "logger_differences", "diagnostics", "support"),
        *("groups", "exposure"),
    }
    assert set(found["policies"]) == {"challenger", "champion", "uniform", "logger"}
    for of in (*found["policies"].values(), found["differences"], found["logger_differences"]):
        assert set(of) == set(ESTIMATORS)
        assert all(set(by_name) == {"delight", "like", "fresh"} for by_name in of.values())


def test_policies_have_the_values_that_their_scores_have(found: dict[str, Any]) -> None:
    log = make_log()
    reward = log.rewards[:, 0]
    for name, policy in (("challenger", CHALLENGER), ("champion", CHAMPION)):
        w, by = weights(policy, log), found["policies"][name]
        assert by["ips"]["delight"].value == pytest.approx((w * reward).mean(), abs=1e-12)
        assert by["snips"]["delight"].value == pytest.approx(w @ reward / w.sum(), abs=1e-12)
        robust = doubly_robust(policy, log)
        assert by["dr"]["delight"].value == pytest.approx(robust.mean(), abs=1e-12)
        assert by["dr"]["delight"].standard_error == pytest.approx(
            clustered_error(robust, log.decisions.user), rel=1e-9
        )


def test_the_difference_is_paired_row_by_row(found: dict[str, Any]) -> None:
    log = make_log()
    gap = doubly_robust(CHALLENGER, log) - doubly_robust(CHAMPION, log)
    paired = found["differences"]["dr"]["delight"]
    assert paired.value == pytest.approx(gap.mean(), abs=1e-12)
    error = clustered_error(gap, log.decisions.user)
    assert paired.standard_error == pytest.approx(error, rel=1e-9)
    own = [found["policies"][p]["dr"]["delight"] for p in ("challenger", "champion")]
    assert paired.value == pytest.approx(own[0].value - own[1].value, abs=1e-12)


def test_the_anchor_is_paired_row_by_row(found: dict[str, Any]) -> None:
    log, anchor = make_log(), Prefers(-0.5)
    beside = estimates_of(log, anchor=anchor)
    gap = doubly_robust(CHALLENGER, log) - doubly_robust(anchor, log)
    paired = beside.pop("anchor_differences")["delight"]
    assert paired.value == pytest.approx(gap.mean(), abs=1e-12)
    error = clustered_error(gap, log.decisions.user)
    assert paired.standard_error == pytest.approx(error, rel=1e-9)
    assert set(beside["policies"].pop("anchor")) == {"dr"}
    assert beside == found


def test_baselines_are_paired_row_by_row_under_the_deciding_estimator_alone(
    found: dict[str, Any],
) -> None:
    log = make_log()
    beside = estimates_of(log, simple=SIMPLE)
    for name, policy in SIMPLE.items():
        assert set(beside["policies"][name]) == {"dr"}
        own = doubly_robust(policy, log)
        assert beside["policies"][name]["dr"]["delight"].value == pytest.approx(own.mean())
        gap = doubly_robust(CHALLENGER, log) - own
        paired = beside["baseline_differences"][name]
        assert set(paired) == {"delight", "like", "fresh"}
        assert paired["delight"].value == pytest.approx(gap.mean(), abs=1e-12)
        error = clustered_error(gap, log.decisions.user)
        assert paired["delight"].standard_error == pytest.approx(error, rel=1e-9)
        assert paired["delight"].certified
    assert set(beside["baseline_differences"]) == set(SIMPLE)
    # All else is as without them.
    del beside["baseline_differences"]
    beside["policies"] = {n: e for n, e in beside["policies"].items() if n not in SIMPLE}
    assert beside == found
    other = estimates_of(log, criteria(estimator="snips"), simple=SIMPLE)
    assert set(other["policies"]["popularity"]) == {"snips"}


def test_the_loggers_value_is_that_of_what_it_shows(found: dict[str, Any]) -> None:
    """Doubly robust where all of its chances are logged, else what was observed."""
    log = make_log()
    shape = (len(log), CANDIDATES)
    q = log.decisions.candidates.values.reshape(shape) / 5 + 0.3
    seen = log.rewards[:, 0] - q[np.arange(len(log)), log.action]
    robust = (log.candidate_propensity.reshape(shape) * q).sum(1) + seen
    own = found["policies"]["logger"]["dr"]["delight"]
    assert own.value == pytest.approx(robust.mean(), abs=1e-12)
    against = found["logger_differences"]["dr"]["delight"]
    gap = doubly_robust(CHALLENGER, log) - robust
    assert against.value == pytest.approx(gap.mean(), abs=1e-12)
    assert against.standard_error == pytest.approx(
        clustered_error(gap, log.decisions.user), rel=1e-9
    )
    nowhere = np.full_like(log.candidate_propensity, np.nan)
    observed = estimates_of(replace(log, candidate_propensity=nowhere))["policies"]["logger"]
    mean = log.rewards[:, 0].mean()
    assert observed["dr"]["delight"].value == pytest.approx(mean, abs=1e-12)
    assert observed["ips"]["delight"].value == pytest.approx(mean, abs=1e-12)


def test_diagnostics_tell_the_weights(found: dict[str, Any]) -> None:
    log = make_log()
    w = weights(CHALLENGER, log)
    told = found["diagnostics"]["challenger"]
    assert told["effective_sample_size"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert told["largest_weight_share"] == pytest.approx(w.max() / w.sum())
    counts, edges = np.histogram(w, bins=told["weight_histogram"]["edges"])
    assert told["weight_histogram"]["counts"] == counts.tolist()
    assert len(counts) == 40
    assert edges[-1] == pytest.approx(w.max())
    assert found["diagnostics"]["logger"]["effective_sample_size"] == pytest.approx(len(log))


def test_the_histogram_ends_where_weights_are_rare() -> None:
    """One weight of a thousand leaves the others in one bin of what would follow it."""
    log = make_log()
    rare = log.propensity.copy()
    rare[0] = 1e-4
    w = weights(CHALLENGER, replace(log, propensity=rare))
    assert w[0] > 1000
    nowhere = np.full_like(log.candidate_propensity, np.nan)
    told = estimates_of(replace(log, propensity=rare, candidate_propensity=nowhere))
    histogram = told["diagnostics"]["challenger"]["weight_histogram"]
    assert histogram["edges"][-1] == 20.0
    assert sum(histogram["counts"]) == len(log)
    assert histogram["counts"][-1] == 1


def test_weights_that_only_rounding_tells_apart_lie_in_one_bin() -> None:
    """So they do where a policy logged the night itself."""
    log = make_log()
    own = weights(CHALLENGER, log) * log.propensity
    own[::2] *= 1 + 4e-16
    nowhere = np.full_like(log.candidate_propensity, np.nan)
    told = estimates_of(replace(log, propensity=own, candidate_propensity=nowhere))
    histogram = told["diagnostics"]["challenger"]["weight_histogram"]
    assert sorted(histogram["counts"])[-2:] == [0, len(log)]


def test_estimated_propensities_are_told_everywhere() -> None:
    """They are certified only where it is known that the logger hid nothing."""
    log = make_log(n=600, users=60)
    gone = np.arange(len(log)) % 3 == 0
    lost = replace(
        log,
        propensity=np.where(gone, np.nan, log.propensity),
        candidate_propensity=np.where(
            np.repeat(gone, CANDIDATES), np.nan, log.candidate_propensity
        ),
    )
    filled, estimated = completed(lost)
    unknown = estimates_of(filled, criteria(), estimated, SIMPLE)
    assert unknown["propensities"] == "estimated"
    against = unknown["baseline_differences"]["item_mean"]["delight"]
    assert not against.certified
    assert "estimated propensities" in against.reasons[0]
    assert unknown["support"]["estimated_propensities"]["estimated_share"] == pytest.approx(1 / 3)
    assert "propensity_calibration" not in unknown["support"]
    assert unknown["support"]["groups"]["all"][0]["unsupported_mass"] is None
    known = estimates_of(filled, criteria(no_hidden_confounding=True), estimated)
    for kind in ("differences", "logger_differences"):
        assert not unknown[kind]["dr"]["delight"].certified
        assert "estimated propensities" in unknown[kind]["dr"]["delight"].reasons[0]
        assert known[kind]["dr"]["delight"].certified
        assert known[kind]["dr"]["delight"].value == unknown[kind]["dr"]["delight"].value
    w = weights(CHALLENGER, filled)
    value = (w * filled.rewards[:, 0]).mean()
    assert unknown["policies"]["challenger"]["ips"]["delight"].value == pytest.approx(value)


def test_several_loggers_are_also_weighed_by_their_precision() -> None:
    """Beside the pooled estimate, and for the estimator that is judged alone."""
    log = make_log(n=1200, users=240)
    # Users of one logger only, whose rewards are noisier.
    second = np.array([int(u[1:]) % 2 == 1 for u in log.decisions.user])
    g = np.random.default_rng(5)
    rewards = log.rewards.copy()
    rewards[second, 0] += g.normal(0, 2.0, second.sum())
    two = replace(log, rewards=rewards, policy_id=np.where(second, "noisy", "quiet").astype(object))
    found = estimates_of(two, criteria(estimator="ips"))
    assert found["support"]["loggers"] == {"noisy": 600, "quiet": 600}
    extra = set(found["differences"]) - set(ESTIMATORS)
    assert len(extra) == 1
    weighed = found["differences"][extra.pop()]["delight"]
    pooled = found["differences"]["ips"]["delight"]
    gap = (weights(CHALLENGER, two) - weights(CHAMPION, two)) * rewards[:, 0]
    assert pooled.value == pytest.approx(gap.mean(), abs=1e-12)
    parts = {s: gap[second == s] for s in (True, False)}
    precision = {
        s: clustered_error(x, two.decisions.user[second == s]) ** -2 for s, x in parts.items()
    }
    total = sum(precision.values())
    expected = sum(precision[s] * x.mean() for s, x in parts.items()) / total
    assert weighed.value == pytest.approx(expected, abs=2e-3)
    assert abs(expected - pooled.value) > 5e-3, "else the two could not be told apart"
    assert weighed.standard_error < pooled.standard_error
    assert set(found["logger_differences"]) == set(ESTIMATORS)


def test_a_trial_is_judged_by_what_each_logger_can_tell_of_the_pair() -> None:
    """Every other user is served by a logger that hardly shows what the challenger prefers."""
    log = make_log(n=1200, users=240)
    narrow = np.array([int(u[1:]) % 2 == 1 for u in log.decisions.user])
    chance = log.candidate_propensity.reshape(-1, CANDIDATES).copy()
    chance[narrow] = 0.02 + 0.94 * np.eye(CANDIDATES)[0]
    rng = np.random.default_rng(4)
    action = (chance.cumsum(1) < rng.random((len(log), 1))).sum(1)
    shown = log.decisions.candidates.values.reshape(-1, CANDIDATES)[np.arange(len(log)), action]
    rewards = log.rewards.copy()
    rewards[:, 0] = shown / 5 + rng.normal(0, 0.1, len(log))
    # Both loggers make the rows of each scene.
    scene = np.array([("home", "page")[i // 2 % 2] for i in range(len(log))], object)
    two = replace(
        log,
        decisions=replace(log.decisions, scene=scene),
        candidate_propensity=chance.ravel(),
        propensity=chance[np.arange(len(log)), action],
        action=action,
        rewards=rewards,
        policy_id=np.where(narrow, "narrow", "broad").astype(object),
    )
    plain, judged = (
        estimates_of(two, criteria(estimator="ips", trial_share=share), anchor=Uniform())
        for share in (0.0, 0.5)
    )
    told = scored_log(two, {"a": CHALLENGER, "b": CHAMPION}, None).probabilities
    apart = ((told["a"] - told["b"]) ** 2 / two.candidate_propensity).reshape(-1, CANDIDATES)
    gap = (weights(CHALLENGER, two) - weights(CHAMPION, two)) * rewards[:, 0]

    def weighed(among: NDArray[np.bool_]) -> float:
        parts = [s & among for s in (narrow, ~narrow)]
        precise = np.array([np.sum(s) / apart[s].sum(1).mean() for s in parts])
        return float(precise @ [gap[s].mean() for s in parts] / precise.sum())

    every = np.ones(len(two), np.bool_)
    assert abs(weighed(every) - gap.mean()) > 1e-3, "else the two could not be told apart"
    assert judged["differences"]["ips"]["delight"].value == pytest.approx(weighed(every))
    # The values are of the same rows, so what hardly counts keeps neither from being certified.
    own = {p: judged["policies"][p]["ips"]["delight"] for p in ("challenger", "champion")}
    assert own["challenger"].value - own["champion"].value == pytest.approx(weighed(every))
    pooled = plain["policies"]["challenger"]["ips"]["delight"]
    assert own["challenger"].standard_error < pooled.standard_error
    # What a group loses is seen by the same rows, and so is a loss to the anchor.
    homes = {g.group: g for g in judged["groups"] if g.kind == "scene"}
    for name, found in homes.items():
        assert found.differences["delight"].value == pytest.approx(weighed(scene == name))
    assert set(homes) == {"home", "page"}
    for before, after in (
        (plain["differences"]["ips"], judged["differences"]["ips"]),
        (plain["logger_differences"]["ips"], judged["logger_differences"]["ips"]),
        (plain["anchor_differences"], judged["anchor_differences"]),
    ):
        assert after["delight"].standard_error < before["delight"].standard_error


def test_what_should_be_rare_is_certified_by_the_events_there_were() -> None:
    """A complaint in a hundred decisions is as well known counted as left out."""
    log = make_log(n=1200, users=240)
    like = [o.name for o in log.objectives].index("like")
    rewards = log.rewards.copy()
    rewards[:, like] = np.arange(len(log)) % 100 == 7
    rare = replace(log, rewards=rewards)
    kind = replace(log.objectives[like], transform="none", missing=1.0)
    rewards = rewards.copy()
    rewards[:, like] = 1 - rewards[:, like]
    objectives = (*log.objectives[:like], kind, *log.objectives[like + 1 :])
    without = replace(log, rewards=rewards, objectives=objectives)
    needs = replace(criteria().thresholds, min_nonzero=50)
    by = criteria(estimator="snips", thresholds=needs)
    counted, left_out = (
        estimates_of(each, by)["differences"]["snips"]["like"] for each in (rare, without)
    )
    assert left_out.value == pytest.approx(-counted.value)
    assert not counted.certified
    assert not left_out.certified


def test_values_side_by_side_are_of_the_same_rows() -> None:
    """A night that brings more to everybody, and counts more, is no merit of the pair."""
    log = make_log(n=1200, users=240)
    narrow = np.array([int(u[1:]) % 2 == 1 for u in log.decisions.user])
    chance = np.where(narrow[:, None], 0.02 + 0.94 * np.eye(CANDIDATES)[0], 1 / CANDIDATES)
    rng = np.random.default_rng(5)
    action = (chance.cumsum(1) < rng.random((len(log), 1))).sum(1)
    rewards = log.rewards.copy()
    # Whatever is shown.
    rewards[:, 0] = np.where(narrow, 0.1, 0.6)
    two = replace(
        log,
        candidate_propensity=chance.ravel(),
        propensity=chance[np.arange(len(log)), action],
        action=action,
        rewards=rewards,
        policy_id=np.where(narrow, "narrow", "broad").astype(object),
    )
    judged = estimates_of(two, criteria(estimator="snips", trial_share=0.5))
    # Weighed estimates normalise by logger, so that each knows its rows' reward exactly.
    values = {p: found["snips"]["delight"].value for p, found in judged["policies"].items()}
    assert values["logger"] > 0.5, "the broad half counts for more"
    assert values == pytest.approx(dict.fromkeys(values, values["logger"]))
    assert set(values) >= {"challenger", "champion", "logger", "uniform"}
    # Of a logger without a second choice it is not known what it counts for.
    chance = np.where(narrow[:, None], np.eye(CANDIDATES)[0], chance)
    action = np.where(narrow, 0, action)
    unknown = replace(
        two,
        candidate_propensity=chance.ravel(),
        propensity=chance[np.arange(len(log)), action],
        action=action,
    )
    alike = estimates_of(unknown, criteria(estimator="snips", trial_share=0.5))["policies"]
    assert alike["logger"]["snips"]["delight"].value == pytest.approx(rewards[:, 0].mean())


def test_what_a_night_of_the_trial_tells_is_known_before_it(found: dict[str, Any]) -> None:
    """By the variance that two policies' difference has where every reward is drawn alike."""
    assert "trial_night" not in found, "nobody has a trial"
    log = make_log(n=1200, users=240, nights=("2026-11-19", "2026-11-20"))
    chance = np.full((len(log), CANDIDATES), 0.02) + 0.94 * np.eye(CANDIDATES)[0]
    log = replace(log, candidate_propensity=chance.ravel(), propensity=chance[0, log.action])
    told = estimates_of(log, criteria(trial_share=0.25))["trial_night"]
    a, b = chances(CHALLENGER, log), chances(CHAMPION, log)

    def variance(shown: NDArray[np.float64]) -> float:
        return float(((a - b) ** 2 / shown).sum(1).mean())

    # The log has two such nights.
    assert told == pytest.approx(variance(chance) / variance(0.75 * b + 0.25 * a) / 2)
    assert told > 3
    same = replace(log, candidate_propensity=(0.75 * b + 0.25 * a).ravel())
    shown = same.candidate_propensity.reshape(-1, CANDIDATES)
    same = replace(same, propensity=shown[np.arange(len(same)), same.action])
    assert estimates_of(same, criteria(trial_share=0.25))["trial_night"] == pytest.approx(0.5)
    half = np.array(["one", "other"], object)[np.arange(len(same)) % 2]
    by_two = estimates_of(replace(same, policy_id=half), criteria(trial_share=0.25))
    assert by_two["trial_night"] == pytest.approx(0.5, rel=0.05)


def test_the_table_has_every_decision_with_its_candidates() -> None:
    log = make_log(n=5, nights=("2026-11-19", "2026-11-20"))
    p = scored_log(log, {"a": CHALLENGER}, None).probabilities["a"]
    table = decisions_table(log, {"challenger": p, "logger": log.candidate_propensity})
    assert table.column_names == ["decision_id", "night", "candidates", "challenger", "logger"]
    rows = table.to_pylist()
    assert [r["decision_id"] for r in rows] == log.decision_id.tolist()
    assert [str(r["night"]) for r in rows] == [str(n) for n in log.night]
    code = log.decisions.candidates.values.reshape(-1, CANDIDATES)
    assert [r["candidates"] for r in rows] == [[f"i{c}" for c in own] for own in code]
    assert [r["challenger"] for r in rows] == p.reshape(-1, CANDIDATES).tolist()
    assert [r["logger"] for r in rows] == log.candidate_propensity.reshape(-1, CANDIDATES).tolist()


def test_without_a_policy_the_table_has_columns_and_no_row() -> None:
    table = decisions_table(make_log(n=5), {})
    assert table.column_names == ["decision_id", "night", "candidates"]
    assert len(table) == 0
