from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from pipelines.contract.sealed import write_sealed
from pipelines.failures.errors import DamagedError, DataError, MissingInputError
from pipelines.nights.plan import Plan, plan_of, split, training_weights
from tests.evidence.arrays import make_log
from tests.evidence.found import evidence_of, hindcast_of
from tests.pipelines.nights.workspaces import Made, entry

NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 12)]


def test_fit_then_tune_then_gate() -> None:
    fit, tune, gate = split(NIGHTS[:8], set(), 2, 2, 60)
    assert (fit, tune, gate) == (NIGHTS[:4], NIGHTS[4:6], NIGHTS[6:8])


def test_a_young_log_is_judged_on_one_night_rather_than_on_none() -> None:
    assert split(NIGHTS[:4], set(), 2, 2, 60) == (NIGHTS[:1], NIGHTS[1:3], NIGHTS[3:4])
    assert split(NIGHTS[:6], set(), 2, 2, 60, 3) == (NIGHTS[:3], NIGHTS[3:5], NIGHTS[5:6])
    assert split(NIGHTS[:7], set(), 2, 2, 60, 3) == (NIGHTS[:3], NIGHTS[3:5], NIGHTS[5:7])
    assert split(NIGHTS[:3], set(), 2, 2, 60)[0] == [], "too few to judge at all"


def test_a_night_is_judged_once() -> None:
    fit, tune, gate = split(NIGHTS[:9], {NIGHTS[6], NIGHTS[7]}, 2, 2, 60)
    assert (fit, tune, gate) == (NIGHTS[:6], NIGHTS[6:8], NIGHTS[8:9])


def test_without_a_fresh_night_there_is_no_gate() -> None:
    fit, tune, gate = split(NIGHTS[:9], set(NIGHTS[7:9]), 2, 2, 60)
    assert (fit, tune, gate) == (NIGHTS[:7], NIGHTS[7:9], [])


def test_old_nights_are_not_fitted_on() -> None:
    fit, _, _ = split(NIGHTS, set(), 2, 2, 3)
    assert fit == NIGHTS[4:7]


@pytest.mark.parametrize("min_fit", [1, 3])
def test_the_fewest_nights_that_can_be_judged_are(min_fit: int) -> None:
    """As README counts them: those to fit and to tune on, and one more; a second judges later."""
    fewest = min_fit + 2 + 1
    told = [
        [len(part) for part in split(NIGHTS[:n], set(), 2, 2, 60, min_fit)]
        for n in (fewest, fewest + 1, fewest + 2)
    ]
    assert told == [[min_fit, 2, 1], [min_fit, 2, 2], [min_fit + 1, 2, 2]]


@pytest.mark.parametrize("n", range(12))
@pytest.mark.parametrize("judged", [(), (0,), (3, 4), (5, 6, 9), (10,), tuple(range(11))])
def test_the_three_are_disjoint_and_in_time_order(n: int, judged: tuple[int, ...]) -> None:
    used = {NIGHTS[j] for j in judged}
    fit, tune, gate = split(NIGHTS[:n], used, 2, 2, 60)
    together = [*fit, *tune, *gate]
    assert together == sorted(set(together))
    assert not used or min(gate, default="9") > max(used)


def nights(made: Made, last: int, final: tuple[str, ...] | None = None) -> None:
    """Nights that passed, all built by the last of them."""
    for night in NIGHTS[:last]:
        made.passed(night)
    logs = {n: make_log(n=2, users=2, nights=(n,)) for n in NIGHTS[:last]}
    made.built(NIGHTS[last - 1], logs, final)


def test_a_plan_is_made_of_final_nights_and_the_champion(made: Made) -> None:
    nights(made, 8, final=tuple(NIGHTS[:7]))
    made.record(entry("initial", "first", 1), entry("promoted", "hand", 4, champion_version=1))
    plan = plan_of(made.context(NIGHTS[7]))
    assert plan == Plan(
        fit=NIGHTS[:3],
        tune=NIGHTS[3:5],
        gate=NIGHTS[5:7],
        champion=4,
        weights_from="",
        look=1,
        anchor=1,
        anchor_links=[4],
    )
    unanchored = plan_of(made.context(NIGHTS[7], gate={"anchored": "off"}))
    assert (unanchored.anchor, unanchored.anchor_links) == (None, None)


