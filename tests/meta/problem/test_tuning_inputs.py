from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.meta.problem.judged_groups import JudgedGroups
from mrlm.meta.problem.tuning_inputs import TuningInputs, load_tuning_inputs, save_tuning_inputs
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune


@pytest.fixture
def inputs(make_problem) -> TuningInputs:
    problem, _ = make_problem(n=600, guardrail_margin=0.02)
    users = np.array([f"user-{c}" for c in problem.cluster], object)
    scene = np.where(np.arange(600) % 3 == 0, "home", "search").astype(object)
    return TuningInputs(replace(problem, cluster=users), scene, TuningSettings(max_kl=0.3), 7)


def test_what_is_read_has_the_same_bits_and_no_user(inputs, tmp_path):
    save_tuning_inputs(inputs, tmp_path / "rows")
    found = load_tuning_inputs(tmp_path / "rows")
    for field in fields(inputs.problem):
        given, read = (getattr(x.problem, field.name) for x in (inputs, found))
        if field.name == "cluster":
            assert np.array_equal(np.unique(given, return_inverse=True)[1], read)
        elif isinstance(given, np.ndarray):
            assert given.dtype == read.dtype
            assert given.tobytes() == read.tobytes(), field.name
        else:
            assert given == read, field.name
    assert found.scene.tolist() == inputs.scene.tolist()
    assert (found.settings, found.seed) == (inputs.settings, 7)
    assert all(b"user-" not in p.read_bytes() for p in (tmp_path / "rows").iterdir())
    asked = [tune(x.problem, x.settings, seed=x.seed) for x in (inputs, found)]
    assert asked[0] == asked[1]


def test_other_fields_and_damage_are_refused(inputs, tmp_path):
    folder = tmp_path / "rows"
    with pytest.raises(FileNotFoundError):
        load_tuning_inputs(folder)
    save_tuning_inputs(inputs, folder)
    about = json.loads((folder / "about.json").read_text())
    about["problem"]["added"] = 1
    (folder / "about.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="other fields"):
        load_tuning_inputs(folder)


def test_later_fields_are_stored_where_they_say_something(inputs, tmp_path):
    """Folders of earlier code have none of them, and are read as having none."""
    save_tuning_inputs(inputs, tmp_path / "none")
    stored = (tmp_path / "none" / "problem.safetensors").read_bytes()
    assert b'"open"' not in stored
    assert b"groups" not in stored
    assert b"judged" not in stored
    late = np.arange(600) > 400
    total = len(inputs.problem.log_anchor)
    provider = Ragged(np.arange(total + 1), np.arange(total) % 7)
    some = replace(
        inputs, problem=replace(inputs.problem, open=late, groups={"providers": provider})
    )
    save_tuning_inputs(some, tmp_path / "some")
    found = load_tuning_inputs(tmp_path / "some").problem
    assert (found.open == late).all()
    assert found.groups["providers"].offsets.tolist() == provider.offsets.tolist()
    assert found.groups["providers"].values.tolist() == provider.values.tolist()


def test_judged_groups_are_read_as_they_were_stored(inputs, tmp_path):
    code = np.arange(600)[:, None] % 2
    judged = JudgedGroups(code, (("scene", "home"), ("scene", "search")), 0.5)
    save_tuning_inputs(
        replace(inputs, problem=replace(inputs.problem, judged=judged)), tmp_path / "rows"
    )
    found = load_tuning_inputs(tmp_path / "rows").problem.judged
    assert np.array_equal(found.code, code)
    assert replace(found, code=code) == judged
