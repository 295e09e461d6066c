from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.promise import Promise
from mrlm.ope.nights.spending import NORMALISER
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.uniform import Uniform
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.followed import Followed, load_followed
from tests.evidence.arrays import OBJECTIVES, catalog
from tests.evidence.found import NUMBER, evidence_of
from tests.pipelines.nights.workspaces import Made, entry

RUN, EARLIER = "2026-11-20-abc", "2026-11-18-abc"
PROMOTED = ItemSoftmax((Term("popularity", True, 2.0, 1.0, 0.7),), floor=0.2)
EVIDENCE = evidence_of(run_key=RUN)
Load = Callable[..., Followed]


@pytest.fixture
def load(made: Made, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Version 3, promoted in place of 2 by the second judgement that the ledger has."""
    versions = {2: (Uniform(), None), 3: (PROMOTED, EVIDENCE)}

    def folder(place: Any, version: int) -> Path:
        return made.root / "versions" / str(version)

    def follow(
        registered: tuple[int, ...] = (2, 3),
        evidence: Evidence = EVIDENCE,
        promoted: dict[str, Any] | None = None,
    ) -> Followed:
        for version, (policy, kept) in versions.items():
            bundle = PolicyBundle(policy, catalog(), "p", "2026-11-20", "k", "c" * 64, OBJECTIVES)
            save_bundle(bundle, folder(None, version) / "artifacts" / "bundle")
            if kept is not None:
                told = folder(None, version) / "artifacts" / "evidence.json"
                told.write_text(json.dumps(evidence.to_json()))
        known = "mrlm.promotion.registry"
        monkeypatch.setattr(
            f"{known}.versions.has_version", lambda _, version: version in registered
        )
        monkeypatch.setattr(f"{known}.version_files.version_folder", folder)
        about = {"champion_version": 2, "evidence": evidence.fingerprint()}
        move = replace(entry("promoted", RUN, 3, **about), **(promoted or {}))
        entries = made.record(
            entry("judged", EARLIER, 2, gate_nights=("2026-11-17",)),
            entry("judged", RUN, 3, gate_nights=("2026-11-19",), **about),
            move,
        )
        return load_followed(made.context("2026-11-21"), move, entries)

    return follow


def test_a_promotion_is_followed_with_its_promise_and_policies(load: Load) -> None:
    """It was tested at the share of the error that the second look may spend."""
    found = load()
    error = 0.05 / (3 * math.log(3) ** 2) / NORMALISER
    assert found.promise == Promise(3, 2, RUN, 1, pytest.approx(1 - error), NUMBER, "recommender@3")
    assert found.policy == PROMOTED
    assert found.replaced == Uniform()
    assert found.reward_model is None


def test_the_reward_model_is_that_of_its_own_run(
    made: Made, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another run has seen rewards of the nights since."""
    folder = made.workspace.run_stage(RUN, "learn_behaviour")
    (folder / "reward_model").mkdir(parents=True)
    (folder / "reward_model" / "heads.json").write_text("{}")
    made.complete(folder, "learn_behaviour", "2026-11-20", run_key=RUN)
    monkeypatch.setattr("mrlm.behaviour.ensemble.storage.load_reward_model", lambda path: path)
    found: Any = load().reward_model
    assert found == folder / "reward_model"


def test_the_reward_model_of_a_test_over_nights_is_that_of_the_run_that_made_the_challenger(
    made: Made, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run, night in ((RUN, "2026-11-20"), (EARLIER, "2026-11-18")):
        folder = made.workspace.run_stage(run, "learn_behaviour")
        (folder / "reward_model").mkdir(parents=True)
        (folder / "reward_model" / "heads.json").write_text("{}")
        made.complete(folder, "learn_behaviour", night, run_key=run)
    monkeypatch.setattr("mrlm.behaviour.ensemble.storage.load_reward_model", lambda path: path)
    found: Any = load(evidence=replace(EVIDENCE, candidate=EARLIER)).reward_model
    folder = made.workspace.run_stage(EARLIER, "learn_behaviour")
    assert found == folder / "reward_model"


def test_a_damaged_reward_model_is_damage(made: Made, load: Load) -> None:
    folder = made.workspace.run_stage(RUN, "learn_behaviour")
    (folder / "reward_model").mkdir(parents=True)
    (folder / "reward_model" / "heads.json").write_text("{}")
    made.complete(folder, "learn_behaviour", "2026-11-20", run_key=RUN)
    (folder / "reward_model" / "heads.json").unlink()
    with pytest.raises(DamagedError, match=r"heads\.json is missing"):
        load()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"promoted": {"champion_version": None}}, "no version or no champion"),
        ({"promoted": {"version": None}}, "no version or no champion"),
        ({"registered": (2,)}, "version 3 is no longer in the registry"),
        ({"registered": (3,)}, "version 2 is no longer in the registry"),
        ({"promoted": {"evidence": "another"}}, "not the one that it was promoted on"),
        ({"evidence": replace(EVIDENCE, differences={})}, "no dr difference in delight"),
        (
            {"evidence": replace(EVIDENCE, measures={"delight": "of another event"})},
            "the settings measured delight in another way",
        ),
        (
            {
                "evidence": replace(
                    EVIDENCE, differences={"dr": {"delight": replace(NUMBER, value=None)}}
                )
            },
            "no dr difference in delight",
        ),
    ],
)
def test_what_a_promotion_lacks_is_said(load: Load, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        load(**given)


def test_a_version_without_evidence_cannot_be_followed(
    load: Load, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Entry("promoted", RUN, 2, "test", "2026-11-20", "", champion_version=3)
    load()
    with pytest.raises(DataError, match="not the one that it was promoted on"):
        load_followed(made.context("2026-11-21"), move, ())
