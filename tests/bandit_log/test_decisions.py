from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.bandit_log import decisions as module
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.sequence_settings import SequenceSettings
from mrlm.behaviour.settings import BehaviourSettings


def newest(decisions: Decisions, most: int) -> Decisions:
    """The same as requests that bring the newest entries and nothing else."""
    seen = decisions.looked_back_on()
    rows = [seen[i][max(len(seen[i]) - most, 0) :] for i in range(len(decisions))]
    lengths = [len(row) for row in rows]
    places = np.concatenate(rows).astype(np.int64)
    entries, offsets = decisions.histories, np.concatenate([[0], np.cumsum(lengths)])
    items = Ragged(offsets, entries.item[places])
    return decisions.with_history(items, entries.rewards[places], entries.objectives)


@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_a_decision_looks_back_on_the_newest_entries_that_it_sees(
    fit_log: BanditLog, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = fit_log.decisions
    every, some = decisions.looked_back_on(), decisions.looking_back_on(most).looked_back_on()
    assert max(every.lengths) > 3
    assert (some.lengths == np.minimum(every.lengths, most)).all()
    for i in range(0, len(decisions), 97):
        own = every[i]
        assert some[i].tolist() == own[max(len(own) - most, 0) :].tolist()
    monkeypatch.setattr(module, "BLOCK", 64)
    blocks = decisions.looking_back_on(most).looked_back_on()
    assert np.array_equal(blocks.values, some.values)


def test_an_entry_that_is_not_seen_counts_for_nothing(fit_log: BanditLog) -> None:
    decisions = fit_log.decisions.take(np.array([len(fit_log) - 1]))
    (seen,) = [decisions.looked_back_on()[0]]
    late = decisions.histories.known_from.copy()
    # The newest entry became known after the decision.
    late[seen[-1]] = decisions.ts[0] + np.timedelta64(1, "h")
    later = replace(decisions, histories=replace(decisions.histories, known_from=late))
    assert later.looking_back_on(2).looked_back_on()[0].tolist() == seen[-3:-1].tolist()


@pytest.mark.parametrize("model", ["pair", "history", "sequence"])
def test_a_limited_decision_is_read_as_a_request_that_brings_no_more(
    fit_log: BanditLog, model: str
) -> None:
    log = fit_log.on_nights(["2026-11-10", "2026-11-11"])
    sequence = SequenceSettings(epochs=1, width=8, entries=8)
    small = {"folds": 2, "components": 4, "hidden": 8, "projection": 4, "epochs": 1}
    settings = BehaviourSettings(model=model, sequence=sequence, **small)  # type: ignore[arg-type]
    fitted = fit_reward_model(log, settings, seed=0)
    decisions = log.decisions.take(np.arange(0, len(log), 11))
    assert max(decisions.looked_back_on().lengths) > 3
    limited = fitted.score(decisions.looking_back_on(3))
    np.testing.assert_allclose(limited, fitted.score(newest(decisions, 3)), rtol=0, atol=1e-12)
    assert np.abs(limited - fitted.score(decisions)).max() > 1e-6
