"""Ten versions of which something true was planted, as a reviewer's page shows them.

Their evidence is estimated from logs of a small shop and judged by the gate. Three are promoted by
the gate, whose first sentence says so, and should not be: settings that only advise let through a
scene that loses and a fall below the anchor, and nothing but the reader looks at who is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policies import policy_estimates
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.settings import GateSettings
from mrlm.report.facts import NightFacts
from mrlm.report.review_page import render_review_page

Floats = NDArray[np.float64]
Answer = Literal["approve", "reject"]
ITEMS, CANDIDATES, USERS, PROVIDERS = 120, 8, 1_500, 6
LEAST_USERS = 20
ANCHOR = 1
# Both nights of the test are there: this is its last look.
NIGHTS = ("2026-11-18", "2026-11-19")
GATE = GateSettings(test_nights=len(NIGHTS))
CLICK = Objective("click", "feedback", "north_star", event="click", missing=0.0)
KEPT = Objective("kept", "feedback", "guardrail", event="kept", margin=0.03, missing=0.0)


@dataclass(frozen=True)
class Shop:
    """Decisions and what is true of them.

    Attributes:
        decisions: n, each of ``CANDIDATES`` candidates.
        item: int64, shape (n, CANDIDATES).
        search: bool, shape (n,), whether the decision is of the scene ``search``.
        click: probability of every candidate, shape (n, CANDIDATES).
        kept: likewise, of being kept and not returned.
        logger: the logger's probabilities, shape (n, CANDIDATES).
    """

    decisions: Decisions
    item: NDArray[np.int64]
    search: NDArray[np.bool_]
    click: Floats
    kept: Floats
    logger: Floats


@dataclass(frozen=True)
class Planted:
    """A version, and what is true of it.

    Attributes:
        answer: what a careful reviewer does.
        why: in one sentence.
        slots: decisions on the gate nights.
        challenger: its scores of the candidates, of which it takes a softmax.
        settings: of the gate.
        anchored: challenger - anchor in ``kept`` and its standard error; None: as the champion.
    """

    answer: Answer
    why: str
    slots: int
    challenger: Callable[[Shop], Floats]
    settings: GateSettings = GATE
    anchored: tuple[float, float] | None = None


def _log(chance: Floats) -> Floats:
    out: Floats = np.log(chance)
    return out


PLANTED: dict[str, Planted] = {
    "A": Planted("approve", "clicks rise, returns do not", 9_000, lambda s: 3.0 * _log(s.click)),
    "B": Planted(
        "reject",
        "the scene search loses clicks, although the mean gains",
        24_000,
        lambda s: np.where(s.search[:, None], -3.0, 4.0) * _log(s.click),
        GATE.model_copy(update={"groups": "advise"}),
    ),
    "C": Planted("reject", "no better than the champion", 9_000, lambda s: _log(s.logger)),
    "D": Planted(
        "approve",
        "clicks rise, and more is kept",
        9_000,
        lambda s: 2.5 * _log(s.click) + 4.0 * _log(s.kept),
    ),
    "E": Planted(
        "reject",
        "clicks rise, and far more is returned",
        12_000,
        lambda s: 3.0 * _log(s.click) - 9.0 * _log(s.kept),
    ),
    "F": Planted(
        "reject",
        "clicks rise, and more than half of all shows go to one provider",
        24_000,
        lambda s: 3.0 * _log(s.click) + 6.0 * (s.item % PROVIDERS == 0),
    ),
    "G": Planted("reject", "clicks fall", 9_000, lambda s: -2.0 * _log(s.click)),
    "H": Planted("approve", "clicks rise, on few decisions", 7_000, lambda s: 3.5 * _log(s.click)),
    "I": Planted(
        "reject",
        "what is kept fell below the anchor by more than its margin, step by step",
        9_000,
        lambda s: 3.0 * _log(s.click),
        GATE.model_copy(update={"anchored": "advise"}),
        (-0.048, 0.004),
    ),
    "J": Planted(
        "reject",
        "the log holds too few decisions like the challenger's to say",
        500,
        lambda s: 14.0 * _log(s.click),
    ),
}


def pages() -> dict[str, str]:
    """Name of each version to its page, HTML."""
    return {name: _page(name, planted) for name, planted in PLANTED.items()}


def verdict_of(name: str) -> Verdict:
    """What the gate says of a version."""
    return _judged(_evidence(name, PLANTED[name]), PLANTED[name])


def _page(name: str, planted: Planted) -> str:
    evidence = _evidence(name, planted)
    facts = NightFacts(
        rows={"impressions": {"raw": planted.slots, "clean": planted.slots}},
        validation="passed",
        units={"click": "clicks a slot", "kept": "kept a slot"},
        yes_or_no=("click", "kept"),
        limited_by=(),
    )
    return render_review_page(evidence, _judged(evidence, planted), facts)


def _judged(evidence: Evidence, planted: Planted) -> Verdict:
    look = Look((len(NIGHTS),), information=(planted.slots,))
    return judge(evidence, planted.settings, look, anchor=ANCHOR)


def _evidence(name: str, planted: Planted) -> Evidence:
    seed = ord(name)
    shop = _shop(planted.slots, seed)
    log = _logged(shop, np.random.default_rng([seed, 1]))
    challenger = 0.9 * _softmax(planted.challenger(shop)) + 0.1 / CANDIDATES
    policies = {
        "challenger": challenger.ravel(),
        "champion": shop.logger.ravel(),
        "uniform": np.full(challenger.size, 1 / CANDIDATES),
    }
    # What a reward model expects: near the truth, and not it.
    noise = np.exp(np.random.default_rng([seed, 2]).normal(0, 0.2, (2, *shop.click.shape)))
    q = np.stack([(shop.click * noise[0]).ravel(), (shop.kept * noise[1]).ravel()], axis=1)
    criteria = planted.settings.criteria("click")
    found: dict[str, Any] = policy_estimates(log, policies, q, None, criteria, LEAST_USERS)
    evidence = Evidence(
        run_key=f"2026-11-20-{name}",
        night="2026-11-20",
        settings_fingerprint="0" * 64,
        code_version="0" * 64,
        champion_version=4,
        north_star="click",
        fit_nights=tuple(f"2026-11-{day}" for day in range(10, 17)),
        tune_nights=("2026-11-17",),
        gate_nights=NIGHTS,
        rows=len(log),
        users=len(set(log.decisions.user)),
        weights={"click": 1.0},
        guardrails={"kept": 0.03},
        **found,
    )
    return replace(evidence, anchor=_anchor(evidence, planted))


def _anchor(evidence: Evidence, planted: Planted) -> AnchorComparison:
    """Challenger - anchor on the same rows: as to the champion where nothing was lost since."""
    differences = dict(evidence.differences[planted.settings.estimator])
    if planted.anchored is not None:
        value, error = planted.anchored
        half = 1.96 * error
        differences["kept"] = replace(
            differences["kept"],
            value=value,
            standard_error=error,
            lower=value - half,
            upper=value + half,
        )
    return AnchorComparison(ANCHOR, differences, (2, 3, 4))


def _shop(slots: int, seed: int) -> Shop:
    rng = np.random.default_rng([seed, 0])
    order = rng.random((slots, ITEMS)).argsort(axis=1)[:, :CANDIDATES]
    appeal, quality, taste = _qualities()
    click = 0.22 * np.exp(0.35 * appeal[order] - 0.1)
    kept = 0.6 * np.exp(0.12 * quality[order])
    search = rng.random(slots) < 0.3
    user = rng.integers(0, USERS, slots)
    pairs = np.arange(slots + 1, dtype=np.int64)
    nothing = np.zeros(slots, np.int64)
    day = np.datetime64("2026-11-18") + (np.arange(slots) % 2)
    decisions = Decisions(
        catalog=_catalog(),
        user=np.array([f"user-{u:04d}" for u in range(USERS)], object)[user],
        scene=np.where(search, "search", "home").astype(object),
        position=np.ones(slots, np.int32),
        ts=day.astype("datetime64[us]"),
        candidates=Ragged(pairs * CANDIDATES, order.ravel().astype(np.int32)),
        histories=Histories.none(),
        since=nothing,
        until=nothing,
        request=pairs[:-1],
        above=Ragged(pairs * 0, np.zeros(0, np.int32)),
    )
    logger = _softmax(0.6 * taste[order])
    return Shop(decisions, order, search, np.minimum(click, 0.95), np.minimum(kept, 0.95), logger)


def _qualities() -> Floats:
    """How often items are clicked and kept, and what the logger prefers: none tells of another."""
    drawn = np.random.default_rng(9).normal(0, 1, (ITEMS, 3))
    basis, _ = np.linalg.qr(drawn - drawn.mean(0))
    out: Floats = basis.T * np.sqrt(ITEMS)
    return out


def _logged(shop: Shop, rng: np.random.Generator) -> BanditLog:
    n = len(shop.item)
    rows = np.arange(n)
    action = (shop.logger.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, CANDIDATES - 1)
    rewards = np.stack(
        [rng.random(n) < shop.click[rows, action], rng.random(n) < shop.kept[rows, action]], axis=1
    ).astype(float)
    names = np.array([f"r{i}" for i in range(n)], object)
    return BanditLog(
        decisions=shop.decisions,
        decision_id=names,
        night=shop.decisions.ts.astype("datetime64[D]"),
        session=names,
        session_step=np.zeros(n, np.int32),
        action=action,
        propensity=shop.logger[rows, action],
        candidate_propensity=shop.logger.ravel(),
        policy_id=np.full(n, "logger", object),
        objectives=(CLICK, KEPT),
        rewards=rewards,
        final=np.ones((n, 2), bool),
        unknown=np.zeros((n, 2), bool),
        lost=np.zeros((n, 2), np.int64),
    )


def _catalog() -> Catalog:
    kinds = ("shoes", "books", "lamps", "bags", "games")
    rows = [
        {
            "item_id": f"item-{c:03d}",
            "text": f"{kinds[c % len(kinds)]} no. {c}",
            "categories": [kinds[c % len(kinds)]],
            "provider": f"provider {'ABCDEF'[c % PROVIDERS]}",
        }
        for c in range(ITEMS)
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def _softmax(score: Floats) -> Floats:
    weight = np.exp(score - score.max(1, keepdims=True))
    out: Floats = weight / weight.sum(1, keepdims=True)
    return out
