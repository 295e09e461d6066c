from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.stored import shown_nights, user_sample
from mrlm.bandit_log.stored.reader import read_bandit_log
from mrlm.bandit_log.stored.shown_nights import ShownNights
from mrlm.worlds.latent import latent_log
from tests.pipelines.nights.workspaces import log_table


@pytest.fixture(scope="module")
def log() -> BanditLog:
    """Two nights; the second objective counts what follows."""
    found = latent_log(n_users=60, decisions_per_user=6, n_candidates=3, seed=0, nights=2)[0]
    like = found.objectives[0]
    stay = replace(like, name="stay", role="component", missing=0.0, discount=0.5)
    return replace(found, objectives=(like, stay), rewards=found.rewards[:, [0, 0]])


@pytest.fixture(scope="module")
def paths(log: BanditLog, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = [tmp_path_factory.mktemp(n) for n in np.unique(log.night).astype(str)]
    for night, path in zip(np.unique(log.night).astype(str), found, strict=True):
        pq.write_table(log_table(log.on_nights([night])), path / "part.parquet")
    return found


def test_every_decision_is_read_once_with_what_it_showed(
    log: BanditLog, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_nights, "_AT_ONCE", 60)
    catalog = log.decisions.catalog
    nights = ShownNights(paths, catalog, log.objectives)
    assert nights.decisions == len(log)
    parts = list(nights)
    assert len(parts) == 6
    for part in parts:
        assert len(np.unique(part.night)) == 1
        assert (part.decisions.candidates.lengths == 1).all()
        assert len(part.decisions.histories) == len(part.candidate_propensity) - len(part) == 0
    of_night = {n: set() for n in np.unique(log.night).tolist()}
    for part in parts:
        users = set(part.decisions.user.tolist())
        assert not users & of_night[part.night[0].item()]
        of_night[part.night[0].item()] |= users
    whole, found = read_bandit_log(paths, catalog, log.objectives), BanditLog.concat(parts)
    order = np.argsort(found.decision_id.astype(str))
    found, whole = found.take(order), whole.take(np.argsort(whole.decision_id.astype(str)))
    assert found.decision_id.tolist() == whole.decision_id.tolist()
    items = [x.decisions.candidates.values[x.shown].tolist() for x in (found, whole)]
    assert items[0] == items[1]
    assert np.nanmax(whole.rewards[:, 1]) > 1, "returns count what follows"
    for name in ("rewards", "final", "propensity"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    np.testing.assert_array_equal(found.by_itself.known, whole.by_itself.known)


def test_nights_that_are_read_whole_are_not_longer(
    log: BanditLog, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = ShownNights(paths, log.decisions.catalog, log.objectives)
    for most in (None, len(log)):
        assert not nights.longer_than(most)
    monkeypatch.setattr(user_sample, "_LEAST_USERS", 1)
    assert nights.longer_than(len(log) // 2 - 1)


def test_a_row_that_does_not_say_what_was_shown_is_refused(log: BanditLog, tmp_path: Path) -> None:
    table = log_table(log)
    place = table.column_names.index("item_id")
    nothing = pa.nulls(len(table), pa.string())
    pq.write_table(table.set_column(place, "item_id", nothing), tmp_path / "part.parquet")
    nights = ShownNights([tmp_path], log.decisions.catalog, log.objectives)
    with pytest.raises(ValueError, match="a row has no item_id"):
        list(nights)