def test_a_plan_knows_the_judgements_before_it(made: Made) -> None:
    """A night that was judged is not judged again; weights, looks and alarms go on."""
    nights(made, 9)
    before = f"{NIGHTS[7]}-abc"
    evidence = evidence_of(
        run_key=before,
        night=NIGHTS[7],
        gate_nights=(NIGHTS[6],),
        fit_nights=(),
        tune_nights=(),
        hindcast=hindcast_of(2, alarm=True),
    )
    made.evaluated(evidence)
    made.complete(
        made.workspace.run_stage(before, "tune_weights"), "tune_weights", NIGHTS[7], run_key=before
    )
    told = {"evidence": evidence.fingerprint(), "gate_nights": (NIGHTS[6],)}
    made.record(
        entry("initial", "first", 1),
        entry("judged", "early", 2, gate_nights=(NIGHTS[4],)),
        entry("promoted", "early", 2, gate_nights=(NIGHTS[4],), champion_version=1),
        entry("judged", before, 3, champion_version=2, **told),
    )
    plan = plan_of(made.context(NIGHTS[8]))
    assert plan == Plan(
        fit=NIGHTS[:5],
        tune=NIGHTS[5:7],
        gate=NIGHTS[7:9],
        champion=2,
        weights_from=before,
        hindcast={"early": NIGHTS[5:7]},
        alarms_from=before,
        anchor=1,
        anchor_links=[2],
    )


def tuned(made: Made, run_key: str, policy: dict[str, float]) -> str:
    """The challenger of a run, and its fingerprint."""
    folder = made.workspace.run_stage(run_key, "tune_weights")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_text(json.dumps(policy))
    outputs = {"bundle": "bundle.json"}
    manifest = made.complete(folder, "tune_weights", NIGHTS[7], outputs, run_key=run_key)
    return manifest.outputs["bundle"].fingerprint


def test_a_challenger_stays_under_test(made: Made) -> None:
    """Its earlier nights and one fresh night more; what it was made of comes from its own run."""
    nights(made, 9)
    made.record(entry("initial", "first", 1))
    first = made.context(NIGHTS[7])
    own, told = first.run_key, {"goes_on": True, "champion_version": 1}
    for stage in ("learn_behaviour", "learn_policy"):
        made.complete(made.workspace.run_stage(own, stage), stage, NIGHTS[7], run_key=own)
    bundle = tuned(made, own, {"kappa": 1.0})
    evidence = evidence_of(
        run_key=own,
        gate_nights=(NIGHTS[6],),
        fit_nights=(NIGHTS[0],),
        tune_nights=(),
        data={"challenger": bundle},
    )
    made.evaluated(evidence)
    told |= {"evidence": evidence.fingerprint(), "gate_nights": (NIGHTS[6],)}
    made.record(entry("judged", own, 2, **told))
    plan = plan_of(made.context(NIGHTS[8]))
    assert (plan.candidate, plan.tested, plan.look) == (own, [NIGHTS[6]], 2)
    assert plan.gate == NIGHTS[7:9]
    assert plan.judged == NIGHTS[6:9]
    # Not past its last night.
    few = plan_of(made.context(NIGHTS[8], gate={"test_nights": 2}))
    assert (few.candidate, few.judged) == ("", NIGHTS[7:9])
    # Made again it is another, which was not judged on these nights.
    tuned(made, own, {"kappa": 2.0})
    assert plan_of(made.context(NIGHTS[8])).candidate == ""
    tuned(made, own, {"kappa": 1.0})
    assert plan_of(made.context(NIGHTS[8])).candidate == own
    # A night that was withdrawn cannot be read again.
    made.passed(NIGHTS[0], impressions="stopped")
    assert plan_of(made.context(NIGHTS[8])).candidate == ""
    made.passed(NIGHTS[0])
    assert plan_of(made.context(NIGHTS[8])).candidate == own
    # Gone with what it was made of.
    (made.workspace.run_stage(own, "tune_weights") / "manifest.json").unlink()
    assert plan_of(made.context(NIGHTS[8])).candidate == ""


