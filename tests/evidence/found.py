"""Evidence and a hindcast with plain numbers, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.followed_promotions import Hindcast, HindcastCalibration, PromotionHindcast
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.verdict.diagnostics import Diagnostics

NUMBER = PolicyEstimate(0.1, 0.01, 200.0, 0.08, 0.12, certified=True)


def hindcast_of(version: int, *, alarm: bool) -> Hindcast:
    """One promotion, of run ``a``, that kept its promise or did not."""
    one = PromotionHindcast(
        version=version,
        replaced=1,
        run_key="a",
        nights=("2026-11-18",),
        predicted=NUMBER,
        promised=0.07,
        realised=replace(NUMBER, value=-0.1, lower=-0.12, upper=-0.08) if alarm else NUMBER,
        covered=not alarm,
        alarm=alarm,
        reason=f"version {version}: it falls short, roll back" if alarm else "kept",
    )
    return Hindcast((one,), HindcastCalibration(1, 1.0, 0.95, 0.0, None, None), ("v9: gone",))


def weight_figures(effective: float) -> dict[str, Any]:
    """What evidence keeps of a policy's weights on 900 decisions, so many of which count."""
    figures = Diagnostics(
        policy="someone",
        objective="delight",
        rows=900,
        users=300,
        effective_sample_size=effective,
        effective_users=200.0,
        largest_weight=1.0,
        largest_weight_share=0.01,
        mean_weight=1.0,
        mean_weight_standard_error=0.1,
        unsupported_mass=0.0,
        nonzero=270,
        matched=900,
        tail_users=150.0,
    )
    return {**figures.to_json(), "weight_histogram": {"edges": [0, 1], "counts": [900]}}


def evidence_of(**changes: Any) -> Evidence:
    """Evidence of one gate night with an estimate of each kind."""
    made = Evidence(
        run_key="2026-11-20-abc",
        night="2026-11-20",
        settings_fingerprint="f" * 64,
        code_version="c" * 64,
        champion_version=1,
        north_star="delight",
        fit_nights=("2026-11-15", "2026-11-16"),
        tune_nights=("2026-11-17", "2026-11-18"),
        gate_nights=("2026-11-19",),
        rows=900,
        users=201,
        policies={"challenger": {"dr": {"delight": NUMBER}}},
        differences={"dr": {"delight": NUMBER}},
        warnings=("look",),
    )
    return replace(made, **changes)
