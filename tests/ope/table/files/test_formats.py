from __future__ import annotations

import json

import numpy as np
import pytest

from mrlm.ope.table import evaluate_table


def feedback(n=500, actions=4, positions=3, seed=0):
    g = np.random.default_rng(seed)
    position = g.integers(0, positions, n)
    return {
        "action": g.integers(0, actions, n),
        "position": position,
        "reward": g.random(n),
        "pscore": g.uniform(0.1, 0.9, n),
        "action_dist_new": g.dirichlet(np.ones(actions), (n, positions)).transpose(0, 2, 1),
        "estimated_rewards_by_reg_model": g.random((n, actions, positions)),
        "n_rounds": n,
    }


def test_obp_feedback_gives_the_values_of_obp(tmp_path):
    peers = pytest.importorskip("obp.ope")
    data = feedback()
    np.savez(tmp_path / "feedback.npz", **data)
    found = {e.estimator: e.value for e in evaluate_table(tmp_path / "feedback.npz").estimates}
    given = {k: data[k] for k in ("reward", "action", "pscore", "position")}
    given["action_dist"] = data["action_dist_new"]
    given["estimated_rewards_by_reg_model"] = data["estimated_rewards_by_reg_model"]
    for name, peer in {
        "ips": peers.InverseProbabilityWeighting,
        "snips": peers.SelfNormalizedInverseProbabilityWeighting,
        "dm": peers.DirectMethod,
        "dr": peers.DoublyRobust,
    }.items():
        assert found[name] == pytest.approx(peer().estimate_policy_value(**given), abs=1e-10)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"position": None}, "only be read as a pickle"),
        ({"action_dist_new": np.ones(500)}, r"must be numbers of shape \(500, actions"),
        ({"action": np.full(500, 9)}, "row 0: action 9"),
    ],
)
def test_bad_obp_feedback(tmp_path, change, match):
    path = tmp_path / "feedback.npz"
    np.savez(path, **{**feedback(), **change})
    with pytest.raises(ValueError, match=match):
        evaluate_table(path)


def test_obp_feedback_without_a_policy(tmp_path):
    data = feedback()
    del data["action_dist_new"]
    np.savez(tmp_path / "feedback.npz", **data)
    with pytest.raises(ValueError, match="action_dist_NAME"):
        evaluate_table(tmp_path / "feedback.npz")


def decision(shown=1, probability=0.5, cost=-1.0, **more):
    others = [a for a in (1, 2, 3) if a != shown]
    return {
        "_label_cost": cost,
        "_label_probability": probability,
        "_label_Action": shown,
        "_labelIndex": shown - 1,
        "a": [shown, *others],
        "p": [probability, 0.25, 0.25],
        **more,
    }


def several(actions, probability=0.5, cost=-1.0, **more):
    """A line of a conditional contextual bandit: of each slot the remaining actions."""
    outcomes = [
        {
            "_label_cost": cost,
            "_id": str(slot),
            "_a": left,
            "_p": [probability, *[(1 - probability) / max(len(left) - 1, 1)] * (len(left) - 1)],
            **more,
        }
        for slot, left in enumerate(actions)
    ]
    return {"Version": "1", "c": {"_multi": [{}] * 3, "_slots": [{}] * 2}, "_outcomes": outcomes}


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_dsjson_without_policies_judges_first_and_uniform(tmp_path):
    lines = [
        decision(1),
        decision(2, 0.25, 0.0),
        {"EventId": "x", "RewardValue": 1.0},
        decision(3, 0.25, -2.0),
        decision(3, 0.25, -9.0, _skipLearn=True),
    ]
    found = evaluate_table(write_lines(tmp_path / "log.dsjson", lines))
    value = {(e.policy, e.estimator): e.value for e in found.estimates}
    assert found.rows == 3
    assert value["first", "ips"] == pytest.approx((1 / 0.5) / 3)
    assert value["uniform", "ips"] == pytest.approx((1 / 3 / 0.5 + 2 / 3 / 0.25) / 3)


def test_dsjson_with_policies(tmp_path):
    lines = [decision(1, target_probability=0.9), decision(2, 0.25, 0.0, target_probability=0.1)]
    found = evaluate_table(write_lines(tmp_path / "log.dsjson", lines))
    assert {e.policy for e in found.estimates} == {"policy"}
    assert found.estimates[0].value == pytest.approx(0.9 / 0.5 / 2)


def test_dsjson_of_several_slots_is_slates(tmp_path):
    lines = [
        several([[1, 0, 2], [2, 0]]),
        several([[0, 1, 2], [1, 2]], 0.25, 0.0),
        several([[2, 1, 0]], 0.8),
        {**several([[2, 1, 0]]), "_skipLearn": True},
    ]
    found = evaluate_table(write_lines(tmp_path / "log.dsjson", lines))
    assert (found.round, found.rows, found.unit) == ("slate", 5, "request_id")
    value = {(e.policy, e.estimator): e.value for e in found.estimates}
    both = (1 / 3 / 0.5) * (1 / 2 / 0.5)
    assert value["uniform", "sips"] == pytest.approx((both * 2 + 1 / 3 / 0.8) / 3)
    assert value["uniform", "rips"] == pytest.approx(((1 / 3 / 0.5) + both + 1 / 3 / 0.8) / 3)
    lines = [several([[1, 0], [0]], target_probability=0.9), several([[1, 0]], 0.5, 0.0)]
    with pytest.raises(ValueError, match="needs the same policies"):
        evaluate_table(write_lines(tmp_path / "log.dsjson", lines))


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("{", "line 2 is not JSON"),
        (json.dumps(decision(probability="x")), "line 2: _label_probability must be a number"),
        (json.dumps(decision(pdrop=0.2)), "line 2 says that lines were dropped"),
        (json.dumps({"_outcomes": [3]}), "line 2: _outcomes must be a list of objects"),
        (json.dumps(several([[1, 2]])), "needs the same policies"),
        (json.dumps({**several([[1]]), "_label_cost": 1.0}), "line 2 has one cost for all"),
        (json.dumps({"_outcomes": [{"_a": [1]}]}), "line 2, slot 0: _a and _p must be lists"),
        (json.dumps(decision(target_probability=0.5)), "needs the same policies"),
    ],
)
def test_bad_dsjson(tmp_path, line, match):
    path = tmp_path / "log.dsjson"
    path.write_text(json.dumps(decision()) + "\n" + line + "\n")
    with pytest.raises(ValueError, match=match):
        evaluate_table(path)
