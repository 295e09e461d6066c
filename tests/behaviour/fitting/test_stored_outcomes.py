"""What is learned of items from all decisions, where the log holds those of some users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.stored import shown_nights
from mrlm.bandit_log.stored.shown_nights import ShownNights
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.features.space import fit_space
from mrlm.behaviour.fitting import stored_outcomes
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.history_rows import HistoryRows
from mrlm.behaviour.fitting.outcomes import Outcomes
from mrlm.behaviour.fitting.stored_outcomes import StoredOutcomes
from mrlm.behaviour.settings import BehaviourSettings, HistorySettings
from mrlm.worlds.latent import latent_log
from tests.pipelines.nights.workspaces import log_table

SETTINGS = BehaviourSettings(
    components=4,
    hidden=8,
    projection=4,
    epochs=1,
    history=HistorySettings(factors=3, rounds=4, loading_prior=8.0),
)


@pytest.fixture(scope="module")
def log() -> BanditLog:
    return latent_log(n_users=150, decisions_per_user=8, n_candidates=3, seed=0)[0]


@pytest.fixture(scope="module")
def nights(log: BanditLog, tmp_path_factory: pytest.TempPathFactory) -> ShownNights:
    """The same as Parquet, a folder a night."""
    paths = []
    for night in np.unique(log.night).astype(str):
        paths.append(tmp_path_factory.mktemp("nights") / f"night={night}")
        paths[-1].mkdir()
        pq.write_table(log_table(log.on_nights([night])), paths[-1] / "part.parquet")
    return ShownNights(paths, log.decisions.catalog, log.objectives)


@pytest.fixture
def stored(nights: ShownNights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredOutcomes:
    """In some parts of a night, and in some files."""
    monkeypatch.setattr(shown_nights, "_AT_ONCE", 90)
    monkeypatch.setattr(stored_outcomes, "_ROWS", 300)
    return StoredOutcomes.write(nights, SETTINGS, tmp_path)


def history_rows(rows: FitRows) -> HistoryRows:
    return HistoryRows.of(
        rows.log,
        shown_only(rows.log),
        fit_space(rows.log, 4),
        SETTINGS.history,
        rows.outcomes,
        rows.whole,
    )


def test_every_outcome_is_kept_once_with_its_users_folds(
    log: BanditLog, stored: StoredOutcomes
) -> None:
    parts = list(stored)
    assert len(parts) == len(stored.files) == 4
    users = [set(part.user.tolist()) for part in parts]
    assert len(set.union(*users)) == sum(map(len, users)) == 150
    one = Outcomes.of(log, SETTINGS)
    for name in ("item", "fold", "statistics_fold", "factors_fold"):
        together = np.concatenate([getattr(p, name) for p in parts])
        assert sorted(together.tolist()) == sorted(getattr(one, name).tolist())
    for name in ("rewards", "by_itself"):
        together = np.concatenate([getattr(p, name) for p in parts])
        np.testing.assert_allclose(
            np.sort(together, axis=0), np.sort(getattr(one, name), axis=0), rtol=1e-6
        )
    for part in parts:
        codes = np.unique(part.user, return_inverse=True)[1]
        for name in ("fold", "statistics_fold", "factors_fold"):
            folds = getattr(part, name)
            assert len(np.unique(codes * 10 + folds)) == len(np.unique(codes)), name


def test_a_full_disk_says_so(nights: ShownNights, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "00000.outcomes").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        StoredOutcomes.write(nights, SETTINGS, folder)


def test_items_are_those_of_a_log_that_fits_into_memory(
    log: BanditLog, stored: StoredOutcomes
) -> None:
    one, parts = FitRows.of(log, SETTINGS), FitRows.of(log, SETTINGS, stored)
    asked, codes = one.outcomes.statistics_fold, one.outcomes.item
    for k in range(SETTINGS.folds):
        first, second = one.statistics(k), parts.statistics(k)
        assert first.item_id.tolist() == second.item_id.tolist()
        np.testing.assert_allclose(first.values, second.values, atol=1e-6)
        first, second = (r.statistics_of_folds(k).without(asked, codes) for r in (one, parts))
        np.testing.assert_allclose(first, second, atol=1e-6)
    own, whole = history_rows(one), history_rows(parts)
    settings = SETTINGS.history
    more = settings.model_copy(update={"rounds": settings.rounds + 2})
    longer = replace(own, settings=more)
    for first, second in zip(longer.factors(0, 1, 2), whole.factors(0, 1, 2), strict=True):
        assert first.item_id.tolist() == second.item_id.tolist()
        np.testing.assert_allclose(first.mean, second.mean, atol=1e-6)
        np.testing.assert_allclose(first.loading, second.loading, atol=1e-5)


def test_no_row_meets_its_users_outcomes(log: BanditLog, stored: StoredOutcomes) -> None:
    """Outcomes of some folds' users turn round: what leaves them out stays, the rest does not."""

    def turned(fold: str) -> FitRows:
        parts = []
        for part in stored:
            own = np.where(getattr(part, fold)[:, None] == 1, -part.by_itself, part.by_itself)
            parts.append(replace(part, rewards=own, by_itself=own))
        return FitRows.of(log, SETTINGS, parts)

    before, after = FitRows.of(log, SETTINGS, stored), turned("fold")
    np.testing.assert_array_equal(before.statistics(1).values, after.statistics(1).values)
    assert (before.statistics(0).values != after.statistics(0).values).any()
    first, second = (history_rows(r).factors(1, 0)[0].loading for r in (before, after))
    np.testing.assert_array_equal(first, second)
    after = turned("factors_fold")
    for k, same in ((1, True), (2, False)):
        first, second = (history_rows(r).factors(0, 0, k)[0].loading for r in (before, after))
        assert (first == second).all() == same
    after = turned("statistics_fold")
    items = before.outcomes.item
    for k, same in ((1, True), (2, False)):
        of = np.full(len(items), k)
        first, second = (r.statistics_of_folds(0).without(of, items) for r in (before, after))
        # Both are less one mean, which knows all folds.
        gap = (first - second)[:, 0]
        counts = np.expm1(first[:, -1])
        known = gap * (counts + SETTINGS.statistics_prior) / np.maximum(counts, 1)
        assert (np.ptp(known[counts > 0]) < 1e-4) == same


def test_a_model_of_some_users_knows_the_items_of_all(
    log: BanditLog, nights: ShownNights, tmp_path: Path
) -> None:
    users = np.unique(log.decisions.user.astype(str))
    some = log.where(np.isin(log.decisions.user.astype(str), users[::5]))
    scratch, folder = tmp_path / "scratch", tmp_path / "model"
    scratch.mkdir()
    folder.mkdir()
    alone = fit_reward_model(some, SETTINGS, seed=0)
    model = fit_reward_model(some, SETTINGS, seed=0, whole=nights, scratch=scratch)
    again = fit_reward_model(some, SETTINGS, seed=0, whole=nights)
    shown = log.decisions.catalog.item_id[np.unique(log.decisions.candidates.values[log.shown])]
    assert len(alone.items) < len(model.items)
    assert model.items.tolist() == sorted(shown.tolist())
    assert not list(scratch.iterdir())
    model.save(folder)
    scores = model.score(log.decisions)
    np.testing.assert_array_equal(scores, load_reward_model(folder).score(log.decisions))
    np.testing.assert_array_equal(scores, again.score(log.decisions))
    assert (scores != alone.score(log.decisions)).mean() > 0.9
