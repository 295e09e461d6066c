"""What a night's evaluation found: plain numbers that gate, ledger, registry and report read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.canonical import canonical_json, fingerprint_of
from mrlm.evidence.followed_promotions import Hindcast
from mrlm.evidence.groups import GroupDifference
from mrlm.evidence.outlook import Outlook
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import recorded, restored

# Left out of the JSON where they hold nothing: evidence of before they were there keeps its
# fingerprint, which the ledger names.
_OPTIONAL = (
    "hindcast",
    "outlook",
    "support",
    "propensities",
    "logger_differences",
    "reward_states",
    "baseline_differences",
    "anchor",
    "groups",
    "exposure",
    "candidate",
    "stays",
    "logged",
    "measures",
    "trial_night",
    "trial_begins",
)
_OPTIONAL_OF_ESTIMATES = ("unknown_low", "unknown_high")

# What the sentences of the JSON were made of, for pages in another language.
_MESSAGES = "messages"

Estimates = dict[str, dict[str, PolicyEstimate]]
"""Estimator name to objective name to estimate."""


@dataclass(frozen=True)
class Evidence:
    """The evaluation of one night's challenger on nights nobody tuned on.

    Attributes:
        run_key: night and settings' fingerprint, the registry's idempotence key.
        night: ISO date of the run.
        settings_fingerprint: of the settings that can change a result.
        code_version: hash of the sources that made it.
        champion_version: registry version that the challenger was compared with; None: none.
        north_star: the objective that decides.
        fit_nights, tune_nights, gate_nights: ISO dates, disjoint.
        rows: decisions on the gate nights.
        users: distinct users among them.
        logged: decisions that the log has of these nights, where those of some users alone were
            read; 0: ``rows``.
        data: name to fingerprint of what was read.
        policies: ``challenger``, ``champion``, ``logger``, ``uniform`` and the simple baselines to
            their estimates.
        differences: challenger - champion, paired on the same rows.
        logger_differences: challenger - logger, paired on the same rows: whoever made each row.
        diagnostics: policy to figures such as ``effective_sample_size``, ``largest_weight_share``,
            and ``weight_histogram`` = {"edges": [...], "counts": [...]}; plain JSON.
        weights: objective weights of the challenger.
        guardrails: objective to the largest fall that is accepted, 0 or more.
        reproduction: fingerprint of the rows on which the challenger's probabilities were stored.
        warnings: for the reviewer.
        hindcast: what earlier promotions brought since; None: none has a night since.
        outlook: the difference on the next night, and power; None without a gate night.
        support: of the challenger by the log: ``groups``, ``items``, ``propensity_calibration`` and
            ``drift`` over nights; where propensities are estimated ``estimated_propensities`` with
            the bounds under hidden confounding; plain JSON.
        propensities: of the gate nights; ``estimated`` where any row had none.
        reward_states: objective to its decisions whose reward is ``known`` and ``unknown`` and to
            the events that are ``lost``, where any is; estimates have in them what that could
            change.
        baseline_differences: name of a simple baseline to objective to challenger - baseline,
            paired on the same rows, under the deciding estimator.
        anchor: challenger - anchor; None where nothing is anchored, or no gate night is there.
        groups: challenger - champion by scene, position and history, all intervals together.
        exposure: who would be shown more and less, and a few decisions side by side (see
            ``exposure_change``); plain JSON.
        candidate: run key of the earlier run that made the challenger, where it is under test for
            longer than a night; "": this one made it.
        stays: why the challenger is the champion itself, and so is tested on no night; "": it is
            another policy.
        measures: objective to the fingerprint of what its values are made by, see
            ``mrlm.evidence.measures``.
        trial_night: what a night that the challenger's trial serves would tell of the difference,
            over what the gate nights told together; 0: there is no trial, or it is not known.
        trial_begins: why the challenger's trial begins before any night is judged; "": it does not.

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
    logged: int = 0
    data: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Estimates] = field(default_factory=dict)
    differences: Estimates = field(default_factory=dict)
    diagnostics: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    guardrails: dict[str, float] = field(default_factory=dict)
    reproduction: str = ""
    warnings: tuple[str, ...] = ()
    hindcast: Hindcast | None = None
    outlook: Outlook | None = None
    support: dict[str, Any] = field(default_factory=dict)
    propensities: Literal["logged", "estimated"] = "logged"
    logger_differences: Estimates = field(default_factory=dict)
    reward_states: dict[str, dict[str, int]] = field(default_factory=dict)
    baseline_differences: dict[str, dict[str, PolicyEstimate]] = field(default_factory=dict)
    anchor: AnchorComparison | None = None
    groups: tuple[GroupDifference, ...] = ()
    exposure: dict[str, Any] = field(default_factory=dict)
    candidate: str = ""
    stays: str = ""
    measures: dict[str, str] = field(default_factory=dict)
    trial_night: float = 0.0
    trial_begins: str = ""

    def __post_init__(self) -> None:
        nights = [*self.fit_nights, *self.tune_nights, *self.gate_nights]
        twice = sorted({n for n in nights if nights.count(n) > 1})
        if twice:
            raise ValueError(
                f"evidence {self.run_key}: nights {twice} have two roles among fit, tune and gate"
            )

    @property
    def limits(self) -> dict[str, float]:
        """Objective to the largest fall that is accepted: 0 in the north star, then guardrails."""
        return {self.north_star: 0.0, **dict(sorted(self.guardrails.items()))}

    def estimate(self, policy: str, estimator: str, objective: str) -> PolicyEstimate | None:
        """A policy's estimate, or None where the evidence has none."""
        return self.policies.get(policy, {}).get(estimator, {}).get(objective)

    def difference(self, estimator: str, objective: str) -> PolicyEstimate | None:
        """The paired difference challenger - champion, or None where the evidence has none."""
        return self.differences.get(estimator, {}).get(objective)

    def logger_difference(self, estimator: str, objective: str) -> PolicyEstimate | None:
        """The paired difference challenger - logger, or None where the evidence has none."""
        return self.logger_differences.get(estimator, {}).get(objective)

    def baseline_difference(self, baseline: str) -> PolicyEstimate | None:
        """The north star's paired difference challenger - baseline, or None without one."""
        return self.baseline_differences.get(baseline, {}).get(self.north_star)

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for ``json.dumps``."""
        plain = asdict(self)
        for name in _OPTIONAL:
            if plain[name] in (None, {}, (), "", 0, "logged"):
                del plain[name]
        optional = [plain.get(n, {}) for n in ("logger_differences", "baseline_differences")]
        optional += [{"group": g["differences"]} for g in plain.get("groups", ())]
        optional.append({"anchor": plain.get("anchor", {}).get("differences", {})})
        for estimates in [*plain["policies"].values(), plain["differences"], *optional]:
            for by_objective in estimates.values():
                for estimate in by_objective.values():
                    for name in _OPTIONAL_OF_ESTIMATES:
                        if not estimate[name]:
                            del estimate[name]
        data: dict[str, Any] = json.loads(canonical_json(plain))
        messages = recorded(plain)
        return data | {_MESSAGES: messages} if messages else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: a field is missing or unknown.
        """
        known = {f.name for f in fields(cls)} | {_MESSAGES}
        if set(data) - known:
            raise ValueError(f"evidence has unknown fields {sorted(set(data) - known)}")
        values = restored({n: v for n, v in data.items() if n != _MESSAGES}, _messages(data))
        for name in ("fit_nights", "tune_nights", "gate_nights", "warnings"):
            values[name] = tuple(values.get(name, ()))
        values["policies"] = {p: _estimates(e) for p, e in values.get("policies", {}).items()}
        for name in ("differences", "logger_differences", "baseline_differences"):
            values[name] = _estimates(values.get(name, {}))
        if values.get("hindcast"):
            values["hindcast"] = Hindcast.from_json(values["hindcast"])
        values["groups"] = tuple(map(GroupDifference.from_json, values.get("groups", ())))
        if values.get("anchor"):
            values["anchor"] = AnchorComparison.from_json(values["anchor"])
        if values.get("outlook"):
            values["outlook"] = Outlook.from_json(values["outlook"])
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"evidence is incomplete: {error}") from error

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON without the parts of its messages, hexadecimal."""
        return evidence_fingerprint(self.to_json())


def evidence_fingerprint(data: Mapping[str, Any]) -> str:
    """The fingerprint of an evidence as it is stored.

    What its sentences were made of adds nothing to them: evidence of before that was kept has the
    same fingerprint.
    """
    return fingerprint_of({name: value for name, value in data.items() if name != _MESSAGES})


def _messages(data: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = data.get(_MESSAGES, {})
    return found


def _estimates(data: Mapping[str, Mapping[str, Any]]) -> Estimates:
    return {
        outer: {name: PolicyEstimate.from_json(e) for name, e in objectives.items()}
        for outer, objectives in data.items()
    }
