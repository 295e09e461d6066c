"""Learn behaviour: what will this user do with each candidate, one calibrated head an objective."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mrlm.messages.message import Message, recorded
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.stage import Product
from pipelines.nights.completed import read_completed
from pipelines.nights.lake import log_fingerprints, read_logs, shown_nights
from pipelines.nights.plan import Plan, plan_of
from pipelines.nights.tuning_state import ALTERNATIVES, alternatives_after

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.bandit_log.stored.shown_nights import ShownNights
    from mrlm.behaviour.ensemble.reward_model import RewardModel
    from mrlm.behaviour.fitting.taught import Taught
    from mrlm.behaviour.report import HeadReport
    from mrlm.behaviour.settings import BehaviourSettings
    from mrlm.meta.alternatives.alternatives_record import AlternativesRecord
    from mrlm.metrics.curves import Curves


class LearnBehaviour:
    """Fits the reward model on the fit nights and reports it on the tune nights."""

    name = "learn_behaviour"
    place: Literal["run"] = "run"
    sections = ("behaviour", "objectives", "split", "seed")
    form = 4

    def plan(self, context: NightContext) -> Plan:
        """The run's plan."""
        return plan_of(context)

    def inputs(self, context: NightContext, plan: Plan) -> dict[str, str]:
        """The bandit logs of the fit and tune nights, the embeddings, and what a model reads by."""
        found = {
            **log_fingerprints(context, [*plan.fit, *plan.tune]),
            "embed": context.lake("embed").require().output_fingerprint(),
        }
        behaviour = context.settings.behaviour
        others = [behaviour.with_changes(a) for a in behaviour.alternatives]
        if others:
            found[ALTERNATIVES] = of_json(alternatives_after(context, plan.weights_from).to_json())
        if any(b.model == "language" for b in (behaviour, *others)):
            from mrlm.embeddings.transformer import fingerprint_folder, packaged_model_folder

            folder = Path(behaviour.language.model or packaged_model_folder())
            found["language_model"] = fingerprint_folder(folder)
        return found

    def run(self, context: NightContext, plan: Plan, out: Path) -> Product:
        """Fit, report on a later night, save."""
        from mrlm.behaviour.report import report_reward_model
        from mrlm.meta.adaptation.scene_layers import with_scene_heads
        from mrlm.meta.alternatives.alternatives_record import changes_as_text
        from mrlm.meta.alternatives.due_alternatives import changes_of_night
        from mrlm.metrics.curves import Curves

        past = _trials_before(context, plan)
        changes = changes_of_night(past, context.settings.behaviour)
        behaviour, most = _of_tonight(context, changes), context.settings.split.fit_decisions
        if behaviour.selection_clip is None:
            fit = read_logs(context, plan.fit, together=most)
        else:
            # Weights need a propensity in every row.
            fit, _ = read_completed(context, plan.fit, together=most)
        curves = Curves()
        every = shown_nights(context, plan.fit, fit.decisions.catalog, most)
        model, taught = _fitted(context, fit, behaviour, curves, every, out)
        tune = read_logs(context, plan.tune)
        tried = _tried(context, plan, past, model, fit, every, tune, out)
        if behaviour.scene_heads:
            model = with_scene_heads(model, fit)
        lost = _distillation(context, plan, taught, model)
        report = _report_of(report_reward_model(model, tune))
        outputs = _saved(out, model, report, lost, tried)
        if behaviour.language.checkpoints:
            shutil.rmtree(behaviour.language.checkpoints, ignore_errors=True)
        log = context.log(self.name)
        for head, figures in report.heads.items():
            log.info("%s: %s", head, figures)
        if tried is not None:
            log.info("alternatives: %s", tried.told)
        return Product(
            outputs=outputs,
            counts={
                "heads": report.heads,
                **({} if tried is None else {ALTERNATIVES: tried.told}),
                **({"alternative": changes_as_text(changes)} if changes else {}),
                "curves": curves.points,
                "groups": report.groups,
                **({"distillation": lost} if lost else {}),
                # For pages in another language: a manifest holds plain text.
                "messages": recorded(list(report.groups)),
                "fit": plan.fit,
                "tune": plan.tune,
                "gate": plan.gate,
            },
        )


@dataclass(frozen=True)
class _Report:
    """The figures of each head on the tune nights, of everyone and by group."""

    heads: dict[str, dict[str, float]]
    groups: dict[Message, dict[str, float]]


