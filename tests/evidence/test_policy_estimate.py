from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.intervals import estimates
from tests.evidence.arrays import Prefers, criteria, make_log, paired_state


def test_it_has_the_numbers_of_the_estimate() -> None:
    state = paired_state(make_log(), Prefers(0.4), Prefers(-0.2), None, "ips")
    found = estimates(state, 0.9, criteria().thresholds)["delight"]
    kept = PolicyEstimate.of(found)
    for name in ("value", "standard_error", "degrees_of_freedom", "lower", "upper", "skewness"):
        assert getattr(kept, name) == getattr(found, name)
    assert (kept.level, kept.certified, kept.reasons) == (0.9, True, ())


def test_what_is_not_finite_becomes_none() -> None:
    """JSON has no NaN, and a reader must not take one for a number."""
    state = paired_state(make_log(), Prefers(0.4), Prefers(-0.2), None, "ips")
    found = estimates(state)["delight"]
    broken = replace(
        found, value=math.nan, standard_error=math.inf, lower=-math.inf, upper=math.inf,
        skewness=math.nan,
    )  # fmt: skip
    kept = PolicyEstimate.of(broken)
    assert (kept.value, kept.standard_error, kept.lower, kept.upper) == (None,) * 4
    assert kept.skewness == 0.0


def test_a_refused_interval_keeps_its_reasons_and_is_read_as_it_was_written() -> None:
    state = paired_state(make_log(n=40), Prefers(3.0), Prefers(-0.2), None, "ips")
    strict = replace(criteria().thresholds, min_effective_sample_size=1000)
    kept = PolicyEstimate.of(estimates(state, 0.95, strict)["delight"])
    assert not kept.certified
    assert "effective sample size" in kept.reasons[0]
    assert kept.rows_needed is not None
    assert PolicyEstimate.from_json(json.loads(json.dumps(asdict(kept)))) == kept


def test_ends_of_too_few_effective_rows_say_nothing() -> None:
    """At one degree of freedom Student's t reaches 12.7 standard errors at 95 %, at 2 it is 4.3."""
    rough = PolicyEstimate(0.1, 0.01, 1.0, -0.027, 0.227, certified=True)
    assert rough.of_few_rows()
    fair = replace(rough, degrees_of_freedom=2.0)
    assert not fair.of_few_rows()
    assert fair.of_few_rows(1 - 1e-6)
    assert not replace(rough, degrees_of_freedom=20.0).of_few_rows(1 - 1e-6)
    # A heavy tail moves an end as far.
    assert replace(fair, degrees_of_freedom=50.0, skewness=5.0).of_few_rows()
    assert not PolicyEstimate(0.1).of_few_rows()
