"""Lists of a night: in parts of its users, and by a champion with a challenger on trial."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import Catalog
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.uniform import Uniform
from mrlm.promotion.registry.champion import Champion
from mrlm.promotion.registry.integrity import DamagedVersionError
from mrlm.promotion.serving.bundle import PolicyBundle
from pipelines.contract.context import NightContext
from pipelines.stages.publish import STAGE
from tests.evidence.arrays import OBJECTIVES, catalog, make_log
from tests.pipelines.nights.workspaces import EMBEDDING, Made, entry

NIGHT, SHARE, K = "2026-11-20", 0.25, 2
SHARP = ItemSoftmax((Term("popularity", False, 2.5, 1.0, 2.0),), floor=0.1)


def items() -> Catalog:
    return replace(catalog(), attributes={"popularity": np.arange(6.0)})


@pytest.fixture
def context(tmp_path: Path) -> NightContext:
    """Version 1 is champion, version 2 is under test, and the night has passed."""
    made = Made(tmp_path)
    made.record(entry("initial", "k", 1))
    told = {"champion_version": 1, "gate_nights": ("2026-11-18",), "goes_on": True}
    made.record(entry("judged", "2026-11-19-k", 2, **told))
    made.passed(NIGHT)
    folder = made.workspace.lake_stage(NIGHT, "ingest")
    (folder / "catalog").mkdir()
    pq.write_table(items().to_table(), folder / "catalog" / "part-0.parquet")
    made.complete(folder, "ingest", NIGHT, {"catalog": "catalog"}, {"reopened": []})
    made.built(NIGHT, {NIGHT: make_log()})
    return made.context(NIGHT, gate={"trial_share": SHARE}, publishing={"k": K})


def published(
    context: NightContext,
    monkeypatch: pytest.MonkeyPatch,
    challenger: PolicyBundle | Exception,
    folder: str = "out",
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Rows of the lists, and what is told about them."""
    own = items().with_embedding(EMBEDDING)
    bundle = PolicyBundle(SHARP, own, "champion", "2026-11-17", "k", "", OBJECTIVES)

    def of_version(place: object, version: int) -> Champion:
        assert version == 2
        if isinstance(challenger, Exception):
            raise challenger
        return Champion(2, challenger, Path())

    registry = "mrlm.promotion.registry.champion"
    monkeypatch.setattr(f"{registry}.champion", lambda place: Champion(1, bundle, Path()))
    monkeypatch.setattr(f"{registry}.champion_of_version", of_version)
    out = context.workspace.root / folder
    out.mkdir()
    STAGE.run(context, STAGE.plan(context), out)
    rows = pq.read_table(out / "recommendations.parquet").to_pylist()
    return rows, json.loads((out / "about.json").read_text())


def chances(row: dict[str, object], share: float) -> np.ndarray:
    """Of the row's candidates, for a share that chooses uniformly and the rest by popularity."""
    left = np.array([int(str(name)[1:]) for name in row["candidates"]])  # type: ignore[attr-defined]
    sharp = np.exp(2.0 * left) / np.exp(2.0 * left).sum()
    one = 1.0 / len(left)
    return (1 - share) * (0.9 * sharp + 0.1 * one) + share * one


def bundle_of_trial(vectors: np.ndarray = EMBEDDING) -> PolicyBundle:
    own = items().with_embedding(vectors)
    return PolicyBundle(Uniform(), own, "challenger", "2026-11-18", "k", "", OBJECTIVES)


def test_every_slot_is_logged_with_the_chances_of_both_together(
    context: NightContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the challenger prefers shown as often as they say, within 4 standard errors."""
    plan = STAGE.plan(context)
    monkeypatch.setattr("pipelines.stages.publish.require_champion", lambda place, night: 1)
    assert STAGE.inputs(context, plan)["trial"] == f"2 at {SHARE}"
    rows, about = published(context, monkeypatch, bundle_of_trial())
    name = context.settings.registry.policy_id(1)
    assert about["trial"] == 2
    assert {row["position"] for row in rows} == {1, 2}
    shown, expected, spread = 0.0, 0.0, 0.0
    for row in rows:
        wanted = chances(row, SHARE)
        np.testing.assert_allclose(row["candidate_propensities"], wanted, rtol=1e-9)
        at = row["candidates"].index(row["item_id"])  # type: ignore[attr-defined]
        assert row["propensity"] == row["candidate_propensities"][at]  # type: ignore[index]
        assert row["policy_id"] == f"{name}+2"
        worst = wanted.min()
        shown, expected = shown + (wanted[at] == worst), expected + worst
        spread += worst * (1 - worst)
    assert abs(shown - expected) < 4 * np.sqrt(spread)


@pytest.mark.parametrize(
    "challenger",
    [DamagedVersionError("version 2 is damaged"), bundle_of_trial(EMBEDDING + 1)],
)
def test_a_trial_that_cannot_be_takes_no_list_from_anybody(
    context: NightContext,
    monkeypatch: pytest.MonkeyPatch,
    challenger: PolicyBundle | Exception,
) -> None:
    """Then the champion serves alone, and its rows say so."""
    rows, about = published(context, monkeypatch, challenger)
    assert "trial" not in about
    assert {row["policy_id"] for row in rows} == {context.settings.registry.policy_id(1)}
    for row in rows:
        np.testing.assert_allclose(row["candidate_propensities"], chances(row, 0.0), rtol=1e-9)


def test_without_a_share_nobody_is_on_trial(context: NightContext) -> None:
    gate = context.settings.gate.model_copy(update={"trial_share": 0.0})
    settings = context.settings.model_copy(update={"gate": gate})
    assert STAGE.plan(context).trial == 2
    assert STAGE.plan(replace(context, settings=settings)).trial is None


@pytest.mark.parametrize("capacity", ["", "popularity"])
def test_a_night_read_in_parts_gives_every_user_the_same_list(
    context: NightContext, monkeypatch: pytest.MonkeyPatch, capacity: str
) -> None:
    """By user within each part; where items have a capacity all users are drawn for at once."""
    publishing = context.settings.publishing.model_copy(update={"capacity": capacity})
    split = context.settings.split.model_copy(update={"night_decisions": 100})
    whole = context.settings.model_copy(update={"publishing": publishing})
    parts = whole.model_copy(update={"split": split})
    (rows, about), (found, told) = (
        published(replace(context, settings=settings), monkeypatch, bundle_of_trial(), folder)
        for settings, folder in ((whole, "whole"), (parts, "parts"))
    )
    assert told == about
    assert about["users"] == 80
    users = [str(row["user"]) for row in found]
    assert (users == sorted(users)) == bool(capacity)
    assert sorted(found, key=lambda row: (row["user"], row["position"])) == rows