def _report_of(later: list[HeadReport]) -> _Report:
    from mrlm.behaviour.report import ALL

    groups = {
        Message("{objective}, {group}", objective=head.objective, group=head.group): _measured(head)
        for head in later
        if head.group != ALL
    }
    return _Report({h.objective: _measured(h) for h in later if h.group == ALL}, groups)


def _saved(
    out: Path,
    model: RewardModel,
    report: _Report,
    lost: list[dict[str, Any]],
    tried: AlternativesRecord | None,
) -> dict[str, str]:
    """The stage's outputs, written below ``out``."""
    (out / "reward_model").mkdir()
    model.save(out / "reward_model")
    told = {"distillation": lost} if lost else {}
    found = {"reward_model": "reward_model", "report": "report.json"}
    groups = {str(name): figures for name, figures in report.groups.items()}
    _write_json(out / found["report"], {**report.heads, **groups, **told})
    if tried is not None:
        found[ALTERNATIVES] = f"{ALTERNATIVES}.json"
        _write_json(out / found[ALTERNATIVES], tried.to_json())
    return found


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True))


def _fitted(
    context: NightContext,
    fit: BanditLog,
    behaviour: BehaviourSettings,
    curves: Curves,
    whole: ShownNights | None,
    scratch: Path,
) -> tuple[RewardModel, Taught | None]:
    """The model that is kept, and where it is a student, those that it is compared with."""
    from mrlm.behaviour.fitting.fit import fit_reward_model
    from mrlm.behaviour.fitting.taught import fit_taught

    progress, seed = partial(context.progress, "reward model epochs"), context.settings.seed
    if not behaviour.distil:
        return fit_reward_model(fit, behaviour, seed, progress, curves, whole, scratch), None
    taught = fit_taught(fit, behaviour, seed, progress, curves, whole, scratch)
    return taught.student, taught


def _trials_before(context: NightContext, plan: Plan) -> AlternativesRecord:
    from mrlm.meta.alternatives.alternatives_record import NOTHING_TRIED

    if not context.settings.behaviour.alternatives:
        return NOTHING_TRIED
    return alternatives_after(context, plan.weights_from)


def _tried(
    context: NightContext,
    plan: Plan,
    past: AlternativesRecord,
    serving: RewardModel,
    fit: BanditLog,
    whole: ShownNights | None,
    tune: BanditLog,
    scratch: Path,
) -> AlternativesRecord | None:
    """The record with tonight's trials; None where no alternative is named."""
    from mrlm.behaviour.fitting.fit import fit_reward_model
    from mrlm.meta.alternatives.alternatives_night import record_of_trials

    typed = context.settings.behaviour
    if not typed.alternatives:
        return None

    def fitted(settings: BehaviourSettings) -> RewardModel:
        # Checkpoints are of the model that serves.
        language = settings.language.model_copy(update={"checkpoints": None})
        settings = settings.model_copy(update={"language": language})
        progress = partial(context.progress, "epochs of an alternative")
        seed = context.settings.seed
        return fit_reward_model(fit, settings, seed, progress, whole=whole, scratch=scratch)

    return record_of_trials(past, typed, serving, fitted, tune, plan.tune[-1])


def _distillation(
    context: NightContext, plan: Plan, taught: Taught | None, kept: RewardModel
) -> list[dict[str, Any]]:
    """What the model that is kept loses to its teacher on the tune nights; empty without one."""
    from mrlm.learners.distillation_loss import distillation_loss

    if taught is None:
        return []
    # Values of policies need a propensity in every row.
    tune, _ = read_completed(context, plan.tune)
    return [asdict(m) for m in distillation_loss(taught.teacher, kept, taught.pair, tune)]


def _of_tonight(context: NightContext, changes: dict[str, Any]) -> BehaviourSettings:
    """The settings that the nights before left, with a folder of this run's own for checkpoints."""
    typed = context.settings.behaviour
    behaviour = typed.with_changes(changes) if changes else typed
    if behaviour.language.checkpoints is None:
        return behaviour
    own = str(Path(behaviour.language.checkpoints) / context.run_key)
    language = behaviour.language.model_copy(update={"checkpoints": own})
    return behaviour.model_copy(update={"language": language})


def _measured(head: HeadReport) -> dict[str, float]:
    """The figures that apply to a head."""
    figures = asdict(head)
    del figures["objective"], figures["group"]
    return {name: value for name, value in figures.items() if value is not None}


STAGE = LearnBehaviour()
