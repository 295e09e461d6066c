"""Workspaces made by hand: manifests, and logs of a few rows where they are read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.stored.schema import bandit_log_schema
from mrlm.evidence.evidence import Evidence
from mrlm.promotion.record.ledger import Entry, Ledger
from pipelines.contract import checksums, fingerprints
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest, Output
from pipelines.contract.workspace import Workspace
from pipelines.settings.model import Settings
from pipelines.stages import stage_named
from tests.evidence.arrays import ITEMS, OBJECTIVES, catalog

EMBEDDING = np.eye(ITEMS, 2, dtype=np.float32)


@dataclass(frozen=True)
class Made:
    """A workspace, and what a test puts into it."""

    root: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    def context(self, night: str, **sections: Any) -> NightContext:
        """A night under small settings; ``sections`` replace theirs."""
        given = {
            "workspace": self.root,
            "inputs": {t: {"path": "x"} for t in ("impressions", "feedback", "items")},
            "state": {"history_objective": "delight"},
            "objectives": [asdict(o) for o in OBJECTIVES],
            **sections,
        }
        return NightContext(night, Settings.model_validate(given), self.workspace)

    def complete(
        self,
        folder: Path,
        stage: str,
        night: str,
        outputs: dict[str, str] | None = None,
        counts: dict[str, Any] | None = None,
        run_key: str = "",
        form: int | None = None,
    ) -> Manifest:
        """The manifest of a stage whose files are in its folder, of its form or another."""
        folder.mkdir(parents=True, exist_ok=True)
        made = Manifest(
            stage=stage,
            night=night,
            run_key=run_key,
            fingerprint="f",
            inputs={},
            settings_fingerprint="s",
            code_version="c",
            outputs={
                n: Output(p, fingerprints.of_path(folder / p)) for n, p in (outputs or {}).items()
            },
            counts=counts or {},
            stopped="",
            seconds=0.0,
            files=checksums.of_files(folder),
            form=stage_named(stage).form if form is None else form,
        )
        made.write(folder)
        return made

    def passed(
        self, night: str, impressions: str = "passed", deliveries: dict[str, Any] | None = None
    ) -> None:
        """A night that was ingested and validated, with what its deliveries are worth."""
        lake = self.workspace.lake_stage
        self.complete(lake(night, "ingest"), "ingest", night, counts={"reopened": []})
        tables = {"impressions": impressions, "feedback": "passed", "items": "passed"}
        counts = {"tables": tables, "deliveries": deliveries or {}}
        self.complete(lake(night, "validate"), "validate", night, counts=counts)

    def built(
        self,
        builder: str,
        logs: dict[str, BanditLog],
        final: tuple[str, ...] | None = None,
        form: int | None = None,
        lost: int = 0,
        meaning: str | None = None,
    ) -> Manifest:
        """The logs that a night built, with the nights whose north star they make final.

        ``lost`` of each event on each night; ``meaning`` of the settings, None: it was not kept.
        """
        folder = self.workspace.lake_stage(builder, "build_log")
        outputs = {f"night={night}": f"night={night}" for night in logs}
        for night, log in logs.items():
            place = folder / f"night={night}"
            place.mkdir(parents=True)
            pq.write_table(log_table(log), place / "part-0.parquet")
        names = [o.name for o in OBJECTIVES if o.source == "feedback"]
        counts = {n: dict.fromkeys(names, final is None or n in final) for n in logs}
        nights = {
            n: {"lost": dict.fromkeys(names, lost), "decisions": len(log)}
            for n, log in logs.items()
        }
        made: dict[str, Any] = {"final": counts, "nights": nights}
        if meaning is not None:
            made["meaning"] = meaning
        return self.complete(folder, "build_log", builder, outputs, made, form=form)

    def embedded(self, night: str, embedding: np.ndarray = EMBEDDING) -> None:
        """The night's catalogue with its vectors."""
        folder = self.workspace.lake_stage(night, "embed")
        folder.mkdir(parents=True)
        pq.write_table(catalog().to_table(), folder / "catalog.parquet")
        save_file({"embedding": embedding}, folder / "embedding.safetensors")
        outputs = {"catalog": "catalog.parquet", "embedding": "embedding.safetensors"}
        self.complete(folder, "embed", night, outputs)

    def night(self, night: str, log: BanditLog) -> None:
        """A night that passed, and built and embedded its own log."""
        self.passed(night)
        self.built(night, {night: log})
        self.embedded(night)

    def evaluated(self, evidence: Evidence) -> None:
        """The run's evidence, as its stage writes it."""
        folder = self.workspace.run_stage(evidence.run_key, "evaluate")
        folder.mkdir(parents=True)
        (folder / "evidence.json").write_text(json.dumps(evidence.to_json()))
        outputs = {"evidence": "evidence.json"}
        self.complete(folder, "evaluate", evidence.night, outputs, run_key=evidence.run_key)

    def record(self, *entries: Entry) -> tuple[Entry, ...]:
        """Append to the ledger's file; its mark is the registry's matter."""
        ledger = Ledger(self.workspace.registry / "ledger.jsonl")
        for entry in entries:
            ledger.append(entry)
        return ledger.entries()


def entry(kind: Any, run_key: str, version: int | None, **more: Any) -> Entry:
    """An entry of the ledger by whoever runs the tests."""
    return Entry(kind, run_key, version, "test", "2026-11-20T00:00:00+00:00", "", **more)


def log_table(log: BanditLog) -> pa.Table:
    """The log in its Parquet form."""
    items, decisions = log.decisions.catalog.item_id, log.decisions

    def texts(ragged: Any) -> list[list[str]]:
        return [[str(items[c]) for c in ragged[i]] for i in range(len(log))]

    offsets, chance = decisions.offsets, log.candidate_propensity
    own = [chance[offsets[i] : offsets[i + 1]] for i in range(len(log))]
    columns: dict[str, Any] = {
        "decision_id": log.decision_id,
        "request_id": [d.split("#")[0] for d in log.decision_id],
        "night": log.night,
        "ts": pa.array(decisions.ts).cast(pa.timestamp("us", tz="UTC")),
        "user": decisions.user,
        "session": log.session,
        "session_step": log.session_step,
        "scene": decisions.scene,
        "position": decisions.position,
        "item_id": items[decisions.candidates.values[log.shown]],
        "action": log.action.astype(np.int32),
        "propensity": pa.array(log.propensity, from_pandas=True),
        "candidates": texts(decisions.candidates),
        "candidate_propensities": [None if np.isnan(p).any() else p.tolist() for p in own],
        "propensity_kind": ["conditional"] * len(log),
        "policy_id": log.policy_id,
        "above": texts(decisions.above),
    }
    for j, objective in enumerate(log.objectives):
        if objective.source == "feedback":
            columns[f"reward_{objective.name}"] = pa.array(log.rewards[:, j], from_pandas=True)
            columns[f"final_{objective.name}"] = log.final[:, j]
            columns[f"unknown_{objective.name}"] = log.unknown[:, j]
            columns[f"lost_{objective.name}"] = log.lost[:, j].astype(np.int32)
    schema = bandit_log_schema(log.objectives)
    return pa.table({n: pa.array(c, schema.field(n).type) for n, c in columns.items()})
