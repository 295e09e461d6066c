from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Ragged
from mrlm.evidence.support import drift, support
from mrlm.ope.batch import EvaluationBatch
from tests.evidence.arrays import (
    CANDIDATES,
    ITEMS,
    Prefers,
    chances,
    make_log,
    paired_state,
    weights,
)

TARGET = Prefers(0.3)


def support_of(log: BanditLog) -> dict:
    batch = EvaluationBatch.from_log(log, chances(TARGET, log).ravel(), None, "challenger")
    return support(log, batch)


def kish(w: np.ndarray) -> float:
    return float(w.sum() ** 2 / (w**2).sum())


def test_groups_are_those_of_the_log_with_their_own_weights() -> None:
    log = make_log()
    found = support_of(log)
    w = weights(TARGET, log)
    (whole,) = found["groups"]["all"]
    assert whole["rows"] == len(log)
    assert whole["effective_sample_size"] == pytest.approx(kish(w))
    assert whole["mean_weight"] == pytest.approx(w.mean())
    assert [g["group"] for g in found["groups"]["scene"]] == ["home", "page"]
    for g in found["groups"]["scene"]:
        own = w[log.decisions.scene == g["group"]]
        assert g["rows"] == len(own)
        assert g["effective_sample_size"] == pytest.approx(kish(own))
    assert set(found["groups"]) == {"all", "scene"}, "one position and no history are no groups"


def test_users_are_new_known_or_well_known_by_their_history() -> None:
    log = make_log(n=30)
    # Both ends of each group.
    seen = np.repeat([0, 1, 9, 10, 30], [10, 5, 5, 9, 1])
    offsets = np.concatenate([[0], np.cumsum(seen)])
    length = int(offsets[-1])
    decisions = log.decisions.with_history(
        Ragged(offsets, np.zeros(length, np.int32)), np.zeros(length, np.float32)
    )
    found = support_of(replace(log, decisions=decisions))
    assert [(g["group"], g["rows"]) for g in found["groups"]["history"]] == [
        ("0 items", 10),
        ("1 to 9 items", 10),
        ("10 items or more", 10),
    ]


def test_items_are_told_by_their_names_with_what_was_wanted_and_shown() -> None:
    log = make_log()
    found = {i["item_id"]: i for i in support_of(log)["items"]}
    assert set(found) == {f"i{c}" for c in range(ITEMS)}
    code = log.decisions.candidates.values.reshape(-1, CANDIDATES)
    wanted, w = chances(TARGET, log), weights(TARGET, log)
    shown = code[np.arange(len(log)), log.action]
    for c in range(ITEMS):
        item = found[f"i{c}"]
        assert item["target_share"] == pytest.approx((wanted * (code == c)).sum() / len(log))
        assert item["weighted_share"] == pytest.approx(w[shown == c].sum() / len(log))
        assert item["shown"] == (shown == c).sum()


def test_the_worst_supported_items_come_first() -> None:
    """An item that the logger never shows where the target wants it is worse than any other."""
    log = make_log()
    code = log.decisions.candidates.values.reshape(-1, CANDIDATES)
    shown = code[np.arange(len(log)), log.action]
    never = np.where((code == 2) & (shown != 2)[:, None], 0.0, 1.0)
    p = log.candidate_propensity.reshape(-1, CANDIDATES) * never
    found = support_of(replace(log, candidate_propensity=p.ravel()))
    assert found["items"][0]["item_id"] == "i2"
    assert found["items"][0]["gap"] > 0
    z = [abs(i["weighted_share"] - i["target_share"]) / i["standard_error"] for i in found["items"]]
    assert z[1:] == sorted(z[1:], reverse=True)


def test_only_several_loggers_are_told_apart() -> None:
    log = make_log()
    assert "loggers" not in support_of(log)
    two = np.where(np.arange(len(log)) < 100, "b", "a").astype(object)
    assert support_of(replace(log, policy_id=two))["loggers"] == {"a": len(log) - 100, "b": 100}


def test_calibration_needs_every_candidates_propensity() -> None:
    log = make_log()
    bins = support_of(log)["propensity_calibration"]
    assert sum(b["candidates"] for b in bins) == len(log) * CANDIDATES
    some = log.candidate_propensity.copy()
    some[0] = np.nan
    assert "propensity_calibration" not in support_of(replace(log, candidate_propensity=some))


def test_drift_is_of_the_challenger_night_by_night() -> None:
    """Of the first policy of each pair; rows whose reward is unknown do not count."""
    nights = ("2026-11-19", "2026-11-20")
    logs = {n: make_log(s, nights=(n,)) for s, n in enumerate(nights)}
    final = logs[nights[1]].final.copy()
    final[:100, 0] = False
    logs[nights[1]] = replace(logs[nights[1]], final=final)
    states = {n: paired_state(x, TARGET, Prefers(-0.2), None, "ips") for n, x in logs.items()}
    rows = drift(states, "delight")
    assert [r["night"] for r in rows] == list(nights)
    for row, log in zip(rows, logs.values(), strict=True):
        known = log.where(log.final[:, 0])
        w = weights(TARGET, known)
        assert row["rows"] == len(known)
        assert row["users"] == len(set(known.decisions.user))
        assert row["effective_share"] == pytest.approx(kish(w) / len(known))
        assert row["largest_weight_share"] == pytest.approx(w.max() / w.sum())
        assert row["mean_weight"] == pytest.approx(w.mean())
        assert row["mean_weight_z"] is not None


def test_a_night_of_which_nothing_is_known_has_no_drift() -> None:
    log = make_log(n=20)
    unknown = replace(log, final=np.zeros_like(log.final))
    (row,) = drift({"a": paired_state(unknown, TARGET, TARGET, None, "ips")}, "delight")
    assert row["rows"] == 0
    assert row["effective_share"] is None
    assert row["mean_weight"] is None
    assert row["mean_weight_z"] is None


def test_no_group_that_is_told_has_fewer_users_than_asked_for() -> None:
    log = make_log(n=400, users=60)
    scene = np.where(np.arange(len(log)) < 4, "rare", log.decisions.scene.astype(str))
    policy = np.where(np.arange(len(log)) < 4, "canary", "usual").astype(object)
    log = replace(
        log, decisions=replace(log.decisions, scene=scene.astype(object)), policy_id=policy
    )
    batch = EvaluationBatch.from_log(log, chances(TARGET, log).ravel(), None, "challenger")
    told = support(log, batch)
    assert min(g["users"] for g in told["groups"]["scene"]) < 10
    assert set(told["loggers"]) == {"canary", "usual"}
    found = support(log, batch, least_users=10)
    groups = [g for of in found["groups"].values() for g in of]
    assert groups
    assert min(g["users"] for g in groups) >= 10
    assert sum(g["rows"] for g in found["groups"]["scene"]) == len(log)
    assert "rare" not in [g["group"] for g in groups]
    assert "canary" not in found["loggers"]
    users = log.decisions.user
    for item in found["items"]:
        code = int(item["item_id"].removeprefix("i"))
        offered = log.decisions.candidates.values.reshape(-1, CANDIDATES) == code
        assert len(set(users[offered.any(axis=1)])) >= 10
    nobody = support(log, batch, least_users=61)
    assert nobody["groups"] == {"all": []}
    assert nobody["items"] == []


def test_nights_of_too_few_users_are_not_told() -> None:
    log = make_log(n=400, users=60)
    state = paired_state(log, TARGET, TARGET, None, "ips")
    assert drift({"2026-11-10": state}, "delight", 61) == []
    (row,) = drift({"2026-11-10": state}, "delight", 60)
    assert row["users"] == 60
