from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Objective
from mrlm.evidence.followed_promotions import Hindcast
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.promise import Promise
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState
from mrlm.ope.difference import difference
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.settings import GateSettings
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights import earlier_promotions as module
from pipelines.nights.followed import Followed
from pipelines.nights.lake import log_fingerprints
from pipelines.nights.plan import Plan
from tests.evidence.arrays import Prefers, make_log, weights
from tests.pipelines.nights.workspaces import Made

NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 9)]
GATE = GateSettings(min_effective_sample_size=1, min_users=2, min_nonzero=1, max_weight_share=1.0)
STAR = Objective("delight", "feedback", "north_star", event="delight")
NEW = Objective("new", "feedback", "guardrail", event="new")
ENTRIES = tuple(
    Entry("promoted", key, version, "test", "2026-11-01", "", champion_version=1)
    for key, version in (("a", 2), ("b", 3))
)
CONTEXT: Any = SimpleNamespace(
    north_star=STAR,
    objectives=(STAR, NEW),
    settings=SimpleNamespace(gate=GATE),
    registry=SimpleNamespace(ledger=SimpleNamespace(entries=lambda: ENTRIES)),
    log=lambda stage: logging.getLogger(stage),
)
PREDICTED = PolicyEstimate(0.5, 0.01, 200.0, 0.48, 0.52, certified=True)

Judge = Callable[..., Hindcast]


@dataclass(frozen=True)
class Log:
    """What hindcast touches of a bandit log."""

    night: str
    objectives: tuple[Objective, ...]
    rewards: Any
    final: Any
    unknown: Any
    lost: Any
    own: Any = None

    def column(self, name: str) -> int:
        return [o.name for o in self.objectives].index(name)


class Model:
    """A reward model of before there was an objective."""

    columns = ("delight",)


