"""Who would be shown more and less, counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.evidence.exposure_change import exposure_change, sampled_decisions
from mrlm.evidence.scored_log import scored_log
from tests.evidence.arrays import ITEMS, Prefers, make_log

LOG = make_log(n=200, users=40)
TOLD = scored_log(LOG, {"challenger": Prefers(1.0), "champion": Prefers(0.0)}, None).probabilities
CHALLENGER, CHAMPION = TOLD["challenger"], TOLD["champion"]


def by_hand(log: BanditLog, chance: np.ndarray) -> np.ndarray:
    """Expected shows of each item in 100."""
    shown = np.zeros(ITEMS)
    for item, p in zip(log.decisions.candidates.values, chance, strict=True):
        shown[item] += p
    return 100 * shown / len(log)


def test_items_that_win_and_lose_are_told_in_shows_of_a_hundred() -> None:
    found = exposure_change(LOG, CHALLENGER, CHAMPION)
    now, before = by_hand(LOG, CHALLENGER), by_hand(LOG, CHAMPION)
    assert sum(now) == pytest.approx(100)
    for item in found["items"]:
        code = int(item["name"][1:])
        assert item["title"] == f"item {code}"
        assert item["challenger"] == pytest.approx(now[code])
        assert item["champion"] == pytest.approx(before[code])
    gains = [item["challenger"] - item["champion"] for item in found["items"]]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]
    even = {c["name"]: c for c in found["categories"]}
    assert even["odd"]["challenger"] == pytest.approx(now[1::2].sum())
    assert found["figures"]["challenger"]["gini"] > found["figures"]["champion"]["gini"]
    json.dumps(found, allow_nan=False)


def test_what_few_users_were_offered_is_not_told() -> None:
    assert exposure_change(LOG, CHALLENGER, CHAMPION, least_users=41)["items"] == []


def test_nothing_moves_where_the_policies_are_one() -> None:
    found = exposure_change(LOG, CHAMPION, CHAMPION)
    assert found["items"] == found["categories"] == []
    assert found["figures"]["moved"] == 0


def test_three_decisions_stand_for_all() -> None:
    found = sampled_decisions(LOG, CHALLENGER, CHAMPION)
    apart = np.abs(CHALLENGER - CHAMPION).reshape(len(LOG), -1).sum(1) / 2
    assert [d["which"] for d in found] == ["typical", "one in ten moves more", "moves most"]
    assert found[0]["moved"] == pytest.approx(np.median(apart), abs=0.05)
    assert found[-1]["moved"] == pytest.approx(apart.max())
    for decision in found:
        assert set(decision) == {"which", "scene", "position", "moved", "candidates"}
        chances = [c["challenger"] for c in decision["candidates"]]
        assert chances == sorted(chances, reverse=True)
    # Both policies' favourites are there.
    for decision in found:
        assert max(c["champion"] for c in decision["candidates"]) == pytest.approx(1 / 3)
    names = {*LOG.decisions.user, *LOG.decision_id, *LOG.session}
    assert not any(name in json.dumps(found) for name in names)


def test_what_is_one_persons_alone_is_not_sampled() -> None:
    """The decision that moves most is the only one of its scene: others stand for it."""
    apart = np.abs(CHALLENGER - CHAMPION).reshape(len(LOG), -1).sum(1) / 2
    scene = LOG.decisions.scene.copy()
    scene[np.argsort(apart, kind="stable")[-1]] = "of one"
    rare = replace(LOG, decisions=replace(LOG.decisions, scene=scene))
    alone = sampled_decisions(rare, CHALLENGER, CHAMPION)
    assert alone[-1]["scene"] == "of one"
    many = sampled_decisions(rare, CHALLENGER, CHAMPION, least_users=10)
    assert "of one" not in {d["scene"] for d in many}
    assert sampled_decisions(rare, CHALLENGER, CHAMPION, least_users=41) == []


def test_an_empty_log_has_no_decisions() -> None:
    nothing = LOG.on_nights([])
    none = np.zeros(0)
    assert sampled_decisions(nothing, none, none) == []
    assert exposure_change(nothing, none, none)["items"] == []


def test_providers_are_told_where_there_are_several() -> None:
    catalog = LOG.decisions.catalog
    assert "providers" not in exposure_change(LOG, CHALLENGER, CHAMPION)
    provider = np.array(["a", "b"] * (ITEMS // 2), object)
    decisions = replace(LOG.decisions, catalog=replace(catalog, provider=provider))
    found = exposure_change(replace(LOG, decisions=decisions), CHALLENGER, CHAMPION)
    assert {p["name"] for p in found["providers"]} == {"a", "b"}