def test_a_trial_begins_without_a_look_where_the_log_tells_little(made: Made) -> None:
    """Tonight's own learns from every final night, and is judged on those that come after."""
    for night in NIGHTS[:8]:
        made.passed(night)
    broad = {n: make_log(n=60, users=6, nights=(n,)) for n in NIGHTS[:8]}
    made.built(NIGHTS[7], broad)
    made.record(entry("initial", "first", 1))
    share = {"gate": {"trial_share": 0.3}}
    assert plan_of(made.context(NIGHTS[7], **share)).gate == NIGHTS[6:8]
    made.passed(NIGHTS[8])
    made.built(NIGHTS[8], {NIGHTS[8]: narrow_log(NIGHTS[8])})
    looked_at = plan_of(made.context(NIGHTS[8]))
    assert (looked_at.gate, looked_at.log_tells) == (NIGHTS[7:9], None)
    context = made.context(NIGHTS[8], **share)
    plan = plan_of(context)
    assert (plan.gate, plan.candidate) == ([], "")
    assert plan.tune == NIGHTS[7:9]
    assert plan.log_tells is not None
    assert 0 < plan.log_tells < 0.25
    # It is on trial: the night after looks at it, and its own challenger learns from that night.
    own = context.run_key
    for stage in ("learn_behaviour", "learn_policy"):
        made.complete(made.workspace.run_stage(own, stage), stage, NIGHTS[8], run_key=own)
    evidence = evidence_of(
        run_key=own,
        night=NIGHTS[8],
        gate_nights=(),
        fit_nights=tuple(plan.fit),
        tune_nights=tuple(plan.tune),
        data={"challenger": tuned(made, own, {"kappa": 1.0})},
    )
    made.evaluated(evidence)
    told = {"evidence": evidence.fingerprint(), "champion_version": 1}
    made.record(entry("judged", own, 2, goes_on=True, **told))
    made.passed(NIGHTS[9])
    made.built(NIGHTS[9], {NIGHTS[9]: narrow_log(NIGHTS[9])}, final=())
    waits = plan_of(made.context(NIGHTS[9], **share))
    assert (waits.gate, waits.candidate, waits.log_tells) == ([], "", None)
    made.passed(NIGHTS[10])
    made.built(NIGHTS[10], {n: narrow_log(n) for n in NIGHTS[9:11]}, final=(NIGHTS[9],))
    looks = plan_of(made.context(NIGHTS[10], **share))
    assert (looks.gate, looks.candidate, looks.look) == ([NIGHTS[9]], own, 1)
    assert looks.tune == NIGHTS[8:10]


def test_what_a_waiting_challenger_learned_from_judges_nobody_after_it(made: Made) -> None:
    """Its weights go on into the next one, so its nights are not fresh though none was judged."""
    nights(made, 9)
    before = f"{NIGHTS[7]}-abc"
    for stage in ("learn_behaviour", "tune_weights"):
        folder = made.workspace.run_stage(before, stage)
        counts = {"fit": NIGHTS[:5], "tune": NIGHTS[5:8]} if stage == "learn_behaviour" else {}
        made.complete(folder, stage, NIGHTS[7], run_key=before, counts=counts)
    made.record(entry("initial", "first", 1))
    assert plan_of(made.context(NIGHTS[8])).gate == NIGHTS[7:9]
    made.record(entry("judged", before, 2, champion_version=1))
    plan = plan_of(made.context(NIGHTS[8]))
    assert (plan.weights_from, plan.gate) == (before, NIGHTS[8:9])
    assert (plan.fit, plan.tune) == (NIGHTS[:6], NIGHTS[6:8])


