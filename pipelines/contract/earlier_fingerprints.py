"""Fingerprints of tables and raw lines as manifests of earlier code state them.

Only to verify what that code stored; nothing of now is given one. Whole tables were sorted first,
and hashed column by column.
"""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contract import fingerprints
from pipelines.contract.checksums import state_of
from pipelines.contract.raw_files import raw_files
from pipelines.failures.errors import DamagedError

# States of outputs that this process found to have the content that their manifests state.
_sound: set[tuple[tuple[int, ...], ...]] = set()


def of_path(path: Path) -> str:
    """What ``fingerprints.of_path`` was; raises what it raises."""
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ".parquet":
        return of_table(pq.read_table(path, partitioning=None))
    # What is no table has the fingerprint that it had.
    return fingerprints.of_path(path)


def damage(folder: Path, stated: dict[str, str], place: str) -> str:
    """What is wrong with the content at a place, naming the file; empty when nothing is.

    Args:
        folder: that ``stated`` is relative to.
        stated: path of an output to the fingerprint of its content.
        place: a file or a folder, relative; empty for all that is stated. What is no output has
            no fingerprint, and only must be there.
    """
    for path, fingerprint in stated.items():
        if place and place != path and not place.startswith(f"{path}/"):
            continue
        files = [p for p in (folder / path, *(folder / path).rglob("*")) if p.is_file()]
        state = tuple(sorted(map(state_of, files)))
        if state not in _sound:
            try:
                found = of_path(folder / path)
            except Exception as error:
                if isinstance(error, OSError) and error.errno not in {None, errno.ENOENT}:
                    raise
                return f"{folder / path} is damaged and cannot be read: {error}"
            if found != fingerprint:
                return f"{folder / path} is damaged: its content is not what was written"
            _sound.add(state)
    return "" if (folder / place).exists() else f"{folder / place} is missing"


def of_table(table: pa.Table) -> str:
    """Fingerprint of the rows of a table, in any order; keys are all columns that can be sorted."""
    table = table.replace_schema_metadata(None).select(sorted(table.column_names))
    keys = [f.name for f in table.schema if not pa.types.is_nested(f.type)]
    if keys and len(table) > 1:
        order = pc.sort_indices(table, sort_keys=[(k, "ascending") for k in keys])
        table = table.take(order)
    digest = hashlib.sha256(str(len(table)).encode())
    for name in table.column_names:
        digest.update(f"\0{name}:{table.schema.field(name).type}\0".encode())
        _update(digest, table[name].combine_chunks())
    return digest.hexdigest()


def of_raw(path: str) -> str:
    """Fingerprint of raw input: a file or a folder, of lines or of Parquet, local or remote.

    Raises:
        FileNotFoundError: there is nothing at the path.
        DamagedError: a file is no whole Parquet file; names it.
    """
    filesystem, files = raw_files(path)
    lines: list[bytes] = []
    for file in (found.path for found in files):
        with filesystem.open_input_file(file) as stream:
            if file.endswith(".parquet"):
                lines.append(of_table(_raw_table(stream, file)).encode())
            else:
                lines.extend(hashlib.sha256(x).digest() for x in stream.read().splitlines())
    return hashlib.sha256(b"".join(sorted(lines))).hexdigest()


def _raw_table(stream: Any, file: str) -> pa.Table:
    try:
        return pq.read_table(stream)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedError(
            f"{file} cannot be read as Parquet ({error}): have it delivered again"
        ) from error


def _of_folder(folder: Path) -> str:
    parts: dict[str, str] = {}
    tables: list[Path] = []
    for child in sorted(folder.iterdir()):
        if child.name.startswith(("_", ".")) or child.suffix in fingerprints.IGNORED_SUFFIXES:
            continue
        if child.suffix == ".parquet" and child.name.startswith("part-"):
            tables.append(child)
        else:
            parts[child.name] = of_path(child)
    if tables:
        read = [pq.read_table(t, partitioning=None) for t in tables]
        parts["rows"] = of_table(pa.concat_tables(read, promote_options="permissive"))
    return fingerprints.of_json(parts)


def _update(digest: Any, array: pa.Array) -> None:
    """Feed the values of an array, without what its buffers hold beside them."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    valid = array.is_valid()
    digest.update(valid.to_numpy(zero_copy_only=False).tobytes())
    kind = array.type
    if pa.types.is_map(kind):
        array = array.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        digest.update(lengths.to_numpy(zero_copy_only=False).tobytes())
        _update(digest, pc.list_flatten(array))
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            _update(digest, pc.struct_field(array, [i]))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = pc.drop_null(array)
        digest.update(pc.binary_length(text).to_numpy(zero_copy_only=False).tobytes())
        digest.update("".join(text.to_pylist()).encode())
    else:
        digest.update(pc.drop_null(array).to_numpy(zero_copy_only=False).tobytes())
