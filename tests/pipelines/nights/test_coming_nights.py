from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState
from mrlm.ope.difference import difference
from mrlm.promotion.settings import GateSettings
from pipelines.failures.errors import DataError
from pipelines.nights import coming_nights
from pipelines.nights.plan import Plan

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
        def read(context: Any, nights: list[str]) -> Any:
            if nights[0] in broken:
                raise DataError("propensities are missing and cannot be estimated")
            return nights[0], "estimates" if nights[0] in estimated else None

        def paired(night: str, *_: Any) -> EvaluationState:
            return state(int(night[-2:]), known=night not in unknown)

        monkeypatch.setattr(coming_nights, "read_completed", read)
        monkeypatch.setattr("mrlm.policies.predictions.predictions", lambda *_: None)
        monkeypatch.setattr("mrlm.evidence.paired.paired_state", paired)

    return install


def states() -> dict[str, EvaluationState]:
    nothing: Any = None
    return coming_nights.outlook_states(CONTEXT, PLAN, nothing, nothing, nothing)


def test_a_night_whose_north_star_is_unknown_is_left_out(fake: Fake) -> None:
    fake(unknown=(NIGHTS[3],))
    kept = states()
    assert list(kept) == [n for n in coming_nights.outlook_nights(PLAN) if n != NIGHTS[3]]
    found = coming_nights.outlook(CONTEXT, PLAN, kept, 0.5)
    assert found is not None
    assert found.next_night is not None
    assert found.next_night.nights == 7


def test_gate_nights_of_which_nothing_is_known_have_no_outlook(fake: Fake) -> None:
    fake(unknown=tuple(NIGHTS[6:]))
    assert coming_nights.outlook(CONTEXT, PLAN, states(), 0.5) is None


def test_a_night_that_cannot_be_evaluated_is_left_out(fake: Fake) -> None:
    fake(broken=(NIGHTS[2],))
    assert list(states()) == [n for n in coming_nights.outlook_nights(PLAN) if n != NIGHTS[2]]


def test_a_gate_night_that_cannot_be_evaluated_leaves_no_outlook(fake: Fake) -> None:
    fake(broken=(NIGHTS[7],))
    assert states() == {}
    assert coming_nights.outlook(CONTEXT, PLAN, {}, 0.5) is None


def test_all_nights_carry_the_flag_where_one_was_estimated(fake: Fake) -> None:
    """Whatever the settings say now: the log itself tells."""
    fake(estimated=(NIGHTS[5],))
    assert {s.estimator for s in states().values()} == {"snips (estimated propensities)"}
    assert coming_nights.outlook(CONTEXT, PLAN, states(), 0.5) is not None
    fake()
    assert {s.estimator for s in states().values()} == {"snips"}
