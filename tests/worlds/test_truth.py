from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.worlds.memory import to_log
from mrlm.worlds.replayed import ReplayedWorld
from mrlm.worlds.truth import read_truth

Written = tuple[Path, dict[str, Any]]
NIGHTS = ("2026-11-12", "2026-11-20")


def _paths(written: Written) -> list[Path]:
    return [written[0] / "truth" / f"dt={night}.parquet" for night in NIGHTS]


def test_the_files_hold_the_truth_of_the_log_in_memory(
    world: ReplayedWorld, written: Written
) -> None:
    log, truth = to_log(world)
    mask = np.isin(log.night, np.array(NIGHTS, "datetime64[D]"))
    found = read_truth(_paths(written)).rewards(log.where(mask))
    np.testing.assert_array_equal(found, truth[mask[log.decisions.candidates.row]])


def test_order_of_candidates_does_not_matter(world: ReplayedWorld, written: Written) -> None:
    log, _ = to_log(world)
    log = log.on_nights(NIGHTS[:1]).take(np.array([5, 2, 7], np.int64))
    truth = read_truth(_paths(written)[:1])
    straight = truth.rewards(log)
    candidates = log.decisions.candidates
    edges = candidates.offsets.tolist()
    flip = np.concatenate([np.arange(edges[i], edges[i + 1])[::-1] for i in range(3)])
    turned = replace(
        log,
        decisions=replace(
            log.decisions, candidates=Ragged(candidates.offsets, candidates.values[flip])
        ),
    )
    np.testing.assert_array_equal(truth.rewards(turned), straight[flip])


def test_what_is_not_in_the_truth_is_named(world: ReplayedWorld, written: Written) -> None:
    log, _ = to_log(world)
    other_night = log.on_nights(["2026-11-13"])
    truth = read_truth(_paths(written))
    with pytest.raises(ValueError, match="not in the truth"):
        truth.rewards(other_night)
    one = log.on_nights(NIGHTS[:1]).take(np.array([0], np.int64))
    candidates = one.decisions.candidates
    others = np.setdiff1d(np.arange(100, dtype=np.int32), candidates.values)
    strange = Ragged(candidates.offsets, others[: len(candidates.values)])
    wrong = replace(one, decisions=replace(one.decisions, candidates=strange))
    with pytest.raises(ValueError, match="candidate 'm"):
        truth.rewards(wrong)


def test_no_paths_is_an_error() -> None:
    with pytest.raises(ValueError, match="no truth to read"):
        read_truth([])


def test_a_night_read_twice_is_an_error(written: Written) -> None:
    with pytest.raises(ValueError, match="twice"):
        read_truth(_paths(written)[:1] * 2)
