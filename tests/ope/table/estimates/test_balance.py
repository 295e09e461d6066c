from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mrlm.ope.table import evaluate_table
from mrlm.ope.table.files import any_format
from tests.ope.table.tables import by_key, written
from tests.ope.table.test_sessions import sessions
from tests.ope.table.test_slates import slates


def table(v_hat, q_hat=(0.3, 0.3), n=4000, seed=0, target=(0.5, 0.5), holes=False):
    g = np.random.default_rng(seed)
    action = g.integers(0, 2, n)
    reward = (g.random(n) < 0.302).astype(float)
    if holes:
        reward[::3] = np.nan
    return pa.table(
        {
            "user_id": np.sort(g.integers(0, 500, n)),
            "propensity": np.full(n, 0.5),
            "target_probability_p": np.array(target)[action],
            "target_probability_other": np.full(n, 0.5),
            "reward": reward,
            "q_hat": np.array(q_hat)[action],
            "v_hat_p": np.full(n, v_hat),
            "v_hat_other": np.full(n, float(np.mean(q_hat))),
        }
    )


@pytest.mark.parametrize("order", ["scattered", "sorted"])
@pytest.mark.parametrize("holes", [False, True])
def test_dr_is_refused_where_v_hat_contradicts_q_hat(tmp_path, monkeypatch, order, holes):
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 997)
    path = written(tmp_path, table(0.9, holes=holes))
    found = evaluate_table(path, order=order)
    judged = by_key(found)
    tuned = by_key(evaluate_table(path, order=order, estimators=["dr_os"]))
    for name in ("dr", "sndr"):
        for policy in ("p", "p - other"):
            assert not judged[policy, name].certified
            reason = judged[policy, name].certificate.reason
            assert "weight x q_hat differs from the mean of v_hat by -0.6" in reason
            assert "v_hat is not the expectation of q_hat under the policy p" in reason
        assert judged["other", name].certified
    assert "v_hat is not" in tuned["p", "dr_os(tuned)"].certificate.reason
    assert judged["p", "snips"].certified
    assert found.selected == {"reward": "snips"}
    assert judged["p", "snips"].value == pytest.approx(0.302, abs=0.05)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_a_right_v_hat_of_few_digits_is_believed(tmp_path, scale):
    """Constant scores have no standard error: float32 digits must not look like a contradiction."""
    v = float(np.float32(0.3 * scale))
    found = evaluate_table(written(tmp_path, table(v, (0.3 * scale, 0.3 * scale))))
    assert "v_hat" not in (by_key(found)["p", "dr"].certificate.reason or "")
    assert found.selected["reward"] == "dr"


def test_how_often_a_right_v_hat_is_refused(tmp_path):
    """None of 60 logs with noisy weights; at 4 errors one in some 250 sets of 60 would have one."""
    for seed in range(60):
        path = written(tmp_path, table(0.74, (0.1, 0.9), 1000, seed, target=(0.2, 0.8)))
        found = by_key(evaluate_table(path))
        assert found["p", "dr"].certified, found["p", "dr"].certificate.reason


def test_a_v_hat_slightly_off_is_found_in_a_log_long_enough(tmp_path):
    """Off by 0.05 at an error of some 0.004; a chance of missing it below 1e-12."""
    path = written(tmp_path, table(0.79, (0.1, 0.9), 10000, target=(0.2, 0.8)))
    found = by_key(evaluate_table(path))
    assert not found["p", "dr"].certified
    assert found["other", "dr"].certified


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_sequential_dr_likewise(tmp_path, discount):
    rows = sessions()
    right = by_key(evaluate_table(written(tmp_path, rows), discount=discount))
    place = rows.column_names.index("v_hat_b")
    wrong = rows.set_column(place, "v_hat_b", pa.array(rows["v_hat_b"].to_numpy() + 0.5))
    found = by_key(evaluate_table(written(tmp_path, wrong), discount=discount))
    ending = "" if discount == 1 else f", discount {discount!r}"
    for name in ("sequential_dr" + ending, "sn_sequential_dr" + ending):
        assert right["b", name].certified
        assert found["a", name].certified
        assert "under the policy b" in found["b", name].certificate.reason
        assert not found["a - b", name].certified


def test_cascade_dr_likewise(tmp_path):
    rows = slates("conditional", "above")
    right = by_key(evaluate_table(written(tmp_path, rows)))
    place = rows.column_names.index("v_hat_b")
    wrong = rows.set_column(place, "v_hat_b", pa.array(rows["v_hat_b"].to_numpy() + 0.5))
    found = by_key(evaluate_table(written(tmp_path, wrong)))
    assert "v_hat" not in right["b", "cascade_dr"].certificate.reason
    assert "v_hat" not in found["a", "cascade_dr"].certificate.reason
    assert "under the policy b" in found["b", "cascade_dr"].certificate.reason
