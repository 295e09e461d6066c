"""A tiny catalogue, hand-made evidence, and registries that start from one migrated store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mrlm.bandit_log import Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.policies.contract import Policy
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.uniform import Uniform
from mrlm.promotion.judgement.recording import judge_and_record
from mrlm.promotion.moves import promote as promotion
from mrlm.promotion.moves import rollback as going_back
from mrlm.promotion.moves.promote import install_first_champion, promote
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.registration import VersionContent, register_version
from mrlm.promotion.registry.versions import RegisteredVersion
from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
from mrlm.promotion.settings import GateSettings
from tests.promotion.copies import copy_registry
from tests.promotion.crashes import Registry

AT = "2026-11-20T02:00:00+00:00"
FIRST = "2026-11-12/first"
ITEMS = 12


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    import pyarrow as pa

    rows = [
        {
            "item_id": f"i{c:02d}",
            "text": f"item {c}",
            "categories": ["even" if c % 2 == 0 else "odd"],
            "provider": "p",
            "attributes": [("popularity", float(c + 1))],
        }
        for c in range(ITEMS)
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


@pytest.fixture(scope="session")
def decisions(catalog: Catalog) -> Decisions:
    """300 decisions; two thirds at the top of their list, the others below one item."""
    rng = np.random.default_rng(5)
    n = 300
    sets = [rng.permutation(ITEMS)[: rng.integers(2, 8)] for _ in range(n)]
    above = [[] if i % 3 else [int(s[0])] for i, s in enumerate(sets)]
    candidates = [list(s) if i % 3 else list(s[1:]) for i, s in enumerate(sets)]
    history = [list(rng.integers(0, ITEMS, rng.integers(0, 4))) for _ in range(n)]
    values = np.concatenate([rng.choice([0.0, 1.0, np.nan], len(h)) for h in history])
    seen = Ragged.from_rows(history, np.int32)
    return Decisions(
        catalog=catalog,
        user=np.array([f"u{i % 40}" for i in range(n)], dtype=object),
        scene=np.array(["home"] * n, dtype=object),
        position=np.array([2 if a else 1 for a in above], np.int32),
        ts=np.datetime64("2026-11-19T10:00:00", "us") + np.arange(n).astype("timedelta64[s]"),
        candidates=Ragged.from_rows(candidates, np.int32),
        histories=Histories.of_lists(seen, values.astype(np.float32)),
        since=seen.offsets[:-1],
        until=seen.offsets[1:],
        request=np.zeros(n, np.int64),
        above=Ragged.from_rows(above, np.int32),
    )


def _softmax(coefficient: float) -> ItemSoftmax:
    return ItemSoftmax((Term("popularity", False, 6.0, 3.0, coefficient),), floor=0.1)


def _estimate(
    value: float, error: float = 0.01, df: float = 200.0, *, certified: bool = True
) -> PolicyEstimate:
    return PolicyEstimate(
        value=value,
        standard_error=error,
        degrees_of_freedom=df,
        lower=value - 2 * error,
        upper=value + 2 * error,
        certified=certified,
        reasons=() if certified else ("effective sample size 12 of 900 rows (at least 200)",),
        rows_needed=None if certified else 15000,
    )


def _evidence(
    run_key: str = "2026-11-20/abc",
    champion_version: int | None = 1,
    lift: float = 0.1,
    error: float = 0.01,
    gate_nights: tuple[str, ...] = ("2026-11-19",),
    guard: float = 0.0,
) -> Evidence:
    """Evidence with a north star ``delight`` and a guardrail ``like`` of margin 0.02."""
    policies = {
        name: {"dr": {"delight": _estimate(v), "like": _estimate(v)}}
        for name, v in (("challenger", 0.3 + lift), ("champion", 0.3), ("uniform", 0.2))
    }
    if champion_version is None:
        del policies["champion"]
    return Evidence(
        run_key=run_key,
        night=run_key.split("/")[0],
        settings_fingerprint="f" * 64,
        code_version="c" * 64,
        champion_version=champion_version,
        north_star="delight",
        fit_nights=("2026-11-15", "2026-11-16"),
        tune_nights=("2026-11-17", "2026-11-18"),
        gate_nights=gate_nights,
        rows=900,
        users=201,
        data={"bandit_log": "d" * 64},
        policies=policies,
        differences={"dr": {"delight": _estimate(lift, error), "like": _estimate(guard, error)}},
        diagnostics={"challenger": {"effective_sample_size": 700.0}},
        weights={"delight": 0.7, "like": 0.3},
        guardrails={"like": 0.02},
    )


@pytest.fixture(scope="session")
def softmax() -> Callable[[float], ItemSoftmax]:
    return _softmax


@pytest.fixture(scope="session")
def estimate() -> Callable[..., PolicyEstimate]:
    return _estimate


@pytest.fixture(scope="session")
def evidence() -> Callable[..., Evidence]:
    return _evidence


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store: making one takes seconds, copying it none."""
    folder = tmp_path_factory.mktemp("template")
    place = RegistryPlace(folder / "registry")
    place.client().search_experiments()
    return place.folder / "mlflow.db"


