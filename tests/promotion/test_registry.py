"""Registration, promotion, rollback and verification against a real MLflow store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.embeddings.stored_catalog import save_catalog
from mrlm.evidence.evidence import Evidence
from mrlm.metrics.curves import Curves
from mrlm.policies.loggers.item_softmax import ItemSoftmax
from mrlm.policies.uniform import Uniform
from mrlm.promotion.judgement.recording import judge_and_record
from mrlm.promotion.judgement.review import record_decision
from mrlm.promotion.moves import promote as promotion
from mrlm.promotion.moves.promote import MoveOutcome, install_first_champion, promote
from mrlm.promotion.moves.rollback import rollback
from mrlm.promotion.moves.verify import restore, verify
from mrlm.promotion.record.ledger import Ledger, LedgerError
from mrlm.promotion.registry import registration
from mrlm.promotion.registry import versions as registry
from mrlm.promotion.registry.alias_state import AliasMovedError
from mrlm.promotion.registry.champion import champion
from mrlm.promotion.registry.place import RegistryBusyError, RegistryPlace
from mrlm.promotion.registry.registration import VersionContent, register_version
from mrlm.promotion.registry.version_files import version_evidence, version_folder
from mrlm.promotion.registry.versions import RegisteredVersion, find_version
from mrlm.promotion.reproduction import fresh_process
from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
from mrlm.promotion.settings import GateSettings

AT = "2026-11-20T02:00:00+00:00"
FIRST = "2026-11-12/first"
NIGHT = "2026-11-20/abc"
Content = Callable[..., VersionContent]
Register = Callable[..., RegisteredVersion]
Make = Callable[..., Evidence]
MakeSoftmax = Callable[[float], ItemSoftmax]


class KilledError(BaseException):
    """Stands for kill -9: nothing catches it."""


def _judge(place: RegistryPlace, version: RegisteredVersion, found: Evidence) -> bool:
    stored = version_evidence(version_folder(place, version.version))
    assert stored is not None
    assert replace(stored, reproduction="") == found
    return judge_and_record(
        place.ledger, stored, GateSettings(), version=version.version, actor="gate", at=AT
    ).promote


def _promote(place: RegistryPlace, key: str = NIGHT, **settings: str) -> MoveOutcome:
    return promote(place, key, GateSettings.model_validate(settings), actor="policy", at=AT)


# The whole way, with real processes.


def test_a_night_from_registration_to_served_lists(
    place: RegistryPlace,
    register: Register,
    evidence: Make,
    softmax: MakeSoftmax,
    decisions: Decisions,
    rule: GateSettings,
) -> None:
    register(Uniform(), run_key=FIRST)
    install_first_champion(place, FIRST, rule, actor="setup", at=AT, reason="clone")
    version = register(softmax(0.5), evidence())
    assert _judge(place, version, evidence())
    outcome = _promote(place)
    assert outcome.status == "promoted"
    assert "reproduced in a fresh process on 200 rows" in outcome.reason
    assert registry.aliases(place) == {"champion": 2, "challenger": 2, "previous_champion": 1}
    assert verify(place) == ()
    serving = champion(place)
    assert serving is not None
    assert serving.version == 2
    assert np.array_equal(
        serving.bundle.policy.log_probabilities(decisions),
        softmax(0.5).log_probabilities(decisions),
    )
    assert not [*place.folder.rglob("*.pkl"), *place.folder.rglob("*.pickle")]
    _served_elsewhere(place, decisions.catalog)


def _served_elsewhere(place: RegistryPlace, catalog: Catalog) -> None:
    """Load by alias in a process that has only MLflow's paths, and ask it twice.

    Then ask it over the items of a later night.
    """
    code = """
import sys, json, mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/recommender@champion")
frame = pd.DataFrame({"request_id": ["a", "b"], "user": ["u", "v"],
                      "candidates": [["i01", "i02", "i03"], ["i05", "i11"]]})
