from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mrlm.evidence.night_lift import NightLift
from mrlm.evidence.scored_log import scored_log
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState
from mrlm.ope.difference import difference
from mrlm.ope.intervals import estimates
from mrlm.ope.nights.tomorrow import two_way_variance
from mrlm.promotion.settings import GateSettings
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights import coming_nights
from pipelines.nights.completed import read_completed
from pipelines.nights.plan import Plan
from tests.evidence.arrays import Heads, Prefers, make_log, weights
from tests.pipelines.nights.workspaces import Made

NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 9)]
PLAN = Plan(fit=NIGHTS[:4], tune=NIGHTS[4:6], gate=NIGHTS[6:], champion=1, weights_from="")
CONTEXT: Any = SimpleNamespace(
    north_star=SimpleNamespace(name="delight"),
    objectives=(),
    settings=SimpleNamespace(gate=GateSettings()),
    log=lambda stage: logging.getLogger(stage),
)

Fake = Callable[..., None]


def state(seed: int, *, known: bool = True) -> EvaluationState:
    """Paired difference of two policies on 200 rounds of 40 users."""
    g, n = np.random.default_rng(seed), 200
    batch = EvaluationBatch(
        cluster=np.arange(n) % 40,
        offsets=np.arange(n + 1) * 2,
        target=np.tile([0.6, 0.4], n),
        shown=np.arange(n) * 2 + g.integers(0, 2, n),
        propensity=np.full(n, 0.5),
        rewards=g.random((n, 1)) if known else np.full((n, 1), np.nan),
        objectives=("delight",),
        policy="challenger",
    )
    other = batch.with_target(np.tile([0.4, 0.6], n), "champion")
    snips = ESTIMATORS["snips"]
    return EvaluationState.of(difference(snips(batch), snips(other)))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Nights whose north star is unknown, whose propensities are estimated, or cannot be."""

    def install(
        unknown: tuple[str, ...] = (), estimated: tuple[str, ...] = (), broken: tuple[str, ...] = ()
    ) -> None:
        def read(context: Any, nights: list[str], catalog: Any) -> Any:
            if nights[0] in broken:
                raise DataError("propensities are missing and cannot be estimated")
            return nights[0], "estimates" if nights[0] in estimated else None

        def lift(night: str, *_: Any, estimated: bool) -> NightLift:
            return NightLift(state(int(night[-2:]), known=night not in unknown), estimated)

        monkeypatch.setattr(coming_nights, "read_completed", read)
        monkeypatch.setattr("mrlm.evidence.scored_log.scored_log", lambda night, *_: night)
        monkeypatch.setattr("mrlm.evidence.night_lift.night_lift", lift)

    return install


def lifts() -> dict[str, NightLift]:
    nothing: Any = None
    judged: Any = SimpleNamespace(
        log=SimpleNamespace(decisions=SimpleNamespace(catalog=None)), of=lambda night: None
    )
    return coming_nights.outlook_lifts(CONTEXT, PLAN, nothing, nothing, nothing, judged)


def test_a_night_whose_north_star_is_unknown_is_left_out(fake: Fake) -> None:
    fake(unknown=(NIGHTS[3],))
    kept = lifts()
    assert list(kept) == [n for n in coming_nights.outlook_nights(PLAN) if n != NIGHTS[3]]
    found = coming_nights.outlook(CONTEXT, PLAN, kept, 0.5)
    assert found is not None
    assert found.next_night is not None
    assert found.next_night.nights == 7


def test_gate_nights_of_which_nothing_is_known_have_no_outlook(fake: Fake) -> None:
    fake(unknown=tuple(NIGHTS[6:]))
    assert coming_nights.outlook(CONTEXT, PLAN, lifts(), 0.5) is None


def test_a_night_that_cannot_be_evaluated_is_left_out(fake: Fake) -> None:
    fake(broken=(NIGHTS[2],))
    assert list(lifts()) == [n for n in coming_nights.outlook_nights(PLAN) if n != NIGHTS[2]]


def test_a_gate_night_that_cannot_be_evaluated_leaves_no_outlook(fake: Fake) -> None:
    fake(broken=(NIGHTS[7],))
    assert lifts() == {}
    assert coming_nights.outlook(CONTEXT, PLAN, {}, 0.5) is None


def test_all_nights_carry_the_flag_where_one_was_estimated(fake: Fake) -> None:
    """Whatever the settings say now: the log itself tells."""
    fake(estimated=(NIGHTS[5],))
    assert {f.state.estimator for f in lifts().values()} == {"snips (estimated propensities)"}
    assert coming_nights.outlook(CONTEXT, PLAN, lifts(), 0.5) is not None
    fake()
    assert {f.state.estimator for f in lifts().values()} == {"snips"}


def test_damage_is_an_error_that_stops_the_night(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake()

    def damaged(*_: Any) -> Any:
        raise DamagedError("a file is not as it was written")

    monkeypatch.setattr(coming_nights, "read_completed", damaged)
    with pytest.raises(DamagedError):
        lifts()


def test_too_few_nights_are_told_and_leave_power(
    fake: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    """A prediction needs earlier nights, power none."""
    fake()
    few = {n: s for n, s in lifts().items() if n in PLAN.gate}
    with caplog.at_level(logging.INFO):
        found = coming_nights.outlook(CONTEXT, PLAN, few, 0.5)
    assert found is not None
    assert found.next_night is None
    assert "no prediction of the next night" in caplog.text
    assert len(found.power) == len(CONTEXT.settings.gate.power_gains)


def test_power_is_that_of_one_test_of_the_year(fake: Fake) -> None:
    """A night of the test before earns a test its share of the bound; at least one has passed."""
    fake()
    found = coming_nights.outlook(CONTEXT, PLAN, lifts(), 0.5)
    assert found is not None
    assert found.error == pytest.approx(0.05 / (365 + 14 - 1))
    earned = coming_nights.outlook(CONTEXT, replace(PLAN, earned=3), lifts(), 0.5)
    assert earned is not None
    assert earned.error == pytest.approx(3 * found.error)
    assert [p.gain for p in found.power] == pytest.approx([0.005, 0.01, 0.025, 0.05])


def test_earlier_nights_are_the_newest_of_those_that_were_fitted_and_tuned_on() -> None:
    many = [f"2026-10-{d:02d}" for d in range(1, 31)]
    plan = replace(PLAN, fit=many)
    assert coming_nights.outlook_nights(plan) == [*many[-4:], *NIGHTS[4:]]
    assert coming_nights.outlook_nights(replace(PLAN, gate=[])) == []


def test_a_test_over_nights_is_looked_at_whole(fake: Fake) -> None:
    """Nights of earlier looks count as gate nights, also where tonight tunes on them."""
    fake()
    plan = replace(PLAN, tune=NIGHTS[4:6], tested=NIGHTS[5:6], gate=NIGHTS[6:], candidate="a")
    assert coming_nights.outlook_nights(plan) == NIGHTS
    kept = {n: f for n, f in lifts().items() if n in plan.judged}
    found = coming_nights.outlook(CONTEXT, plan, kept, 0.5)
    alone = coming_nights.outlook(CONTEXT, PLAN, lifts(), 0.5)
    assert found is not None
    assert alone is not None
    assert found.two_way_standard_error is not None
    expected = two_way_variance({n: f.state for n, f in kept.items()})[0] ** 0.5
    assert found.two_way_standard_error == pytest.approx(expected)
    assert found.two_way_standard_error != alone.two_way_standard_error


def test_lifts_are_those_of_the_logs_of_a_workspace(made: Made) -> None:
    """From files to the paired difference of each night, by the estimator of the settings."""
    logs = {n: make_log(int(n[-2:]), n=120, users=40, nights=(n,)) for n in NIGHTS[4:]}
    for night, log in logs.items():
        made.night(night, log)
    plan = replace(PLAN, fit=[])
    context = made.context(NIGHTS[7], gate={"estimator": "ips"})
    first, second = Prefers(0.4), Prefers(-0.2)
    log, _ = read_completed(context, plan.gate)
    judged = scored_log(log, {"challenger": first, "champion": second}, Heads())
    found = coming_nights.outlook_lifts(context, plan, first, second, Heads(), judged)
    assert list(found) == NIGHTS[4:]
    for night, log in logs.items():
        gap = (weights(first, log) - weights(second, log)) * log.rewards[:, 0]
        assert estimates(found[night].state)["delight"].value == pytest.approx(gap.mean(), abs=1e-9)
    only_gate = replace(plan, tune=[])
    nobody: Any = None
    again = coming_nights.outlook_lifts(context, only_gate, nobody, nobody, nobody, judged)
    assert list(again) == plan.gate
    for night, kept in again.items():
        assert np.array_equal(kept.state.numerator, found[night].state.numerator)
