"""The anchor on tonight's rows, and the promotions that led from it to the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrlm.messages.message import told_by
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError
from pipelines.nights.champion import load_champion
from pipelines.nights.plan import Plan

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.evidence.anchor_comparison import AnchorComparison, Link

# What keeps an anchor from being scored and must not stop the night: the gate says what is missing.
_UNMEASURED = (DataError, FileNotFoundError, ValueError)


def anchor_inputs(plan: Plan) -> dict[str, str]:
    """What the evidence reads of an anchor that is not the champion."""
    if plan.anchor is None or plan.anchor == plan.champion:
        return {}
    return {"anchor": f"{plan.anchor} by {plan.anchor_links}"}


def anchor_probabilities(
    context: NightContext, plan: Plan, log: BanditLog
) -> tuple[NDArray[np.float64] | None, str]:
    """Probability of every candidate under an anchor other than the champion; why there is none.

    float64, shape (N,) for the N candidates of the log.
    """
    from mrlm.evidence.scored_log import scored_log

    if plan.anchor is None or plan.anchor == plan.champion:
        return None, ""
    try:
        anchor = load_champion(context, plan.anchor)
        return scored_log(log, {"anchor": anchor}, None).probabilities["anchor"], ""
    except _UNMEASURED as error:
        context.log("evaluate").warning("anchor version %d: %s", plan.anchor, error)
        return None, told_by(error)


def anchor_comparison(
    context: NightContext, plan: Plan, estimates: dict[str, Any], unmeasured: str
) -> AnchorComparison | None:
    """Challenger - anchor, out of what the night's rows gave and, where they fail, of the links.

    Args:
        context: of the night.
        plan: names the anchor and the links.
        estimates: of ``policy_estimates``; its ``anchor_differences`` are taken out.
        unmeasured: why there are none.
    """
    from mrlm.evidence.anchor_comparison import compare_with_anchor

    direct = estimates.pop("anchor_differences", None)
    if plan.anchor is None:
        return None
    sure = direct is not None and all(e.certified for e in direct.values())
    known = plan.anchor_links
    links = None if known is None else [_link(context, v, sure) for v in known]
    tonight = estimates["differences"][context.settings.gate.estimator]
    return compare_with_anchor(plan.anchor, direct, tonight, links, unmeasured)


def _link(context: NightContext, version: int, unread: bool) -> Link:
    """A promotion as it was judged; without its differences where nobody reads them.

    Nor those in objectives that are measured in another way since: they are of something else.
    """
    from mrlm.evidence.anchor_comparison import Link
    from mrlm.evidence.measures import one_measure
    from mrlm.promotion.registry.version_files import version_evidence, version_folder
    from mrlm.promotion.registry.versions import has_version

    place = context.registry
    if unread or not has_version(place, version):
        return Link(version, {})
    evidence = version_evidence(version_folder(place, version))
    if evidence is None:
        return Link(version, {})
    judged = evidence.differences.get(context.settings.gate.estimator, {})
    same = {o.name for o in context.objectives if one_measure(evidence.measures, o)}
    return Link(version, {name: found for name, found in judged.items() if name in same})
