"""EvaluationState as Arrow bytes and back, exactly."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.ope.state.state import BY_USER, SAME, EvaluationState


def to_bytes(state: EvaluationState) -> bytes:
    """An Arrow stream: a row a user, a list column a sum, names and shapes in its metadata."""
    text = state.cluster.dtype.kind not in "iu"
    users = pa.array(state.cluster.astype(object) if text else state.cluster)
    arrays = [getattr(state, name) for name in BY_USER]
    columns = [pa.FixedSizeListArray.from_arrays(a.ravel(), math.prod(a.shape[1:])) for a in arrays]
    meta: dict[str, Any] = {name: getattr(state, name) for name in SAME}
    meta["signs"] = state.signs.tolist()
    meta["shapes"] = {n: a.shape[1:] for n, a in zip(BY_USER, arrays, strict=True)}
    batch = pa.RecordBatch.from_arrays([users, *columns], ["cluster", *BY_USER])
    batch = batch.replace_schema_metadata({"state": json.dumps(meta)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def from_bytes(data: bytes) -> EvaluationState:
    """The inverse of ``to_bytes``."""
    with pa.ipc.open_stream(data) as reader:
        batch = reader.read_next_batch()
        meta = json.loads(reader.schema.metadata[b"state"])
    shapes = meta["shapes"]

    def array(name: str) -> NDArray[Any]:
        flat = batch.column(name).flatten().to_numpy(zero_copy_only=False)
        # Arrow's memory is read-only and its owner may go.
        return np.array(flat).reshape(batch.num_rows, *shapes[name])

    # JSON gives tuples back as lists.
    same = {name: meta[name] for name in SAME}
    same |= {name: tuple(meta[name]) for name in ("objectives", "policies")}
    arrays: dict[str, Any] = {name: array(name) for name in BY_USER}
    return EvaluationState(
        **same,
        signs=np.array(meta["signs"]),
        cluster=np.array(batch.column("cluster").to_numpy(zero_copy_only=False)),
        **arrays,
    )
