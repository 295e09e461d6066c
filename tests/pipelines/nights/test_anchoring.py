from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
from pipelines.nights.anchoring import anchor_comparison, anchor_inputs, anchor_probabilities
from pipelines.nights.plan import Plan
from tests.evidence.arrays import OBJECTIVES, catalog, make_log
from tests.evidence.found import NUMBER, evidence_of
from tests.pipelines.nights.workspaces import Made

SOFTMAX = ItemSoftmax((Term("popularity", True, 2.0, 1.0, 0.7),), floor=0.2)
POOR = replace(NUMBER, certified=False, reasons=("effective sample size 12",))


def _plan(champion: int, anchor: int | None, links: list[int] | None) -> Plan:
    return Plan([], [], ["2026-11-19"], champion, "", anchor=anchor, anchor_links=links)


def _estimates(**more: Any) -> dict[str, Any]:
    return {"differences": {"dr": {"delight": NUMBER}}, **more}


@pytest.fixture
def registered(made: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Versions 1, uniform, and 2, a softmax that was promoted on evidence; 3 is gone."""

    def folder(place: Any, version: int) -> Path:
        return made.root / "versions" / str(version)

    for version, policy in ((1, Uniform()), (2, SOFTMAX)):
        bundle = PolicyBundle(policy, catalog(), "p", "2026-11-18", "k", "c" * 64, OBJECTIVES)
        save_bundle(bundle, folder(None, version) / "artifacts" / "bundle")
    told = folder(None, 2) / "artifacts" / "evidence.json"
    told.write_text(json.dumps(evidence_of().to_json()))
    known = "mrlm.promotion.registry"
    monkeypatch.setattr(f"{known}.versions.has_version", lambda _, version: version in (1, 2))
    monkeypatch.setattr(f"{known}.version_files.version_folder", folder)
    return made


def test_an_anchor_that_is_champion_costs_nothing(made: Made) -> None:
    plan, context = _plan(1, 1, []), made.context("2026-11-20")
    assert anchor_inputs(plan) == {}
    assert anchor_probabilities(context, plan, make_log()) == (None, "")
    found = anchor_comparison(context, plan, _estimates(), "")
    assert found is not None
    assert found.differences == {"delight": NUMBER}


def test_another_anchor_is_scored_on_the_same_rows(registered: Made) -> None:
    plan, context, log = _plan(2, 1, [2]), registered.context("2026-11-20"), make_log()
    assert anchor_inputs(plan) != anchor_inputs(_plan(2, 1, None))
    probability, why = anchor_probabilities(context, plan, log)
    assert why == ""
    lengths = np.diff(log.decisions.offsets)
    assert probability == pytest.approx(np.repeat(1 / lengths, lengths))
    direct = {"delight": replace(NUMBER, value=0.4)}
    estimates = _estimates(anchor_differences=direct)
    found = anchor_comparison(context, plan, estimates, why)
    assert found is not None
    assert (found.differences, found.summed) == (direct, ())
    assert "anchor_differences" not in estimates


def test_where_the_rows_fail_the_promotions_add_up(registered: Made) -> None:
    context = registered.context("2026-11-20")
    estimates = _estimates(anchor_differences={"delight": POOR})
    found = anchor_comparison(context, _plan(2, 1, [2]), estimates, "")
    assert found is not None
    assert found.summed == ("delight",)
    assert found.differences["delight"].value == pytest.approx(0.2)


def test_promotions_judged_on_another_measure_do_not_add_up(registered: Made) -> None:
    told = registered.root / "versions" / "2" / "artifacts" / "evidence.json"
    told.write_text(json.dumps(evidence_of(measures={"delight": "of another event"}).to_json()))
    context = registered.context("2026-11-20")
    estimates = _estimates(anchor_differences={"delight": POOR})
    found = anchor_comparison(context, _plan(2, 1, [2]), estimates, "")
    assert found is not None
    assert (found.summed, found.differences["delight"]) == ((), POOR)


def test_what_is_gone_stops_no_night(registered: Made) -> None:
    context = registered.context("2026-11-20")
    plan = _plan(2, 3, None)
    probability, why = anchor_probabilities(context, plan, make_log())
    assert probability is None
    assert "bundle" in why
    found = anchor_comparison(context, plan, _estimates(), why)
    assert found is not None
    assert (found.differences, found.unmeasured) == ({}, why)
    lost = anchor_comparison(context, _plan(4, 1, [3]), _estimates(), "")
    assert lost is not None
    assert lost.summed == ()


def test_without_an_anchor_nothing_is_compared(made: Made) -> None:
    assert anchor_comparison(made.context("2026-11-20"), _plan(2, None, None), {}, "") is None
