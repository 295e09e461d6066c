"""A rich clone as first champion: registered, loaded in a process of its own, served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.first_gate.worlds import WORLDS
from mrlm.learners.clone import FORMS
from mrlm.policies.mixture import Mixture
from mrlm.promotion.moves.promote import install_first_champion
from mrlm.promotion.registry.champion import champion
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.registration import VersionContent, register_version
from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
from mrlm.promotion.serving.serve import recommend
from mrlm.promotion.settings import GateSettings

RUN_KEY = "2026-11-12/clone"


def test_a_mixture_with_a_network_is_reproduced_in_a_fresh_process_and_serves(
    place: RegistryPlace, tmp_path: Path
) -> None:
    log = WORLDS["contextual"](0).draw(40, 1).log
    decisions = log.decisions
    fitted = [FORMS[f](log, 0) for f in ("small network", "item attributes")]
    policy = Mixture(tuple(fitted), (0.6, 0.4))
    bundle = PolicyBundle(
        policy, decisions.catalog, "clone", "2026-11-12", RUN_KEY, "c" * 64, log.objectives
    )
    save_bundle(bundle, tmp_path / "bundle")
    rows = reproduction_rows(policy, decisions, 100)
    write_reproduction(rows, tmp_path / "rows.parquet")
    content = VersionContent(
        run_key=RUN_KEY,
        night="2026-11-12",
        bundle=tmp_path / "bundle",
        reproduction=tmp_path / "rows.parquet",
        memo="first",
    )
    register_version(place, content, actor="test")
    outcome = install_first_champion(
        place, RUN_KEY, GateSettings(), actor="test", at="2026-11-12T02:00:00+00:00", reason="x"
    )
    assert outcome.status == "promoted"
    assert "reproduced in a fresh process on 100 rows" in outcome.reason
    assert not list(place.folder.rglob("*.pkl"))
    serving = champion(place)
    assert serving is not None
    some = decisions.take(np.arange(5))
    lists = recommend(serving.bundle.policy, some, [str(i) for i in range(5)], k=3, seed=1)
    first = np.exp(policy.log_probabilities(some))
    for i in range(5):
        place_of_top = np.flatnonzero(some.candidates[i] == lists.items[i][0])[0]
        assert lists.propensities[i][0] == pytest.approx(first[some.offsets[i] + place_of_top])