def state(seed: int, lift: float) -> EvaluationState:
    """Paired difference of about 0.2 times ``lift`` on 400 rounds of 80 users."""
    g, n = np.random.default_rng(seed), 400
    action = g.integers(0, 2, n)
    batch = EvaluationBatch(
        cluster=np.arange(n) % 80,
        offsets=np.arange(n + 1) * 2,
        target=np.tile([0.6, 0.4], n),
        shown=np.arange(n) * 2 + action,
        propensity=np.full(n, 0.5),
        rewards=(g.normal(0, 0.1, n) + lift * (action == 0))[:, None],
        objectives=("delight",),
        policy="challenger",
    )
    other = batch.with_target(np.tile([0.4, 0.6], n), "champion")
    return EvaluationState.of(difference(ESTIMATORS["snips"](batch), ESTIMATORS["snips"](other)))


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Hindcast of promotions a and b, on nights that bring ``lift`` maybe without propensities."""

    def run(
        plan: dict[str, list[str]],
        lift: float = 2.5,
        estimated: tuple[str, ...] = (),
        broken: tuple[str, ...] = (),
        models: tuple[Any, Any] = (None, None),
        **kept: Any,
    ) -> Hindcast:
        def load(context: Any, entry: Entry, entries: Any) -> Any:
            nothing: Any = None
            model = models[ENTRIES.index(entry)]
            promise = Promise(
                version=entry.version or 0,
                replaced=entry.champion_version or 0,
                run_key=entry.run_key,
                test_nights=14,
                level=0.975,
                predicted=PREDICTED,
            )
            return Followed(promise, nothing, nothing, model)

        def read(context: Any, nights: list[str], catalog: Any) -> Any:
            if nights[0] in broken:
                raise DataError("propensities are missing and cannot be estimated")
            both = np.zeros((3, 2))
            log = Log(nights[0], CONTEXT.objectives, both, both > 0, both < 0, both)
            return log, "estimates" if nights[0] in estimated else None

        def scored(log: Log, policies: Any, model: Any) -> Any:
            heads = dict.fromkeys(("delight",) if model is None else model.columns, 0.0)
            return SimpleNamespace(log=log, q=np.array([heads[o.name] for o in log.objectives]))

        def paired(log: Log, *_: Any) -> EvaluationState:
            assert log.rewards.shape == (3, 1)
            return state(int(log.night[-2:]), lift)

        monkeypatch.setattr(module, "load_followed", load)
        monkeypatch.setattr(module, "read_completed", read)
        monkeypatch.setattr("mrlm.evidence.promise.scored_log", scored)
        monkeypatch.setattr(
            "mrlm.evidence.night_lift.paired_batches", lambda told, *_: (told.log, told.log)
        )
        monkeypatch.setattr("mrlm.evidence.night_lift.state_of_pair", paired)
        found = module.hindcast(CONTEXT, replace(PLAN, hindcast=plan, **kept))
        assert found is not None
        return found

    return run


PLAN = Plan(fit=[], tune=[], gate=[], champion=2, weights_from="")


def test_an_objective_that_came_later_is_not_asked_of_the_old_model(judge: Judge) -> None:
    found = judge({"a": NIGHTS[:4]}, models=(Model(), None))
    assert found.left_out == ()
    assert [p.version for p in found.promotions] == [2]


def test_a_model_without_the_north_star_leaves_out_its_promotion_alone(judge: Judge) -> None:
    stranger = SimpleNamespace(columns=("other",))
    found = judge({"a": NIGHTS[:4], "b": NIGHTS[:4]}, models=(stranger, None))
    assert [p.version for p in found.promotions] == [3]
    assert found.left_out == ("version 2 (a): nothing is known of 'delight'",)


def test_a_night_that_cannot_be_evaluated_leaves_out_those_that_follow_it(judge: Judge) -> None:
    found = judge({"a": NIGHTS[:4], "b": NIGHTS[2:6]}, broken=(NIGHTS[0],))
    assert [p.version for p in found.promotions] == [3]
    assert "cannot be estimated" in found.left_out[0]


def test_a_promise_that_is_kept_raises_no_alarm(judge: Judge) -> None:
    (found,) = judge({"a": NIGHTS[:6]}).promotions
    assert not found.alarm
    assert found.realised.value == pytest.approx(0.5, abs=0.02)


def test_a_later_night_without_propensities_does_not_take_back_an_alarm(judge: Judge) -> None:
    """Only the looks that rest on it are uncertain."""
    assert judge({"a": NIGHTS[:6]}, lift=0.0).alarms
    (found,) = judge({"a": NIGHTS[:7]}, lift=0.0, estimated=(NIGHTS[6],)).promotions
    assert found.alarm
    assert not found.realised.certified
    assert not judge({"a": NIGHTS[:7]}, lift=0.0, estimated=(NIGHTS[0],)).alarms
    others = judge({"a": NIGHTS[:6], "b": NIGHTS[1:7]}, estimated=(NIGHTS[6],))
    assert [p.realised.certified for p in others.promotions] == [True, False]


def test_an_alarm_stays_when_its_promotion_cannot_be_followed(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the evidence of the newest judged run, as long as the version is champion."""
    alarmed = judge({"a": NIGHTS[:6]}, lift=0.0)
    before = SimpleNamespace(
        hindcast=alarmed, north_star="delight", measures={}, fingerprint=lambda: "f"
    )
    monkeypatch.setattr(module, "judged_evidence", lambda *_: before)
    kept = judge({"a": NIGHTS[:6]}, broken=(NIGHTS[5],), alarms_from="run")
    assert kept.promotions == alarmed.promotions
    assert len(kept.left_out) == 1
    assert judge({}, alarms_from="run").alarms == alarmed.promotions
    assert not judge({"a": NIGHTS[:6]}, alarms_from="run", champion=9).alarms
    before.north_star = "another"
    assert not judge({"a": NIGHTS[:6]}, alarms_from="run").alarms


def test_inputs_name_the_evidence_that_alarms_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "log_fingerprints", lambda *_: {})
    monkeypatch.setattr(module, "judged_evidence", lambda *_: None)
    assert module.hindcast_inputs(CONTEXT, PLAN) == {}
    named = replace(PLAN, alarms_from="run")
    assert module.hindcast_inputs(CONTEXT, named) == {"hindcast/alarms": "run none"}
    before = SimpleNamespace(fingerprint=lambda: "f")
    monkeypatch.setattr(module, "judged_evidence", lambda *_: before)
    assert module.hindcast_inputs(CONTEXT, named) == {"hindcast/alarms": "run f"}


def test_looks_come_in_the_order_of_the_plan(judge: Judge) -> None:
    order = [NIGHTS[0], NIGHTS[2], NIGHTS[3], NIGHTS[1]]
    (found,) = judge({"a": order}).promotions
    assert found.nights == tuple(order)