def test_what_an_approved_champion_learned_from_judges_nobody_after_it(made: Made) -> None:
    """A person may promote it before a night has judged it."""
    nights(made, 9)
    before = f"{NIGHTS[7]}-abc"
    evidence = evidence_of(
        run_key=before,
        night=NIGHTS[7],
        gate_nights=(),
        fit_nights=tuple(NIGHTS[:6]),
        tune_nights=tuple(NIGHTS[6:8]),
    )
    made.evaluated(evidence)
    made.record(
        entry("initial", "first", 1),
        entry("judged", before, 2, evidence=evidence.fingerprint(), champion_version=1),
        entry("approved", before, 2),
        entry("promoted", before, 2, champion_version=1),
    )
    plan = plan_of(made.context(NIGHTS[8]))
    assert (plan.champion, plan.gate) == (2, NIGHTS[8:9])


def narrow_log(night: str) -> BanditLog:
    """A log that shows its second choice once in a hundred times."""
    log = make_log(n=60, users=6, nights=(night,))
    propensity = np.tile([0.98, 0.01, 0.01], len(log))
    first = np.zeros(len(log), np.int64)
    return replace(log, action=first, propensity=propensity[::3], candidate_propensity=propensity)


def test_a_judged_night_under_other_settings_learns_from_the_same_nights(made: Made) -> None:
    """And has nothing left to be judged on."""
    nights(made, 9)
    made.record(entry("initial", "first", 1), entry("judged", "early", 2, gate_nights=(NIGHTS[4],)))
    first = plan_of(made.context(NIGHTS[8]))
    assert first.gate == NIGHTS[7:9]
    run_key = made.context(NIGHTS[8]).run_key
    made.record(entry("judged", run_key, 3, gate_nights=tuple(first.gate)))
    other = made.context(NIGHTS[8], tuning={"weights": {"delight": 3.0}})
    assert other.run_key != run_key
    second = plan_of(other)
    assert (second.fit, second.tune, second.gate) == (first.fit, first.tune, [])


def test_weights_come_from_the_newest_judged_run_that_chose_some(made: Made) -> None:
    """A run that was not judged, one without weights and later ones do not count."""
    nights(made, 8)
    chose = [f"{NIGHTS[k]}-abc" for k in (4, 5, 6, 9)]
    for key in chose:
        made.complete(made.workspace.run_stage(key, "tune_weights"), "tune_weights", key[:10])
    (made.workspace.runs / f"{NIGHTS[6]}-zzz").mkdir()
    judged = [chose[0], chose[1], f"{NIGHTS[6]}-zzz", chose[3]]
    made.record(entry("initial", "first", 1), *(entry("judged", k, 2) for k in judged))
    assert plan_of(made.context(NIGHTS[7])).weights_from == chose[1]


def test_too_few_nights_say_what_to_read(made: Made) -> None:
    nights(made, 3, final=tuple(NIGHTS[:2]))
    made.record(entry("initial", "first", 1))
    with pytest.raises(DataError, match=f"2 passed nights have a final delight.*{NIGHTS[1]}"):
        plan_of(made.context(NIGHTS[2]))


def test_without_a_champion_there_is_no_plan(made: Made) -> None:
    nights(made, 8)
    with pytest.raises(MissingInputError, match="mrlm bootstrap"):
        plan_of(made.context(NIGHTS[7]))


def test_a_plan_holds_once_its_run_was_judged(made: Made) -> None:
    """Repeated after the champion has moved, it is still the same run."""
    nights(made, 8)
    context = made.context(NIGHTS[7])
    made.record(entry("initial", "first", 1))
    first = plan_of(context)
    made.record(entry("promoted", "other", 2, champion_version=1))
    second = plan_of(context)
    assert (first.champion, second.champion) == (1, 2)
    made.record(
        entry("judged", context.run_key, 3),
        entry("promoted", context.run_key, 3, champion_version=2),
    )
    assert plan_of(context) == second


