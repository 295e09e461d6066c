"""A night of the log as smaller nights of whole users, where it is too long to be read at once."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from mrlm.bandit_log.stored.user_sample import shares_of_users

# Rows that are decoded at once, with lists of candidates: tens of megabytes.
_ROWS = 1 << 14
# Rows of a part that are kept until they are written, and of all parts together: fewer make files
# of crumbs, which are slow to read, and more take memory.
_GROUP_ROWS, _KEPT_ROWS = 1 << 12, 1 << 18
_FOLDERS = pa.schema([("_part", pa.int32()), ("_table", pa.string())])

# Name to the folder or file of Parquet, with a column "user", and to the columns that are kept, the
# user's among them; None keeps all.
Tables = dict[str, tuple[Path, Sequence[str] | None]]


def parts_of_users(tables: Tables, many: int) -> Iterator[Path]:
    """Folders that hold every row of some tables once, each user's in one of them.

    The tables are gone through once and written again as parts, so time grows with their rows and
    not with rows times parts; for that the temporary folder holds them once more until the last
    part is read. The order of a table's rows stays within each part.

    Args:
        tables: what is divided; a part has a folder of each name, with the rows of its users.
        many: parts; one that no user falls into is left out.
    """
    with tempfile.TemporaryDirectory(prefix="mrlm-parts-") as scratch:
        for name, (place, columns) in tables.items():
            _divide(place, columns, name, many, Path(scratch))
        for part in range(many):
            folder = Path(scratch, str(part))
            if folder.is_dir():
                yield folder


def parts_for(rows: int, most: int | None) -> int:
    """How many parts have about ``most`` rows each; None asks for one."""
    return 1 if most is None else max(math.ceil(rows / most), 1)


def _divide(
    place: Path, columns: Sequence[str] | None, name: str, many: int, scratch: Path
) -> None:
    dataset = pads.dataset(place, partitioning=None)
    kept = [dataset.schema.field(n) for n in columns or dataset.schema.names]
    schema = pa.schema([*kept, *_FOLDERS])

    def placed() -> Iterator[pa.RecordBatch]:
        for batch in dataset.to_batches(
            columns=[f.name for f in kept],
            batch_size=_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
        ):
            share = shares_of_users(batch["user"])
            part = np.minimum(share * many, many - 1).astype(np.int32)
            folders = [pa.array(part), pa.repeat(name, len(batch))]
            yield pa.RecordBatch.from_arrays([*batch.columns, *folders], schema=schema)

    pads.write_dataset(
        placed(),
        scratch,
        schema=schema,
        format="parquet",
        partitioning=pads.partitioning(_FOLDERS),
        # Threads would write rows in any order.
        use_threads=False,
        min_rows_per_group=max(min(_GROUP_ROWS, _KEPT_ROWS // many), 1),
        max_open_files=2 * many,
        existing_data_behavior="overwrite_or_ignore",
    )
