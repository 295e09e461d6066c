from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import EvaluationState, estimates
from mrlm.ope.slates import IIPS, PI, RIPS, SIPS, SlateBatch, fit_control_variates

LOGGER, TARGET = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
APPEAL = np.array([0.1, 0.2, 0.4])
SLOTS, USERS, EACH = 3, 300, 4


def log(seed):
    """Slates of independent slots, users of their own taste, a reward by item and position."""
    g = np.random.default_rng(seed)
    n = USERS * EACH
    user = np.repeat(np.arange(USERS), EACH)
    item = g.choice(3, (n, SLOTS), p=LOGGER)
    taste = g.uniform(0.5, 1.5, USERS)[user][:, None]
    click = g.random((n, SLOTS)) < taste * APPEAL[item] / (1 + np.arange(SLOTS))
    return SlateBatch(
        cluster=user,
        offsets=np.arange(n + 1) * SLOTS,
        propensity=LOGGER[item].ravel(),
        target=TARGET[item].ravel(),
        rewards=click.astype(float).reshape(-1, 1),
        objectives=("click",),
        kind="independent",
    )


@pytest.mark.statistics
def test_certified_intervals_cover():
    """95 % intervals of 600 logs, each estimator under its assumption, users clustered.

    The share that covers is below 92 % or above 98 % with probability below 1e-3 for each of the
    eight, if it is really 95 % (binomial).
    """
    real = (TARGET @ APPEAL) * (1 + 1 / 2 + 1 / 3)
    logs = 600
    cases = {
        "sips": SIPS(),
        "snsips": SIPS(self_normalised=True),
        "iips": IIPS(assumed=True),
        "sniips": IIPS(self_normalised=True, assumed=True),
        "rips": RIPS(assumed=True),
        "snrips": RIPS(self_normalised=True, assumed=True),
        "pi": PI(assumed=True),
        "pi_cv": None,
    }
    covered, widths = dict.fromkeys(cases, 0), dict.fromkeys(cases, 0.0)
    for seed in range(logs):
        batch = log(seed)
        for name, estimator in cases.items():
            used = estimator or fit_control_variates(batch, assumed=True)
            e = estimates(EvaluationState.of(used(batch)))["click"]
            assert e.certified, (name, e.certificate.reason)
            covered[name] += e.lower <= real <= e.upper
            widths[name] += e.upper - e.lower
    for name, count in covered.items():
        assert 0.92 <= count / logs <= 0.98, (name, count / logs)
    # What each assumption buys, and what the variates take off.
    assert widths["iips"] < widths["rips"] < widths["sips"]
    assert widths["pi_cv"] < widths["pi"] < widths["sips"]


def test_true_propensities_of_another_kind_are_not_mistaken():
    """The whole list's probability and those of its slots give the same estimate."""
    batch = log(0)
    whole = {
        name: np.repeat(getattr(batch, name).reshape(-1, SLOTS).prod(1), SLOTS)
        for name in ("propensity", "target")
    }
    one, two = SIPS()(batch).value, SIPS()(replace(batch, kind="slate", **whole)).value
    assert one == pytest.approx(two, abs=1e-13)