def test_a_judged_runs_plan_that_is_gone_is_made_by_what_is_there_now(made: Made) -> None:
    nights(made, 8)
    context = made.context(NIGHTS[7])
    made.record(entry("initial", "first", 1), entry("judged", context.run_key, 2))
    plan = plan_of(context)
    (made.workspace.runs / context.run_key / "plan.json").unlink()
    assert plan_of(context) == plan


def test_a_damaged_plan_is_made_again_unless_its_run_was_judged(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    nights(made, 8)
    context = made.context(NIGHTS[7])
    made.record(entry("initial", "first", 1))
    plan = plan_of(context)
    path = made.workspace.runs / context.run_key / "plan.json"
    text = path.read_text()
    path.write_text(text.replace('"champion": 1', '"champion": 7'))
    with caplog.at_level(logging.WARNING, logger="mrlm"):
        assert plan_of(context) == plan
    assert "planned again" in caplog.text
    assert path.read_text() == text
    made.record(entry("judged", context.run_key, 3))
    path.write_text(text[:-9])
    with pytest.raises(DamagedError, match="put back a copy"):
        plan_of(context)


def test_learners_train_with_the_weights_that_the_plan_builds_on(made: Made) -> None:
    plan = Plan(fit=[], tune=[], gate=[], champion=1, weights_from="")
    context = made.context(NIGHTS[7])
    assert training_weights(context, plan) is None
    key = f"{NIGHTS[6]}-abc"
    folder = made.workspace.run_stage(key, "tune_weights")
    folder.mkdir(parents=True)
    chosen = {"objectives": {"delight": 0.5, "like": 0.2, "fresh": 0.3}}
    (folder / "weights.json").write_text(json.dumps(chosen))
    made.complete(folder, "tune_weights", NIGHTS[6], {"weights": "weights.json"}, run_key=key)
    last = replace(plan, weights_from=key)
    assert training_weights(context, last) == pytest.approx(chosen["objectives"])
    # Weights of tonight make tonight's challenger, and retrain nothing.
    fixed = made.context(NIGHTS[7], tuning={"weights": {"delight": 3.0, "like": 1.0}})
    assert training_weights(fixed, last) == training_weights(context, last)


def test_a_plan_of_another_form_is_damage(made: Made) -> None:
    nights(made, 8)
    context = made.context(NIGHTS[7])
    made.record(entry("initial", "first", 1), entry("judged", context.run_key, 3))
    write_sealed(made.workspace.runs / context.run_key / "plan.json", {"fit": []})
    with pytest.raises(DamagedError, match=r"plan\.json is damaged"):
        plan_of(context)


def test_a_plan_that_stays_is_not_written_again(made: Made) -> None:
    nights(made, 8)
    context = made.context(NIGHTS[7])
    made.record(entry("initial", "first", 1))
    plan = plan_of(context)
    path = made.workspace.runs / context.run_key / "plan.json"
    before = path.stat()
    assert plan_of(context) == plan
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_night_that_a_promotion_was_followed_on_judges_nobody(made: Made) -> None:
    """It may have brought about who is champion; a night between can have been withdrawn."""
    nights(made, 9)
    before = f"{NIGHTS[7]}-abc"
    one = hindcast_of(2, alarm=False)
    promotion = replace(one.promotions[0], nights=(NIGHTS[7],))
    evidence = evidence_of(
        run_key=before,
        gate_nights=(),
        fit_nights=(),
        tune_nights=(),
        hindcast=replace(one, promotions=(promotion,)),
    )
    made.evaluated(evidence)
    made.record(
        entry("initial", "first", 1),
        entry("judged", before, 3, champion_version=1, evidence=evidence.fingerprint()),
    )
    assert plan_of(made.context(NIGHTS[8])).gate == NIGHTS[8:9]
