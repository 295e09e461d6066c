from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrlm.bandit_log import Catalog
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
from pipelines.failures.errors import DataError
from pipelines.nights.champion import load_champion, over_items_of, with_trial, without_trial
from pipelines.nights.lake import newest_embedded
from tests.evidence.arrays import OBJECTIVES, catalog, make_log
from tests.pipelines.nights.workspaces import EMBEDDING, Made

NIGHT = "2026-11-20"
Register = Callable[[Catalog], int]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """Keeps a version 7 with this catalogue, where the registry would keep it."""
    folder = tmp_path / "versions" / "7"
    monkeypatch.setattr(
        "mrlm.promotion.registry.version_files.version_folder",
        lambda place, version: folder.with_name(str(version)),
    )

    def keep(items: Catalog) -> int:
        bundle = PolicyBundle(Uniform(), items, "champion", NIGHT, "k", "c" * 64, OBJECTIVES)
        save_bundle(bundle, folder / "artifacts" / "bundle")
        return 7

    return keep


def test_a_version_on_trial_chooses_its_share(
    made: Made, register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(catalog().with_embedding(EMBEDDING))
    monkeypatch.setattr(
        "mrlm.promotion.registry.champion.version_folder",
        lambda place, number: tmp_path / "versions" / str(number),
    )
    context = made.context(NIGHT, gate={"trial_share": 0.25})
    rated = replace(catalog(), attributes={"popularity": np.arange(6.0)})
    decisions = replace(make_log().decisions, catalog=rated)
    sharp = ItemSoftmax((Term("popularity", False, 6.0, 3.0, 2.0),), floor=0.1)
    served = PolicyBundle(sharp, catalog(), "champion", NIGHT, "k", "c" * 64, OBJECTIVES)
    tried, trial = with_trial(context, served, version)
    both = tried.policy.log_probabilities(decisions)
    assert (trial, without_trial(tried).policy, without_trial(served)) == (version, sharp, served)
    parts = [np.exp(p.log_probabilities(decisions)) for p in (sharp, Uniform())]
    assert abs(parts[0] - parts[1]).max() > 0.2
    np.testing.assert_allclose(np.exp(both), 0.75 * parts[0] + 0.25 * parts[1])
    assert with_trial(context, served, None) == (served, None)
    other = replace(served, catalog=catalog().with_embedding(EMBEDDING + 1))
    alone = with_trial(context, other, version)
    assert alone == (other, None), "its vectors are of another encoder"


def test_a_policy_without_vectors_needs_no_catalogue_of_tonight(
    made: Made, register: Register
) -> None:
    assert load_champion(made.context(NIGHT), register(catalog())) == Uniform()


@pytest.mark.parametrize("shift", [0.0, 0.049])
def test_vectors_that_differ_by_rounding_are_of_the_same_model(
    made: Made, register: Register, shift: float
) -> None:
    made.embedded(NIGHT, EMBEDDING + np.float32(shift))
    version = register(catalog().with_embedding(EMBEDDING))
    assert load_champion(made.context(NIGHT), version) == Uniform()


@pytest.mark.parametrize("tonight", [EMBEDDING + np.float32(0.051), np.eye(6, 3, dtype=np.float32)])
def test_vectors_of_another_model_are_refused(
    made: Made, register: Register, tonight: np.ndarray
) -> None:
    """Fed with them, the champion would look worse than the one that serves."""
    made.embedded(NIGHT, tonight)
    version = register(catalog().with_embedding(EMBEDDING))
    with pytest.raises(DataError, match=r"champion version 7 .*embedding\.model"):
        load_champion(made.context(NIGHT), version)


def test_only_items_with_the_same_text_are_compared(made: Made, register: Register) -> None:
    """One that was rewritten, or that is gone, has another vector or none for that reason."""
    before = catalog()
    text, names = before.text.copy(), before.item_id.copy()
    text[0] = "another text"
    names[5] = "i9"
    vectors = EMBEDDING.copy()
    vectors[[0, 5]] += 10
    made.embedded(NIGHT)
    version = register(replace(before, text=text, item_id=names).with_embedding(vectors))
    assert load_champion(made.context(NIGHT), version) == Uniform()


def test_catalogues_without_a_common_item_have_nothing_to_compare(
    made: Made, register: Register
) -> None:
    names = np.array([f"other{c}" for c in range(6)], object)
    made.embedded(NIGHT)
    version = register(replace(catalog(), item_id=names).with_embedding(EMBEDDING + 10))
    assert load_champion(made.context(NIGHT), version) == Uniform()


def test_lists_are_drawn_over_the_items_of_the_newest_night(made: Made) -> None:
    items = catalog().with_embedding(EMBEDDING)
    older = PolicyBundle(Uniform(), items, "champion", "2026-11-18", "k", "c" * 64, OBJECTIVES)
    context = made.context(NIGHT)
    assert newest_embedded(context) is None
    assert over_items_of(context, older, None) is older
    made.embedded("2026-11-19")
    made.embedded("2026-11-21", EMBEDDING + np.float32(1))
    assert newest_embedded(context) == "2026-11-19"
    found = over_items_of(context, older, "2026-11-19")
    assert found.catalog is not items
    np.testing.assert_array_equal(found.catalog.embedding, EMBEDDING)
    assert over_items_of(made.context("2026-11-21"), older, "2026-11-21") is older
