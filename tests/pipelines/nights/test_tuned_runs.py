from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipelines.care.tuned_runs import chosen_weights, run_before, run_of, tuned_runs
from pipelines.failures.errors import DamagedError, MissingInputError
from tests.pipelines.nights.workspaces import Made, entry

NIGHTS = ("2026-11-01", "2026-11-02", "2026-11-03")


def tuned(made: Made, key: str, weight: float = 0.5) -> None:
    folder = made.workspace.run_stage(key, "tune_weights")
    folder.mkdir(parents=True)
    (folder / "tuning.json").write_text(json.dumps({"kappa": 0.5, "scale": 4.0}))
    counts = {"weights": {"delight": weight}, "moved": True, "reason": "because", "limited_by": []}
    made.complete(folder, "tune_weights", key[:10], {"tuning": "tuning.json"}, counts, run_key=key)


def test_of_a_nights_runs_the_one_under_these_settings_is_meant(made: Made) -> None:
    """Else one that was judged; and where nobody names a night, the newest."""
    own = made.context(NIGHTS[2]).run_key
    keys = [f"{NIGHTS[0]}-zzz", f"{NIGHTS[1]}-aaa", f"{NIGHTS[1]}-zzz", own, f"{NIGHTS[2]}-zzz"]
    for key in keys:
        tuned(made, key)
    (made.workspace.runs / f"{NIGHTS[2]}-yyy" / "learn_policy").mkdir(parents=True)
    made.record(entry("initial", "first", 1), entry("judged", keys[1], 2))
    settings = made.context(NIGHTS[2]).settings
    assert tuned_runs(settings) == [keys[0], keys[1], own]
    assert run_of(settings) == own
    assert run_of(settings, NIGHTS[1]) == keys[1]
    assert run_of(settings, run_key=keys[2]) == keys[2]
    assert run_before(settings, own) == keys[1]
    assert run_before(settings, keys[0]) == ""
    for named in ({"night": "2026-11-09"}, {"run_key": f"{NIGHTS[2]}-yyy"}):
        with pytest.raises(MissingInputError, match="has chosen weights yet"):
            run_of(settings, **named)


def test_what_a_run_chose_is_read_from_checked_files(made: Made) -> None:
    key = f"{NIGHTS[0]}-abc"
    tuned(made, key, 0.25)
    settings = made.context(NIGHTS[0]).settings
    found = chosen_weights(settings, key)
    assert (found.night, found.run_key, found.kappa) == (NIGHTS[0], key, 0.5)
    assert (found.weights, found.limited_by) == ({"delight": 0.25}, ())
    assert replace(found, kappa=1.0) != found
    path = made.workspace.run_stage(key, "tune_weights") / "tuning.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(DamagedError, match=r"tuning\.json is damaged"):
        chosen_weights(settings, key)
