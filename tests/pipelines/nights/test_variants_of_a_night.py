"""Variants of learners are trained beside the others, and read back to be weighed."""

from __future__ import annotations

from pipelines.nights.plan import Plan
from pipelines.stages import stage_named
from pipelines.stages.tune_weights import load_scorers
from tests.evidence.arrays import make_log
from tests.pipelines.nights.test_items_of_a_long_log import NIGHTS, SMALL
from tests.pipelines.nights.workspaces import Made


def test_a_night_trains_variants_and_weighs_their_scores(made: Made) -> None:
    for k, night in enumerate(NIGHTS):
        made.night(night, make_log(k, n=100, users=50, nights=(night,)))
    learning = {
        "learners": ["cost_sensitive"],
        "variants": {"poem": {"bold": {"poem": {"variance_penalty": 0.1}}}},
        "epochs": 1,
    }
    plan = Plan(fit=NIGHTS[:2], tune=NIGHTS[2:], gate=[], champion=1, weights_from="")
    context = made.context(NIGHTS[2], behaviour=SMALL["behaviour"], learning=learning)
    for name in ("learn_behaviour", "learn_policy"):
        folder = made.workspace.run_stage(context.run_key, name)
        folder.mkdir(parents=True)
        product = stage_named(name).run(context, plan, folder)
        made.complete(folder, name, NIGHTS[2], product.outputs, run_key=context.run_key)
    assert product.counts["learners"] == ["cost_sensitive", "poem.bold"]
    columns = [column for scorer in load_scorers(context) for column in scorer.columns]
    assert columns[-2:] == ["cost_sensitive", "poem.bold"]