one = model.predict(frame, params={"k": 2, "seed": 4})
two = model.predict(frame, params={"k": 2, "seed": 4})
assert one.to_dict("records") == two.to_dict("records")
try:
    model.predict(frame, params={"k": "many"})
    raise SystemExit("a wrong parameter was taken")
except mlflow.exceptions.MlflowException:
    pass
newer = mlflow.pyfunc.load_model(
    "models:/recommender@champion", model_config={"catalog": sys.argv[2]}
)
frame.at[1, "candidates"] = ["just out"]
new = newer.predict(frame, params={"k": 2, "seed": 4})
old = model.predict(frame, params={"k": 2, "seed": 4})
import mrlm
print(json.dumps({"rows": one.to_dict("records"), "code": mrlm.__file__,
                  "new": new["items"][1], "dropped": old["dropped"][1]}))
"""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    items = place.folder.parent / "newer"
    items.mkdir()
    rows = [*catalog.to_table().to_pylist(), {"item_id": "just out", "text": "just out"}]
    save_catalog(Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA)), items)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, place.uri, str(items)],
        env=environment,
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["code"].startswith(str(place.folder)), "the version brings its own code"
    assert found["new"] == found["dropped"] == ["just out"]
    for row, offered in zip(found["rows"], ({"i01", "i02", "i03"}, {"i05", "i11"}), strict=True):
        assert set(row["items"]) <= offered
        assert len(row["items"]) == len(row["propensities"]) == 2
        assert all(0 < p <= 1 for p in row["propensities"])
    assert found["rows"][1]["propensities"][1] == pytest.approx(1.0)


def test_a_version_that_gives_other_probabilities_is_refused(
    place: RegistryPlace,
    content: Content,
    evidence: Make,
    softmax: MakeSoftmax,
    decisions: Decisions,
    rule: GateSettings,
    first: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promotion, "check_reproduction", fresh_process.check_reproduction)
    made = content(softmax(0.5), evidence())
    rows = reproduction_rows(softmax(0.50001), decisions, 200)
    found = replace(evidence(), reproduction=write_reproduction(rows, made.reproduction))
    version = register_version(place, replace(made, evidence=found), actor="test")
    judge_and_record(place.ledger, found, rule, version=version.version, actor="gate", at=AT)
    outcome = _promote(place)
    assert outcome.status == "refused"
    assert "probabilities differ by up to" in outcome.reason
    assert registry.aliases(place)["champion"] == 1


# Registration.


def test_registering_again_makes_no_second_version(
    place: RegistryPlace, content: Content, evidence: Make, softmax: MakeSoftmax
) -> None:
    made = content(softmax(0.5), evidence())
    one = register_version(place, made, actor="test")
    two = register_version(place, made, actor="test")
    assert (one.version, one.created) == (1, True)
    assert (two.version, two.created) == (1, False)
    assert two.tags == one.tags
    assert two.tags["mrlm.compared_with"] == "1"
    assert len(registry.all_versions(place)) == 1


@pytest.mark.parametrize("step", ["log_evidence", "log_served_model", "after the model"])
def test_a_registration_killed_at_any_step_leads_to_one_version(
    place: RegistryPlace,
    content: Content,
    evidence: Make,
    softmax: MakeSoftmax,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    made = content(softmax(0.5), evidence())
    with monkeypatch.context() as patch:
        if step == "after the model":
            original = registration.log_served_model

            def log_and_die(*a: object) -> object:
                original(*a)  # type: ignore[arg-type]
                raise KilledError

            patch.setattr(registration, "log_served_model", log_and_die)
        else:
            patch.setattr(registration, step, _die)
        with pytest.raises(KilledError):
            register_version(place, made, actor="test")
    import mlflow

    mlflow.end_run()
    assert registry.all_versions(place) == ()
    version = register_version(place, made, actor="test")
    assert version.version == 1
    client = place.client()
    experiment = client.get_experiment_by_name("nightly").experiment_id
    assert [r.info.run_id for r in client.search_runs([experiment])] == [version.run_id]
    assert len(client.search_logged_models([experiment])) == 1


def _die(*_: object, **__: object) -> None:
    raise KilledError


def test_a_version_carries_memo_data_and_pages(
    place: RegistryPlace, content: Content, evidence: Make, softmax: MakeSoftmax, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<p>page</p>")
    found = evidence()
    # As of nights that several loggers wrote.
    by_logger = {**found.differences, "dr (stratified)": found.differences["dr"]}
    found = replace(found, differences=by_logger)
    made = replace(content(softmax(0.5), found), pages=pages, tags={"gate": "pending"})
    points = [(step, 1.0 / step) for step in range(1, 1101)]
    made = replace(made, curves=Curves({"reward_model/0/loss": points}))
    version = register_version(place, made, actor="test")
    registry.annotate_version(place, version.version, memo="x" * 9000, tags={"gate": "promote"})
    client = place.client()
    stored = client.get_model_version(place.model, "1")
    assert len(stored.description) <= 5000
    assert stored.tags["mrlm.gate"] == "promote"
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["difference/dr/delight"] == pytest.approx(0.1)
    assert run.data.metrics["difference/dr stratified/delight"] == pytest.approx(0.1)
    logged = client.get_metric_history(version.run_id, "curve/reward_model/0/loss")
    assert sorted((m.step, m.value) for m in logged) == points
    assert run.inputs.dataset_inputs[0].dataset.name == "bandit_log"
    files = {f.path for f in client.list_artifacts(version.run_id, "report")}
    assert files == {"report/index.html", "report/evidence.json"}
    assert str(place.folder / "artifacts") in client.get_run(version.run_id).info.artifact_uri


def test_a_named_store_is_fetched_from(place: RegistryPlace, first: None) -> None:
    named = RegistryPlace(place.folder, tracking_uri=place.uri)
    for _ in range(2):
        found = champion(named)
        assert found is not None
        assert found.bundle.policy == Uniform()
        assert found.folder == place.folder / "fetched" / "1"


def test_what_serves_is_what_was_decided_and_not_where_somebody_put_the_alias(
    place: RegistryPlace, judged: None
) -> None:
    place.client().set_registered_model_alias(place.model, "champion", "2")
    found = champion(place)
    assert found is not None
    assert found.version == 1


def test_wrong_keys_and_folders_are_explained(
    place: RegistryPlace, content: Content, evidence: Make
) -> None:
    made = content(Uniform(), evidence())
    with pytest.raises(ValueError, match="use letters, digits"):
        register_version(place, replace(made, run_key="it's"), actor="test")
    with pytest.raises(ValueError, match="is given the evidence of"):
        register_version(place, replace(made, run_key="2026-11-21/abc"), actor="test")
    with pytest.raises(ValueError, match="absolute"):
        RegistryPlace(Path("workspace/registry"))


def test_the_lock_says_who_holds_it(place: RegistryPlace) -> None:
    with (
        place.locked("night 2026-11-20"),
        pytest.raises(RegistryBusyError, match="2026-11-20"),
        place.locked("somebody else", seconds=0.05),
    ):
        pass
    with place.locked("somebody else", seconds=0.05):
        pass


# Promotion.


def test_promotion_happens_once(place: RegistryPlace, judged: None) -> None:
    assert _promote(place).status == "promoted"
    again = _promote(place)
    assert (again.status, again.champion) == ("promoted", 2)
    assert [e.kind for e in place.ledger.entries()] == ["initial", "judged", "promoted"]
    assert place.ledger.entries()[-1].champion_version == 1


def test_nothing_is_promoted_without_a_judgement(
    place: RegistryPlace, first: None, register: Register, evidence: Make, softmax: MakeSoftmax
) -> None:
    register(softmax(0.5), evidence())
    for _ in range(2):
        outcome = _promote(place)
        assert outcome.status == "refused"
        assert "run the gate first" in outcome.reason
    assert [e.kind for e in place.ledger.entries()] == ["initial", "refused"]
    assert registry.aliases(place)["champion"] == 1
    with pytest.raises(ValueError, match="no registered version has the run key"):
        _promote(place, "2026-11-30/none")


def test_a_refusal_of_the_gate_is_not_promoted(
    place: RegistryPlace, first: None, register: Register, evidence: Make, softmax: MakeSoftmax
) -> None:
    found = evidence(lift=0.001)
    assert not _judge(place, register(softmax(0.5), found), found)
    outcome = _promote(place)
    assert outcome.status == "refused"
    assert "the gate refused it: delight" in outcome.reason
    memo = find_version(place, NIGHT).description
    record_decision(place, NIGHT, approve=False, actor="bob", at=AT, reason="")
    for _ in range(2):
        record_decision(place, NIGHT, approve=True, actor="ada", at=AT, reason="**launch**\n`day`")
    shown = find_version(place, NIGHT)
    said = f"approved by `ada`, {AT}: `**launch** 'day'`"
    more = ". The gate had not promoted it; why is below."
    assert shown.description == f"**Decision:** {said}{more}\n\n{memo}"
    assert shown.tags["mrlm.decision"] == "approved by ada"
    assert _promote(place).status == "promoted"
    assert "approved by ada" in place.ledger.entries()[-1].reason


def test_a_version_that_is_the_champions_policy_changes_nothing(
    place: RegistryPlace, first: None, register: Register, evidence: Make, softmax: MakeSoftmax
) -> None:
    """Nobody refused it, so the ledger says nothing after the judgement; a person may take it."""
    found = replace(evidence(gate_nights=()), stays="no direction is significant")
    assert not _judge(place, register(softmax(0.5), found), found)
    outcome = _promote(place)
    assert (outcome.status, outcome.champion) == ("unchanged", 1)
    assert outcome.reason.startswith("nothing was tested")
    assert [e.kind for e in place.ledger.entries()] == ["initial", "judged"]
    record_decision(place, NIGHT, approve=True, actor="ada", at=AT, reason="its catalogue")
    assert _promote(place).status == "promoted"


def test_the_champion_must_be_the_one_the_evidence_names(
    place: RegistryPlace,
    judged: None,
    register: Register,
    evidence: Make,
    softmax: MakeSoftmax,
) -> None:
    later = evidence("2026-11-21/abc", gate_nights=("2026-11-20",))
    assert _judge(place, register(softmax(0.7), later), later)
    assert _promote(place).status == "promoted"
    outcome = _promote(place, "2026-11-21/abc")
    assert outcome.status == "refused"
    assert "champion version 1, and the champion is version 2" in outcome.reason


def test_a_person_decides_where_the_settings_say_so(place: RegistryPlace, judged: None) -> None:
    assert _promote(place, promotion="person").status == "waiting"
    with pytest.raises(ValueError, match="needs a person's name"):
        record_decision(place, NIGHT, approve=True, actor="Anonymous", at=AT, reason="")
    with pytest.raises(ValueError, match="has not been judged"):
        record_decision(place, FIRST, approve=True, actor="ada", at=AT, reason="")
    for _ in range(2):
        record_decision(place, NIGHT, approve=False, actor="ada", at=AT, reason="holiday")
    assert "rejected by ada: holiday" in _promote(place, promotion="person").reason
    record_decision(place, NIGHT, approve=True, actor="ada", at=AT, reason="looks good")
    assert _promote(place, promotion="person").status == "promoted"
    kinds = [e.kind for e in place.ledger.entries()]
    assert kinds == ["initial", "judged", "rejected", "refused", "approved", "promoted"]


def test_other_evidence_than_the_judged_one_is_refused(
    place: RegistryPlace, first: None, register: Register, evidence: Make, softmax: MakeSoftmax
) -> None:
    register(softmax(0.5), evidence())
    judge_and_record(
        place.ledger, evidence(lift=0.2), GateSettings(), version=2, actor="gate", at=AT
    )
    assert "is not the one that was judged" in _promote(place).reason


@pytest.mark.parametrize(
    "killed_at", ["append", "previous_champion", "champion", "mark", "after everything"]
)
def test_a_promotion_killed_at_any_step_is_finished_by_the_same_call(
    place: RegistryPlace,
    judged: None,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: str,
) -> None:
    from mrlm.promotion.registry import alias_state

    with monkeypatch.context() as patch:
        if killed_at == "append":
            patch.setattr(Ledger, "append", _die)
        elif killed_at == "mark":
            patch.setattr(alias_state, "annotate_version", _die)
        elif killed_at == "after everything":
            patch.setattr(Ledger, "mark_moved", _die)
        else:
            original = alias_state.set_alias

            def set_or_die(where: RegistryPlace, alias: str, version: int | None) -> None:
                if alias == killed_at:
                    raise KilledError
                original(where, alias, version)

            patch.setattr(alias_state, "set_alias", set_or_die)
        with pytest.raises(KilledError):
            _promote(place)
    half = verify(place)
    assert bool(half) == (killed_at in ("previous_champion", "champion"))
    assert all("a killed call left it" in problem for problem in half)
    assert registry.aliases(place)["champion"] in (1, 2)
    assert _promote(place).status == "promoted"
    assert registry.aliases(place) == {"champion": 2, "challenger": 2, "previous_champion": 1}
    assert [e.kind for e in place.ledger.entries()] == ["initial", "judged", "promoted"]
    assert verify(place) == ()


def test_a_half_done_promotion_is_finished_before_another_is_looked_at(
    place: RegistryPlace,
    judged: None,
    register: Register,
    evidence: Make,
    softmax: MakeSoftmax,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = evidence("2026-11-21/abc", gate_nights=("2026-11-20",))
    assert _judge(place, register(softmax(0.7), later), later)
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "settle", _settle_once_then_die())
        with pytest.raises(KilledError):
            _promote(place)
    assert registry.aliases(place)["champion"] == 1
    assert _promote(place, "2026-11-21/abc").status == "refused"
    assert registry.aliases(place)["champion"] == 2


def _settle_once_then_die() -> Callable[..., bool]:
    calls = []

    def settle(*_: object) -> bool:
        calls.append(1)
        if len(calls) > 1:
            raise KilledError
        return False

    return settle


# Rollback and verification.


def test_rollback_goes_back_and_stays_back(place: RegistryPlace, judged: None) -> None:
    _promote(place)
    outcome = rollback(place, GateSettings(), actor="ada", at=AT, reason="complaints")
    assert (outcome.status, outcome.champion) == ("rolled_back", 1)
    assert registry.aliases(place) == {"champion": 1, "challenger": 2}
    assert verify(place) == ()
    refused = _promote(place)
    assert refused.status == "refused"
    assert "rolled back" in refused.reason
    with pytest.raises(ValueError, match="nothing to roll back to"):
        rollback(place, GateSettings(), actor="ada", at=AT, reason="again")
    record_decision(place, NIGHT, approve=True, actor="ada", at=AT, reason="fixed")
    assert _promote(place).status == "promoted"
    assert registry.aliases(place)["champion"] == 2


def test_a_killed_rollback_is_finished_and_not_done_twice(
    place: RegistryPlace, judged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mrlm.promotion.registry import alias_state

    _promote(place)
    with monkeypatch.context() as patch:
        patch.setattr(alias_state, "set_alias", _die)
        with pytest.raises(KilledError):
            rollback(place, GateSettings(), actor="ada", at=AT, reason="complaints")
    assert registry.aliases(place)["champion"] == 2
    assert rollback(place, GateSettings(), actor="ada", at=AT, reason="complaints").champion == 1
    kinds = [e.kind for e in place.ledger.entries()]
    assert kinds == ["initial", "judged", "promoted", "rolled_back"]
    assert verify(place) == ()


def test_an_alias_moved_by_hand_is_found_stops_promotion_and_is_put_back(
    place: RegistryPlace, judged: None
) -> None:
    place.client().set_registered_model_alias(place.model, "champion", "2")
    assert "alias champion is on version 2, the ledger says 1: moved outside" in verify(place)[0]
    with pytest.raises(AliasMovedError, match="moved outside the ledger"):
        _promote(place)
    with pytest.raises(AliasMovedError):
        rollback(place, GateSettings(), actor="ada", at=AT, reason="help")
    assert restore(place, actor="ada") == ()
    assert registry.aliases(place)["champion"] == 1
    assert _promote(place).status == "promoted"


def test_a_tampered_ledger_promotes_nothing(place: RegistryPlace, judged: None) -> None:
    path = place.ledger.path
    path.write_text(path.read_text().replace('"promote"', '"refuse"'))
    assert "the chain is broken" in verify(place)[0]
    with pytest.raises(LedgerError):
        _promote(place)


def test_a_ledger_whose_end_was_cut_off_is_found(place: RegistryPlace, judged: None) -> None:
    _promote(place)
    lines = place.ledger.path.read_bytes().splitlines(keepends=True)
    place.ledger.path.write_bytes(b"".join(lines[:2]))
    assert "its end was cut off" in verify(place)[0]
    with pytest.raises(LedgerError, match="its end was cut off"):
        restore(place, actor="ada")


def test_versions_that_are_gone_or_double_are_found(
    place: RegistryPlace, judged: None, register: Register
) -> None:
    client = place.client()
    client.set_model_version_tag(place.model, "1", registry.RUN_KEY, NIGHT)
    assert any(f"run key {NIGHT} has 2 versions" in p for p in verify(place))
    client.delete_model_version(place.model, "2")
    assert any("version 2 is in the ledger and not in the registry" in p for p in verify(place))


def test_a_version_is_there_until_somebody_deletes_it(place: RegistryPlace, judged: None) -> None:
    assert [registry.has_version(place, v) for v in (1, 2, 3)] == [True, True, False]
    place.client().delete_model_version(place.model, "2")
    assert not registry.has_version(place, 2)


def test_there_is_one_first_champion(
    place: RegistryPlace, first: None, register: Register, rule: GateSettings, softmax: MakeSoftmax
) -> None:
    again = install_first_champion(place, FIRST, rule, actor="setup", at=AT, reason="clone")
    assert (again.status, again.champion) == ("promoted", 1)
    register(softmax(0.1), run_key="2026-11-13/second")
    other = install_first_champion(
        place, "2026-11-13/second", rule, actor="setup", at=AT, reason="clone"
    )
    assert other.status == "refused"
    assert [e.kind for e in place.ledger.entries()] == ["initial"]


def test_a_registry_without_champion_has_none(place: RegistryPlace, tmp_path: Path) -> None:
    nowhere = RegistryPlace(tmp_path / "nowhere")
    for empty in (place, nowhere):
        assert champion(empty) is None
        assert verify(empty) == ()
    assert not nowhere.folder.exists()


def test_importing_promotion_brings_no_heavy_package() -> None:
    code = (
        "import sys, mrlm.promotion.moves.promote, mrlm.promotion.moves.rollback, "
        "mrlm.promotion.moves.verify, "
        "mrlm.promotion.registry.champion, mrlm.promotion.serving.answer, mrlm.report.review_page; "
        "heavy = {'mlflow', 'torch', 'pandas', 'matplotlib', 'transformers'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
