from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import Decisions, Objective, Ragged
from mrlm.bandit_log import embedding_novelty as room
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.worlds.latent import latent_log

UNLIKE = Objective(name="unlike", source="list", attribute="embedding")


@pytest.fixture(scope="module")
def decisions() -> Decisions:
    """Lists with none to three items above, and an item without a vector."""
    log, _ = latent_log(n_users=40, decisions_per_user=4, n_candidates=6, seed=1)
    found, rng = log.decisions, np.random.default_rng(2)
    vectors = rng.normal(size=(len(found.catalog), 8)).astype(np.float32)
    vectors[found.candidates.values[0]] = 0.0
    above = [rng.integers(0, len(vectors), i % 4).tolist() for i in range(len(found))]
    return replace(
        found,
        catalog=replace(found.catalog, embedding=vectors),
        above=Ragged.from_rows(above, np.int32),
    )


def test_it_is_one_less_the_cosine_to_the_nearest_item_above(
    decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = decisions.catalog.embedding
    assert vectors is not None
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    unit = vectors / np.maximum(length, 1e-300)[:, None]
    wanted = []
    for i in range(len(decisions)):
        for item in decisions.candidates[i]:
            alike = unit[decisions.above[i]] @ unit[item]
            new = 1 - max([0.0, *alike.tolist()])
            wanted.append(new if length[item] > 0 else 0.0)
    found = known_rewards(decisions, UNLIKE)
    assert found == pytest.approx(np.array(wanted), abs=1e-6)
    assert found.min() == 0.0
    assert 0.0 < np.median(found) < found.max() == 1.0
    # Whatever is compared at once.
    monkeypatch.setattr(room, "_TOGETHER", 7)
    assert (known_rewards(decisions, UNLIKE) == found).all()


def test_what_is_above_is_not_new_again(decisions: Decisions) -> None:
    first = np.array([row[-1] for row in (decisions.candidates[i] for i in range(len(decisions)))])
    above = Ragged(np.arange(len(decisions) + 1), first)
    below = replace(decisions, above=above)
    last = below.candidates.offsets[1:] - 1
    assert known_rewards(below, UNLIKE)[last] == pytest.approx(np.zeros(len(below)), abs=1e-6)


def test_without_vectors_it_is_refused(decisions: Decisions) -> None:
    bare = replace(decisions, catalog=replace(decisions.catalog, embedding=None))
    with pytest.raises(ValueError, match="needs the catalogue's embedding"):
        known_rewards(bare, UNLIKE)
