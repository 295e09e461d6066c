"""A night whose north star is a return, from the files of its log to its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.sessions.later_requests import LaterRequests
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.bandit_log.stored.reader import read_bandit_log
from mrlm.bandit_log.stored.schema import bandit_log_schema
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.history_rows import HistoryRows
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.evidence.policies import policy_estimates
from mrlm.evidence.scored_log import scored_log
from mrlm.learners.inputs import learning_sample
from mrlm.learners.sequential.experience import experience_of
from mrlm.learners.settings import LearningSettings
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.tuned_night import TunedNight, tuned_night
from mrlm.worlds.latent import latent_log
from tests.evidence.arrays import OBJECTIVES as DECLARED
from tests.evidence.arrays import Heads, Prefers, criteria, make_log

LIKE = Objective("like", "feedback", event="rating", transform="any", missing=0.0)
STAY = replace(LIKE, name="stay", role="north_star", discount=0.9)
OBJECTIVES = (LIKE, STAY)
SMALL = BehaviourSettings(folds=2, components=4, hidden=8, projection=4, epochs=2)


def written(log: BanditLog, folder: Path) -> list[Path]:
    """The nights of a log as ``build_log`` writes them: a like of each decision, nothing later."""
    offsets, items = log.decisions.offsets, log.decisions.catalog.item_id
    codes = log.decisions.candidates.values
    found = []
    for night in np.unique(log.night):
        rows = [
            {
                "decision_id": log.decision_id[i],
                "request_id": log.decision_id[i].partition("#")[0],
                "night": log.night[i].item(),
                "ts": log.decisions.ts[i].item(),
                "user": log.decisions.user[i],
                "session": log.session[i],
                "session_step": int(log.session_step[i]),
                "scene": log.decisions.scene[i],
                "position": 1,
                "action": int(log.action[i]),
                "propensity": log.propensity[i],
                "candidates": items[codes[offsets[i] : offsets[i + 1]]].tolist(),
                "candidate_propensities": log.candidate_propensity[
                    offsets[i] : offsets[i + 1]
                ].tolist(),
                "policy_id": log.policy_id[i],
                **{f"reward_{o.name}": log.rewards[i, 0] for o in OBJECTIVES},
                **{f"final_{o.name}": True for o in OBJECTIVES},
            }
            for i in np.flatnonzero(log.night == night)
        ]
        found.append(folder / f"{night}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, bandit_log_schema(OBJECTIVES)), found[-1])
    return found


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> BanditLog:
    made = latent_log(n_users=60, decisions_per_user=12, n_candidates=4, seed=0)[0]
    folder = tmp_path_factory.mktemp("log")
    return read_bandit_log(written(made, folder), made.decisions.catalog, OBJECTIVES)


@pytest.fixture(scope="module")
def model(nights: BanditLog) -> RewardModel:
    return fit_reward_model(nights.on_nights(np.unique(nights.night)[:2].tolist()), SMALL, seed=0)


NIGHTS = ("2026-11-19", "2026-11-20")
CHAMPION = Prefers(0.2, floor=0.1)
CAP = 0.05
DELIGHT = replace(DECLARED[0], missing=0.0, discount=0.5)
OTHERS = tuple(replace(o, role="component", margin=0.0) for o in DECLARED[1:])


def session_log(seed: int) -> BanditLog:
    """Sessions of five decisions; the delight of an item is its code, and counts what follows."""
    log = make_log(seed, n=600, users=60, nights=NIGHTS)
    step = (np.arange(len(log)) // 60).astype(np.int32)
    session = np.full(len(log), "s", object)
    return with_returns(
        replace(log, objectives=(DELIGHT, *OTHERS), session=session, session_step=step)
    )


def tuned(objectives: Sequence[Objective] | None = None) -> TunedNight:
    log = session_log(0)
    return tuned_night(
        log,
        objectives or log.objectives,
        (Heads(),),
        CHAMPION,
        MetaState(),
        TuningSettings(least_effective_rows=50, change_confidence=None, max_kl=CAP),
        nights=NIGHTS,
        learned=(),
        horizon=(),
        weights={"delight": 0.5, "like": 0.3, "fresh": 0.2},
        seed=1,
    )


def test_files_hold_rewards_and_the_log_returns(nights: BanditLog) -> None:
    assert nights.own is not None
    later = LaterRequests.of(nights)
    assert np.array_equal(nights.own.rewards[:, 1], nights.rewards[:, 0])
    assert np.array_equal(nights.rewards[:, 1], later.returns(nights.rewards[:, 0], 0.9))
    assert nights.rewards[:, 1].max() > 1


def test_the_head_of_a_return_is_no_chance(nights: BanditLog, model: RewardModel) -> None:
    assert model.heads == ("like", "stay")
    assert model.binary == (True, False)
    # Also where sessions of one decision have returns of 0 and 1 alone.
    alone = nights.where(nights.rewards[:, 1] == nights.rewards[:, 0])
    assert FitRows.of(alone, SMALL).binary.tolist() == [True, False]


def test_tastes_are_fitted_to_what_histories_hold(nights: BanditLog, model: RewardModel) -> None:
    rows = FitRows.of(nights, SMALL)
    space = replace(
        model.space, history=tuple(replace(s, objective="stay") for s in model.space.history[:1])
    )
    ((column, scale),) = HistoryRows.of(
        nights, rows.decisions, space, SMALL.history, rows.outcomes
    ).columns
    assert rows.heads[column] == scale.objective == "stay"
    assert len(np.unique(scale.of(rows.outcomes.by_itself[:, column]))) == 2


def test_learners_of_sessions_add_up_what_follows_themselves(
    nights: BanditLog, model: RewardModel
) -> None:
    sample = learning_sample(nights, model, {"stay": 1.0}, LearningSettings(), seed=0)
    seen = experience_of(sample, LearningSettings(), centred=False)
    scale = sample.scalarisation.scale[1]
    assert seen.reward.numpy() == pytest.approx(nights.rewards[:, 0] / scale, abs=1e-5)
    centred = experience_of(sample, LearningSettings(), centred=True)
    assert float(centred.reward.mean()) == pytest.approx(0.0, abs=1e-5)


def test_every_step_by_a_return_keeps_to_the_cap() -> None:
    found = tuned()
    assert found.result.moved
    assert found.inputs.problem.horizon == ("delight",)
    assert found.result.kl <= CAP * 1.01
    # The very same rewards that are no return take a larger step.
    plain = tuned([replace(DELIGHT, discount=0.0), *OTHERS])
    assert plain.result.kl > CAP * 1.5


@pytest.mark.parametrize("role", ["guardrail", "component"])
def test_a_return_that_is_judged_caps_and_another_only_its_own_head(role: str) -> None:
    star = replace(OTHERS[0], role="north_star")
    other = replace(DELIGHT, role=role, margin=1.0 if role == "guardrail" else 0.0)
    problem = tuned([other, star, OTHERS[1]]).inputs.problem
    task = TuningTask.of(problem, TuningSettings(least_effective_rows=50))
    assert problem.horizon == ("delight",)
    assert task.always_capped == (role == "guardrail")


def test_the_evidence_is_of_the_return() -> None:
    gate = session_log(1)
    scored = scored_log(gate, {"challenger": tuned().policy, "champion": CHAMPION}, Heads())
    found = policy_estimates(gate, scored.probabilities, scored.q, None, criteria())
    logger = found["policies"]["logger"]["ips"]
    assert logger["delight"].value == pytest.approx(gate.rewards[:, 0].mean())
    assert gate.own is not None
    assert gate.rewards[:, 0].mean() > 1.5 * gate.own.rewards[:, 0].mean()
    assert found["differences"]["dr"]["delight"].value > 0
