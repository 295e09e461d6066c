"""What a night's evaluation found: plain numbers that gate, ledger, registry and report read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mrlm.ope.intervals import Estimate


def canonical_json(data: object) -> str:
    """One JSON text for equal data: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(
        data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def fingerprint_of(data: object) -> str:
    """SHA-256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


@dataclass(frozen=True)
class PolicyEstimate:
    """One estimate with its interval; None where a number could not be had.

    Attributes:
        value: mean reward a decision, in the objective's unit.
        standard_error: of ``value``, clustered by user.
        degrees_of_freedom: of the t distribution of ``value``.
        lower: two-sided bound at ``level``.
        upper: two-sided bound at ``level``.
        level: of the interval.
        certified: whether the data support an interval at all.
        reasons: why not, in words.
        rows_needed: decisions that would be needed, where that can be said.
        skewness: of the studentised value; moves the bound towards the longer tail.
    """

    value: float | None
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    lower: float | None = None
    upper: float | None = None
    level: float = 0.95
    certified: bool = False
    reasons: tuple[str, ...] = ()
    rows_needed: int | None = None
    skewness: float = 0.0

    @classmethod
    def of(cls, estimate: Estimate) -> PolicyEstimate:
        """The numbers of an estimate; what is not finite becomes None."""
        return cls(
            value=_finite(estimate.value),
            standard_error=_finite(estimate.standard_error),
            degrees_of_freedom=float(estimate.degrees_of_freedom),
            skewness=_finite(estimate.skewness) or 0.0,
            lower=_finite(estimate.lower),
            upper=_finite(estimate.upper),
            level=estimate.level,
            certified=estimate.certified,
            reasons=estimate.certificate.reasons,
            rows_needed=estimate.certificate.rows_needed,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicyEstimate:
        """Read what ``dataclasses.asdict`` wrote."""
        return cls(**{**data, "reasons": tuple(data.get("reasons", ()))})


Estimates = dict[str, dict[str, PolicyEstimate]]
"""Estimator name to objective name to estimate."""


@dataclass(frozen=True)
class Evidence:
    """The evaluation of one night's challenger on nights nobody tuned on.

    Attributes:
        run_key: night and settings' fingerprint, the registry's idempotence key.
        night: ISO date of the run.
        settings_fingerprint: of the settings that can change a result.
        code_version: hash of the packages' sources.
        champion_version: registry version that the challenger was compared with; None: none.
        north_star: the objective that decides.
        fit_nights, tune_nights, gate_nights: ISO dates, disjoint.
        rows: decisions on the gate nights.
        users: distinct users among them.
        data: name to fingerprint of what was read.
        policies: ``challenger``, ``champion``, ``logger``, ``uniform`` to their estimates.
        differences: challenger - champion, paired on the same rows.
        diagnostics: policy to figures such as ``effective_sample_size``, ``largest_weight_share``,
            and ``weight_histogram`` = {"edges": [...], "counts": [...]}; plain JSON.
        weights: objective weights of the challenger.
        guardrails: objective to the largest fall that is accepted, 0 or more.
        reproduction: fingerprint of the rows on which the challenger's probabilities were stored.
        warnings: for the reviewer.

    Raises:
        ValueError: a night has two roles.
    """

    run_key: str
    night: str
    settings_fingerprint: str
    code_version: str
    champion_version: int | None
    north_star: str
    fit_nights: tuple[str, ...] = ()
    tune_nights: tuple[str, ...] = ()
    gate_nights: tuple[str, ...] = ()
    rows: int = 0
    users: int = 0
    data: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Estimates] = field(default_factory=dict)
    differences: Estimates = field(default_factory=dict)
    diagnostics: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    guardrails: dict[str, float] = field(default_factory=dict)
    reproduction: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nights = [*self.fit_nights, *self.tune_nights, *self.gate_nights]
        twice = sorted({n for n in nights if nights.count(n) > 1})
        if twice:
            raise ValueError(
                f"evidence {self.run_key}: nights {twice} have two roles among fit, tune and gate"
            )

    def estimate(self, policy: str, estimator: str, objective: str) -> PolicyEstimate | None:
        """A policy's estimate, or None where the evidence has none."""
        return self.policies.get(policy, {}).get(estimator, {}).get(objective)

    def difference(self, estimator: str, objective: str) -> PolicyEstimate | None:
        """The paired difference challenger - champion, or None where the evidence has none."""
        return self.differences.get(estimator, {}).get(objective)

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for ``json.dumps``."""
        data: dict[str, Any] = json.loads(canonical_json(asdict(self)))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: a field is missing or unknown.
        """
        known = {f.name for f in fields(cls)}
        if set(data) - known:
            raise ValueError(f"evidence has unknown fields {sorted(set(data) - known)}")
        values = dict(data)
        for name in ("fit_nights", "tune_nights", "gate_nights", "warnings"):
            values[name] = tuple(values.get(name, ()))
        values["policies"] = {p: _estimates(e) for p, e in values.get("policies", {}).items()}
        values["differences"] = _estimates(values.get("differences", {}))
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"evidence is incomplete: {error}") from error

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal."""
        return fingerprint_of(self.to_json())


def _estimates(data: Mapping[str, Mapping[str, Any]]) -> Estimates:
    return {
        estimator: {name: PolicyEstimate.from_json(e) for name, e in objectives.items()}
        for estimator, objectives in data.items()
    }


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
