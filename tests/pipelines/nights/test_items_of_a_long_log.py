"""The stages that learn, on nights of which some users are read."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log.stored import user_sample
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.learners.baselines.popularity import fit_popularity
from mrlm.learners.storage import load_baseline_scores
from pipelines.nights import lake
from pipelines.nights.plan import Plan
from pipelines.stages import stage_named
from tests.evidence.arrays import make_log
from tests.pipelines.nights.workspaces import Made

NIGHTS = ["2026-11-17", "2026-11-18", "2026-11-19"]
SMALL = {
    "behaviour": {
        "model": "pair",
        "folds": 2,
        "components": 2,
        "hidden": 4,
        "projection": 2,
        "epochs": 1,
        "uncertainty_nights": 2,
    },
    "learning": {"learners": ["cost_sensitive"], "epochs": 1, "most_epochs": 1},
}


def test_items_are_learned_from_users_who_are_not_read(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_sample, "_LEAST_USERS", 1)
    for k, night in enumerate(NIGHTS):
        made.night(night, make_log(k, n=200, users=50, nights=(night,)))
    plan = Plan(fit=NIGHTS[:2], tune=NIGHTS[2:], gate=[], champion=1, weights_from="")
    context = made.context(NIGHTS[2], split={"fit_decisions": 100}, **SMALL)
    whole, some = (lake.read_logs(context, plan.fit, together=most) for most in (0, 100))
    assert len(some) < len(whole) / 2
    outputs = {}
    for name in ("learn_behaviour", "learn_policy"):
        stage = stage_named(name)
        folder = made.workspace.run_stage(context.run_key, name)
        folder.mkdir(parents=True)
        product = stage.run(context, plan, folder)
        made.complete(folder, name, NIGHTS[2], product.outputs, run_key=context.run_key)
        outputs[name] = sorted(p.name for p in folder.iterdir())
    assert outputs["learn_behaviour"] == ["manifest.json", "report.json", "reward_model"]
    folder = made.workspace.run_stage(context.run_key, "learn_behaviour") / "reward_model"
    known = load_reward_model(folder).members[0].statistics.rows(whole.decisions.catalog)
    shown = np.bincount(whole.decisions.candidates.values[whole.shown], minlength=6)
    # Those of the folds that the member learned from.
    assert (known > shown / 4).all()
    assert (known < shown).all()
    folder = made.workspace.run_stage(context.run_key, "learn_policy") / "baselines"
    (popular,) = load_baseline_scores(folder, ["popularity"])
    expected = fit_popularity(whole, "delight").score(whole.decisions)
    assert np.allclose(popular.score(whole.decisions), expected, rtol=1e-9)