def _build_content(
    folder: Path,
    decisions: Decisions,
    policy: Policy,
    found: Evidence | None = None,
    run_key: str = "",
) -> VersionContent:
    """Content of a version, from a policy and, unless it is the first, its evidence."""
    key = found.run_key if found is not None else run_key
    folder, night = folder / key.replace("/", "_"), key.split("/")[0]
    objectives = (Objective("delight", "feedback", "north_star", event="delight"),)
    if not folder.exists():
        bundle = PolicyBundle(
            policy, decisions.catalog, "recommender", night, key, "c" * 64, objectives
        )
        save_bundle(bundle, folder / "bundle")
    rows = write_reproduction(reproduction_rows(policy, decisions, 200), folder / "rows.parquet")
    return VersionContent(
        run_key=key,
        night=night,
        bundle=folder / "bundle",
        reproduction=folder / "rows.parquet",
        memo=f"## Night {night}",
        evidence=None if found is None else replace(found, reproduction=rows),
    )


@pytest.fixture(scope="session")
def templates(
    tmp_path_factory: pytest.TempPathFactory, migrated_store: Path, decisions: Decisions
) -> dict[str, Path]:
    """Folders of registries to start from, made once: empty, first (champion 1), judged (and 2)."""
    root = tmp_path_factory.mktemp("registries")
    empty = root / "empty" / "registry"
    empty.mkdir(parents=True)
    shutil.copyfile(migrated_store, empty / "mlflow.db")
    first = RegistryPlace(copy_registry(empty, root / "first" / "registry"))
    contents = root / "content"
    register_version(
        first, _build_content(contents, decisions, Uniform(), run_key=FIRST), actor="test"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "check_reproduction", lambda *_: "reproduced")
        install_first_champion(first, FIRST, GateSettings(), actor="setup", at=AT, reason="clone")
    judged = RegistryPlace(copy_registry(first.folder, root / "judged" / "registry"))
    made = _build_content(contents, decisions, _softmax(0.5), _evidence())
    register_version(judged, made, actor="test")
    assert made.evidence is not None
    assert judge_and_record(
        judged.ledger, made.evidence, GateSettings(), version=2, actor="gate", at=AT
    ).promote
    return {"empty": empty, "first": first.folder, "judged": judged.folder}


@pytest.fixture(scope="session")
def champions(
    tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Path], decisions: Decisions
) -> Registry:
    """Versions 1, 2 and 3 were champion in turn; 4 and 5 are judged fit to follow 3."""
    root = tmp_path_factory.mktemp("champions")
    made = Registry(root)
    copy_registry(templates["judged"], made.folder)
    made.write_settings()
    place = RegistryPlace(made.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "check_reproduction", lambda *_: "reproduced")
        assert promote(place, "2026-11-20/abc", GateSettings(), actor="rule", at=AT).champion == 2
        for night, champion in ((21, 2), (22, 3), (23, 3)):
            key = f"2026-11-{night}/abc"
            found = _evidence(key, champion, gate_nights=(f"2026-11-{night - 1}",))
            content = _build_content(root / "content", decisions, _softmax(0.5), found)
            version = register_version(place, content, actor="test").version
            assert content.evidence is not None
            verdict = judge_and_record(
                place.ledger,
                content.evidence,
                GateSettings(),
                version=version,
                actor="rule",
                at=AT,
            )
            assert verdict.promote
            if champion == 2:
                assert promote(place, key, GateSettings(), actor="rule", at=AT).champion == 3
    return made


@pytest.fixture
def place(tmp_path: Path, migrated_store: Path) -> RegistryPlace:
    """An empty registry."""
    made = RegistryPlace(tmp_path / "registry")
    made.folder.mkdir()
    shutil.copyfile(migrated_store, made.folder / "mlflow.db")
    return made


@pytest.fixture
def first(
    place: RegistryPlace, templates: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``place`` with version 1, uniform, as champion; loading in a fresh process is spared."""
    for module in (promotion, going_back):
        monkeypatch.setattr(module, "check_reproduction", lambda *_: "reproduced")
    copy_registry(templates["first"], place.folder)


@pytest.fixture
def judged(place: RegistryPlace, first: None, templates: dict[str, Path]) -> None:
    """The same with version 2, registered and judged fit for promotion."""
    copy_registry(templates["judged"], place.folder)


@pytest.fixture
def content(tmp_path: Path, decisions: Decisions) -> Callable[..., VersionContent]:
    return partial(_build_content, tmp_path / "content", decisions)


@pytest.fixture
def register(
    place: RegistryPlace, content: Callable[..., VersionContent]
) -> Callable[..., RegisteredVersion]:
    def build(
        policy: Policy, found: Evidence | None = None, run_key: str = ""
    ) -> RegisteredVersion:
        return register_version(place, content(policy, found, run_key), actor="test")

    return build


@pytest.fixture
def rule() -> GateSettings:
    return GateSettings()
