"""Rows on which a version must give, wherever it is loaded, the probabilities of its evidence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Ragged
from mrlm.policies.contract import Policy
from mrlm.promotion.serving.states import STATES_SCHEMA, lists, states_table

REPRODUCTION_SCHEMA = STATES_SCHEMA.append(pa.field("probabilities", pa.list_(pa.float64())))

# Of a file that lost rows to a person's erasure: the fingerprint that the evidence names.
_ERASED_FROM = b"mrlm.erased_from"


def reproduction_rows(policy: Policy, decisions: Decisions, rows: int) -> pa.Table:
    """Up to ``rows`` decisions, spread evenly over all, with the policy's probabilities.

    Returns:
        A table of ``REPRODUCTION_SCHEMA``.
    """
    spread = np.linspace(0, len(decisions) - 1, min(rows, len(decisions)))
    index = np.unique(spread.astype(np.int64))
    chosen = decisions.take(index)
    probabilities = Ragged(chosen.offsets, np.exp(policy.log_probabilities(chosen)))
    return states_table(chosen).append_column(
        REPRODUCTION_SCHEMA.field("probabilities"), lists(probabilities)
    )


def table_fingerprint(table: pa.Table) -> str:
    """SHA-256 of the rows' content, hexadecimal; file bytes and chunks do not count."""
    digest = hashlib.sha256()
    for row in _known(table).to_pylist():
        digest.update(repr(sorted(row.items())).encode())
    return digest.hexdigest()


def write_reproduction(table: pa.Table, path: Path) -> str:
    """Write the rows as Parquet and return their fingerprint, which the evidence names."""
    pq.write_table(_known(table), path)
    return table_fingerprint(table)


def read_reproduction(path: Path) -> pa.Table:
    """Read what ``write_reproduction`` wrote."""
    table = _known(pq.read_table(path))
    return table.cast(pa.schema([REPRODUCTION_SCHEMA.field(n) for n in table.column_names]))


def _known(table: pa.Table) -> pa.Table:
    """Its columns of the schema: a file of earlier code may lack one, and counts as it was."""
    return table.select([n for n in REPRODUCTION_SCHEMA.names if n in table.column_names])


def fingerprint_as_written(path: Path) -> str:
    """Fingerprint of the rows that ``write_reproduction`` wrote, also once a person's are gone."""
    kept = pq.read_schema(path).metadata or {}
    found = kept.get(_ERASED_FROM)
    return table_fingerprint(read_reproduction(path)) if found is None else found.decode()


def erased_rows(path: Path) -> dict[str, str]:
    """Metadata of a copy of the file that lacks some of its rows."""
    return {_ERASED_FROM.decode(): fingerprint_as_written(path)}


def largest_difference(stored: pa.Table, probabilities: NDArray[np.float64]) -> float:
    """Largest gap to the stored probabilities; infinite where their number or a value is wrong."""
    expected = stored["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if len(expected) != len(probabilities) or not np.isfinite(probabilities).all():
        return float("inf")
    return float(np.abs(expected - probabilities).max(initial=0.0))
