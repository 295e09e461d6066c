from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import Catalog, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.stored import user_sample
from mrlm.bandit_log.stored.reader import read_bandit_log, read_in_parts
from mrlm.bandit_log.stored.schema import bandit_log_schema, histories_schema
from mrlm.bandit_log.stored.user_sample import UserSample
from mrlm.bandit_log.user_folds import crc, user_folds

CLICK = Objective(name="click", source="feedback", event="click", transform="any", missing=0.0)
USERS, EACH = 400, 5
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CATALOG = Catalog.from_table(
    pa.Table.from_pylist([{"item_id": "a"}, {"item_id": "b"}], ITEMS_SCHEMA)
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 users with 5 decisions each, in two files, and one entry of history each."""
    folder = tmp_path_factory.mktemp("night")
    for name in ("decisions", "histories"):
        (folder / name).mkdir()
    rows = [
        {
            "decision_id": f"r{user}-{i}#1",
            "request_id": f"r{user}-{i}",
            "night": date(2026, 11, 20),
            "ts": NOON,
            "user": f"u{user}",
            "session": f"s{user}",
            "session_step": i,
            "scene": "home",
            "position": 1,
            "item_id": "a",
            "action": 0,
            "propensity": 0.5,
            "candidates": ["a", "b"],
            "candidate_propensities": [0.5, 0.5],
            "policy_id": "p",
            "above": [],
            "reward_click": float(user % 2),
            "final_click": True,
        }
        for i in range(EACH)
        for user in range(USERS)
    ]
    schema = bandit_log_schema([CLICK])
    for part in (0, 1):
        table = pa.Table.from_pylist(rows[part::2], schema)
        pq.write_table(table, folder / "decisions" / f"{part}.parquet", row_group_size=300)
    entries = [
        {"user": f"u{user}", "item_id": "b", "known_from": NOON.replace(hour=9)}
        for user in range(USERS)
    ]
    table = pa.Table.from_pylist(entries, histories_schema(["click"]))
    pq.write_table(table, folder / "histories" / "0.parquet")
    return folder


@pytest.fixture
def few_users_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_sample, "_LEAST_USERS", 1)


@pytest.mark.usefixtures("few_users_do")
def test_users_are_read_whole_with_what_they_look_back_on(night: Path) -> None:
    whole = read_bandit_log([night], CATALOG, (CLICK,))
    part = read_bandit_log([night], CATALOG, (CLICK,), most=500)
    users, decisions = np.unique(part.decisions.user.astype(str), return_counts=True)
    assert len(whole) == USERS * EACH
    assert 380 < len(part) < 620
    assert (decisions == EACH).all()
    assert len(part.decisions.histories) == len(users)
    assert (part.decisions.looked_back_on().lengths == 1).all()
    kept = whole.where(np.isin(whole.decisions.user.astype(str), users))
    assert part.decision_id.tolist() == kept.decision_id.tolist()
    assert np.array_equal(part.rewards, kept.rewards)


@pytest.mark.usefixtures("few_users_do")
def test_a_night_with_no_more_is_read_whole(night: Path) -> None:
    assert UserSample.of(night / "decisions", USERS * EACH) == UserSample()
    assert UserSample.of(night / "decisions", USERS * EACH - 1).share < 1
    assert UserSample.of(night / "decisions", None) == UserSample()


def test_a_thousand_users_are_read_however_much_each_did(night: Path) -> None:
    assert UserSample.of(night / "decisions", 1) == UserSample()


def test_of_more_users_about_a_thousand(tmp_path: Path) -> None:
    users = [f"u{i}" for i in range(5000) for _ in range(2)]
    pq.write_table(pa.table({"user": users}), tmp_path / "many.parquet")
    assert UserSample.of(tmp_path / "many.parquet", 10).share == pytest.approx(0.2)
    assert UserSample.of(tmp_path / "many.parquet", 5000).share == pytest.approx(0.5)


def test_parts_of_a_night_hold_every_user_once(night: Path) -> None:
    whole = read_bandit_log([night], CATALOG, (CLICK,))
    parts = list(read_in_parts(night, CATALOG, (CLICK,), most=500))
    assert len(parts) == 4
    assert all(380 < len(part) < 620 for part in parts)
    assert all((part.decisions.looked_back_on().lengths == 1).all() for part in parts)
    users = [set(part.decisions.user.tolist()) for part in parts]
    assert len(set.union(*users)) == sum(map(len, users)) == USERS
    found = [name for part in parts for name in part.decision_id.tolist()]
    assert sorted(found) == sorted(whole.decision_id.tolist())
    for most in (None, USERS * EACH):
        (alone,) = read_in_parts(night, CATALOG, (CLICK,), most)
        assert alone.decision_id.tolist() == whole.decision_id.tolist()


def test_a_part_without_users_is_left_out(night: Path, tmp_path: Path) -> None:
    """Of eight parts for eight users some are empty."""
    few = pq.read_table(night / "decisions" / "0.parquet").slice(0, 8)
    pq.write_table(few, tmp_path / "few.parquet")
    parts = list(read_in_parts(tmp_path / "few.parquet", CATALOG, (CLICK,), most=1))
    assert 2 < len(parts) < 8
    assert sum(map(len, parts)) == 8


def test_fewer_users_are_among_more_and_fall_into_every_fold() -> None:
    users = pa.array([f"u{i}" for i in range(20_000)])
    few, more = UserSample(share=0.1).keeps(users), UserSample(share=0.3).keeps(users)
    assert not (few & ~more).any()
    # Four standard deviations of a draw of 20,000: a wrong alarm in 16,000.
    assert abs(few.mean() - 0.1) < 4 * np.sqrt(0.09 / 20_000)
    kept = np.array(users.to_pylist(), object)[few]
    for hashed in (None, crc(), crc("statistics")):
        shares = np.bincount(user_folds(kept, 4, hashed), minlength=4) / len(kept)
        assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.1875 / len(kept))


def test_each_night_draws_its_users_anew() -> None:
    users = pa.array([f"u{i}" for i in range(20_000)])
    one, other = (UserSample(share=0.2, night=n).keeps(users) for n in ("night=1", "night=2"))
    # Independent draws; four standard deviations: a wrong alarm in 16,000.
    assert abs((one & other).mean() - 0.04) < 4 * np.sqrt(0.04 * 0.96 / 20_000)


def test_users_that_are_numbers_are_drawn_by_their_digits() -> None:
    part = UserSample(share=0.5)
    digits = part.keeps(pa.array([str(i) for i in range(100)]))
    assert 0 < digits.sum() < 100
    assert np.array_equal(part.keeps(pa.array(range(100))), digits)


@pytest.mark.usefixtures("few_users_do")
def test_some_users_have_their_share_of_the_lost_events(night: Path, tmp_path: Path) -> None:
    table = pq.read_table(night / "decisions").drop_columns("lost_click")
    lost = pa.array([101] * len(table), pa.int32())
    pq.write_table(table.append_column("lost_click", lost), tmp_path / "night.parquet")
    for most, expected in ((None, 101), (500, 26)):
        log = read_bandit_log([tmp_path / "night.parquet"], CATALOG, (CLICK,), most)
        assert (log.lost == expected).all()