def test_what_cannot_be_loaded_is_left_out_and_said(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = judge({"a": NIGHTS[:4], "b": NIGHTS[:4]})
    assert len(loaded.promotions) == 2
    load = module.load_followed

    def lacking(context: Any, entry: Entry, entries: Any) -> Followed:
        if entry.run_key == "a":
            raise DataError("version 2 is no longer in the registry")
        return load(context, entry, entries)

    monkeypatch.setattr(module, "load_followed", lacking)
    plan = replace(PLAN, hindcast={"a": NIGHTS[:4], "b": NIGHTS[:4]})
    found = module.hindcast(CONTEXT, plan)
    assert found is not None
    assert [p.version for p in found.promotions] == [3]
    assert found.left_out == ("version 2 (a): version 2 is no longer in the registry",)
    assert "hindcast leaves out version 2 (a)" in caplog.text
    assert found.promotions == loaded.promotions[1:]


@pytest.mark.parametrize("what", ["load_followed", "read_completed"])
def test_damage_is_an_error_that_stops_the_night(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """An alarm that nobody could raise would let the gate promote."""
    judge({"a": NIGHTS[:4]})

    def damaged(*_: Any) -> Any:
        raise DamagedError("a file is not as it was written")

    monkeypatch.setattr(module, what, damaged)
    with pytest.raises(DamagedError):
        module.hindcast(CONTEXT, replace(PLAN, hindcast={"a": NIGHTS[:4]}))


def test_nothing_is_followed_without_a_promotion() -> None:
    assert module.hindcast(CONTEXT, PLAN) is None


def test_an_alarm_goes_to_the_log_as_an_error(
    judge: Judge, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        (alarmed,) = judge({"a": NIGHTS[:6]}, lift=0.0).promotions
        (kept,) = judge({"a": NIGHTS[:6]}).promotions
    told = {r.getMessage(): r.levelno for r in caplog.records}
    assert told[f"hindcast: {alarmed.reason}"] == logging.ERROR
    assert told[f"hindcast: {kept.reason}"] == logging.INFO


def test_the_calibration_is_over_those_that_could_be_followed(judge: Judge) -> None:
    found = judge({"a": NIGHTS[:4], "b": NIGHTS[2:6]}, broken=(NIGHTS[0],))
    assert found.calibration is not None
    assert found.calibration.promotions == 1
    (one,) = found.promotions
    assert one.realised.value is not None
    assert found.calibration.bias == pytest.approx(one.realised.value - 0.5)


def test_inputs_name_the_model_and_the_nights_of_each_promotion(made: Made) -> None:
    """Another model, another night or another log is another hindcast."""
    for night in NIGHTS[:3]:
        made.night(night, make_log(n=2, users=2, nights=(night,)))
    context = made.context(NIGHTS[4])
    folder = made.workspace.run_stage("2026-10-30-b", "learn_behaviour")
    folder.mkdir(parents=True)
    (folder / "heads.json").write_text("{}")
    model = made.complete(folder, "learn_behaviour", "2026-10-30", {"reward_model": "heads.json"})
    plan = replace(PLAN, hindcast={"2026-10-29-a": NIGHTS[:2], "2026-10-30-b": NIGHTS[1:3]})
    found = module.hindcast_inputs(context, plan)
    assert found == {
        **log_fingerprints(context, NIGHTS[:3]),
        "hindcast/2026-10-29-a": f"{NIGHTS[0]},{NIGHTS[1]} none",
        "hindcast/2026-10-30-b": (
            f"{NIGHTS[1]},{NIGHTS[2]} {model.outputs['reward_model'].fingerprint}"
        ),
    }


def test_a_promotion_is_followed_on_the_logs_of_a_workspace(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From files to the verdict: the lift is that of the two policies on these nights' rows."""
    logs = {n: make_log(int(n[-2:]), n=200, users=40, nights=(n,)) for n in NIGHTS[:3]}
    for night, log in logs.items():
        made.night(night, log)
    made.embedded(NIGHTS[4])
    made.record(*ENTRIES[:1])
    promoted, replaced = Prefers(0.4), Prefers(-0.2)

    def load(context: Any, entry: Entry, entries: Any) -> Followed:
        promise = Promise(2, 1, "a", 14, 0.975, PREDICTED)
        return Followed(promise, promoted, replaced, None)

    monkeypatch.setattr(module, "load_followed", load)
    gate = GATE.model_dump()
    plan = replace(PLAN, hindcast={"a": NIGHTS[:3]})
    found = module.hindcast(made.context(NIGHTS[4], gate=gate), plan)
    assert found is not None
    assert found.left_out == ()
    (one,) = found.promotions
    log = BanditLog.concat(list(logs.values()))
    reward, w, v = log.rewards[:, 0], weights(promoted, log), weights(replaced, log)
    expected = (w @ reward) / w.sum() - (v @ reward) / v.sum()
    assert one.realised.value == pytest.approx(expected, abs=1e-9)
    assert one.alarm
