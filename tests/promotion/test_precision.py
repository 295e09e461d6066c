"""A stored policy gives the same probabilities on every machine, whatever it is asked beside."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog, Catalog, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.learners.clone import clone_logger
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import Tuned
from mrlm.promotion.serving.bundle import PolicyBundle, load_bundle, save_bundle
from mrlm.promotion.serving.live import HistoryEntry, LiveRequest, LiveVersion
from mrlm.promotion.serving.states import read_states, states_table

# The reproduction before a promotion allows 1e-6; what it compares must be far below.
SAME = 1e-9
CHILD = """
import sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
import torch
from mrlm.promotion.serving.bundle import load_bundle
from mrlm.promotion.serving.states import read_states
torch.set_num_threads(4)
folder = Path(sys.argv[1])
bundle = load_bundle(folder / "bundle")
states = read_states(pq.read_table(folder / "states.parquet"), bundle.catalog)
np.save(folder / "child.npy", np.exp(bundle.policy.log_probabilities(states)))
"""


@pytest.fixture(scope="module")
def folder(fit_log: BanditLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a reward model, and states to ask it about."""
    settings = BehaviourSettings(components=6, hidden=32, projection=8, epochs=2)
    model = fit_reward_model(fit_log, settings, seed=1)
    some = fit_log.decisions.take(np.arange(0, len(fit_log), 8))
    scores = model.score(some)
    policy = Tuned(
        anchor=clone_logger(fit_log, "like").policy,
        scorers=(model,),
        known=(),
        standardiser=Standardiser.fit(model.columns, scores),
        kappa=0.5,
        theta=np.full(scores.shape[1], 1.5),
        floor=0.01,
    )
    made = tmp_path_factory.mktemp("precision")
    like = (Objective("like", "feedback", "north_star", event="like"),)
    bundle = PolicyBundle(policy, some.catalog, "p", "2026-11-20", "k", "c", like)
    save_bundle(bundle, made / "bundle")
    pq.write_table(states_table(some), made / "states.parquet")
    return made


def test_threads_and_another_processor_change_no_probability(folder: Path) -> None:
    """The child uses four threads and the kernels of an older processor, where it has any."""
    bundle = load_bundle(folder / "bundle")
    states = read_states(pq.read_table(folder / "states.parquet"), bundle.catalog)
    here = np.exp(bundle.policy.log_probabilities(states))
    older = {
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "4",
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    }
    command = [sys.executable, "-c", CHILD, str(folder)]
    subprocess.run(command, env={**os.environ, **older}, check=True)
    assert np.abs(np.load(folder / "child.npy") - here).max() < SAME


def test_a_decision_alone_has_the_probabilities_that_it_has_among_others(folder: Path) -> None:
    bundle = load_bundle(folder / "bundle")
    states = read_states(pq.read_table(folder / "states.parquet"), bundle.catalog)
    together = bundle.policy.log_probabilities(states)
    alone = [bundle.policy.log_probabilities(states.take(np.array([i]))) for i in range(40)]
    stop = int(states.offsets[40])
    assert np.abs(np.exp(np.concatenate(alone)) - np.exp(together[:stop])).max() < SAME


def test_served_is_evaluated_with_new_items_too(folder: Path) -> None:
    """A fifth of each set of candidates came after the policy was learned."""
    bundle = load_bundle(folder / "bundle")
    old = bundle.catalog
    draw = np.random.default_rng(4)
    like = draw.choice(len(old), len(old) // 4, replace=False)
    more = old.to_table().take(like).to_pylist()
    new = [row | {"item_id": f"new-{i:05d}"} for i, row in enumerate(more)]
    rows = pa.Table.from_pylist(new, schema=ITEMS_SCHEMA)
    catalog = Catalog.from_table(pa.concat_tables([old.to_table(), rows]))
    assert old.embedding is not None
    vectors = np.concatenate([old.embedding, old.embedding[like] + 0.01])
    place = {str(n): i for i, n in enumerate([*old.item_id, *(r["item_id"] for r in new)])}
    catalog = catalog.with_embedding(vectors[[place[str(n)] for n in catalog.item_id]])
    gentle = replace(bundle.policy, theta=np.full(3, 0.1))  # type: ignore[type-var]
    tonight = replace(bundle.with_catalog(catalog), policy=gentle)
    live = LiveVersion("p@1", tonight, pq.read_table(folder / "states.parquet")).quickest()
    assert live.bundle.policy is not tonight.policy, "single precision serves"
    names = ("like", "rating")
    for n in range(40):
        offered = [*draw.choice(old.item_id, 16, replace=False)]
        offered += [new[i]["item_id"] for i in draw.choice(len(new), 4, replace=False)]
        seen = [HistoryEntry(str(i), {m: float(draw.integers(2)) for m in names}) for i in offered]
        asked = LiveRequest(f"r{n}", "u", [str(i) for i in offered], seen[:12], k=3)
        answer = live.answer(asked, datetime(2026, 11, 21, tzinfo=UTC))
        exact = LiveVersion("p@1", tonight, live.states).answer(asked, answer.ts)
        for found, wanted in zip(answer.slots, exact.slots, strict=True):
            assert (found.item_id, found.candidates) == (wanted.item_id, wanted.candidates)
            apart = np.subtract(found.candidate_propensities, wanted.candidate_propensities)
            assert np.abs(apart).max() < 1e-6
            assert sum(found.candidate_propensities) == pytest.approx(1.0, abs=1e-12)
