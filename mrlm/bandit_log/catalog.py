"""The items that can be shown: identifiers, attributes, categories, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged

# A request asks for few items: of less than one in so many, each is looked up by itself.
_FEW = 16
ITEMS_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("categories", pa.list_(pa.string())),
        pa.field("provider", pa.string()),
        pa.field("attributes", pa.map_(pa.string(), pa.float64())),
    ]
)


@dataclass(frozen=True)
class Catalog:
    """Items in the order of their code: item ``c`` is row ``c`` of every array.

    Attributes:
        item_id: str objects, shape (items,), sorted, unique.
        text: str objects, shape (items,); empty where nothing is known.
        categories: ragged int32 codes into ``category_names``, one row an item.
        category_names: str objects.
        provider: str objects, shape (items,).
        attributes: name to float64, shape (items,); NaN where an item has none.
        embedding: float32, shape (items, dimensions), or None before the embed stage.

    Examples:
        >>> import pyarrow as pa
        >>> from mrlm import Catalog
        >>> catalog = Catalog.from_table(
        ...     pa.table(
        ...         {
        ...             "item_id": ["film-2", "film-1"],
        ...             "text": ["Brazil", "Alien"],
        ...             "categories": [["satire"], ["horror", "space"]],
        ...             "provider": ["studio-b", "studio-a"],
        ...             "attributes": pa.array(
        ...                 [[("year", 1985.0)], [("year", 1979.0)]], pa.map_("string", "float64")
        ...             ),
        ...         }
        ...     )
        ... )
        >>> catalog.codes(pa.array(["film-2", "film-9"])).tolist()
        [1, -1]
        >>> catalog.attributes["year"].tolist()
        [1979.0, 1985.0]
    """

    item_id: NDArray[np.object_]
    text: NDArray[np.object_]
    categories: Ragged
    category_names: NDArray[np.object_]
    provider: NDArray[np.object_]
    attributes: dict[str, NDArray[np.float64]]
    embedding: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.item_id)

    @property
    def without_text(self) -> NDArray[np.bool_]:
        """Which items have no text, shape (items,); their embedding is 0."""
        return np.equal(self.text, "").astype(bool)

    @cached_property
    def embedding_length(self) -> NDArray[np.float64]:
        """Euclidean length of each item's vector, shape (items,); 0 where it has none."""
        if self.embedding is None:
            return np.zeros(len(self))
        square = np.einsum("ij,ij->i", self.embedding, self.embedding, dtype=np.float64)
        return np.asarray(np.sqrt(square), np.float64)

    @cached_property
    def _value_set(self) -> pa.Array:
        return pa.array(self.item_id, pa.string())

    @cached_property
    def code(self) -> dict[str, int]:
        """Code of each item by its identifier."""
        return {str(name): code for code, name in enumerate(self.item_id)}

    def codes(self, item_id: pa.Array | NDArray[np.object_]) -> NDArray[np.int32]:
        """Codes of item identifiers, int32, same length; -1 where the catalogue has none."""
        wanted = item_id if isinstance(item_id, pa.Array) else pa.array(item_id, pa.string())
        if len(wanted) * _FEW < len(self):
            code = self.code
            return np.array([code.get(name, -1) for name in wanted.to_pylist()], np.int32)
        found = pc.index_in(wanted, value_set=self._value_set)
        codes: NDArray[np.int32] = (
            pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int32)
        )
        return codes

    def with_embedding(self, embedding: NDArray[np.float32]) -> Catalog:
        """The same items with their embedding, shape (items, dimensions)."""
        if len(embedding) != len(self):
            raise ValueError(f"{len(embedding)} embedding rows for {len(self)} items")
        return replace(self, embedding=np.ascontiguousarray(embedding, np.float32))

    @classmethod
    def of_names(cls, item_id: Sequence[str]) -> Catalog:
        """Items of which nothing is known but what they are called, in the order of their names."""
        rows = [{"item_id": name, "text": "", "categories": [], "provider": ""} for name in item_id]
        return cls.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))

    @classmethod
    def from_table(cls, table: pa.Table) -> Catalog:
        """Build from a table of ``ITEMS_SCHEMA``, one row an item, any order.

        Raises:
            ValueError: an item appears twice.
        """
        table = (
            table.select(ITEMS_SCHEMA.names).cast(ITEMS_SCHEMA).sort_by("item_id").combine_chunks()
        )
        ids = table["item_id"].to_numpy(zero_copy_only=False)
        if len(ids) > 1 and (ids[1:] == ids[:-1]).any():
            twice = ids[1:][ids[1:] == ids[:-1]][0]
            raise ValueError(f"item {twice!r} appears more than once in the catalogue")
        lists = pc.fill_null(_one(table["categories"]), [])
        names = pc.unique(pc.list_flatten(lists)).sort()
        code = pc.index_in(pc.list_flatten(lists), value_set=names)
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False), out=offsets[1:])
        maps = table["attributes"].to_pylist()
        keys = sorted({k for m in maps if m for k, _ in m})
        attributes = {k: np.full(len(ids), np.nan) for k in keys}
        for i, m in enumerate(maps):
            for k, v in m or ():
                if v is not None:
                    attributes[k][i] = v
        return cls(
            item_id=ids,
            text=pc.fill_null(_one(table["text"]), "").to_numpy(zero_copy_only=False),
            categories=Ragged(offsets, code.to_numpy(zero_copy_only=False).astype(np.int32)),
            category_names=names.to_numpy(zero_copy_only=False),
            provider=pc.fill_null(_one(table["provider"]), "").to_numpy(zero_copy_only=False),
            attributes=attributes,
        )

    def to_table(self) -> pa.Table:
        """The items as a table of ``ITEMS_SCHEMA``, without the embedding."""
        names = self.category_names
        categories = [[str(names[c]) for c in self.categories[i]] for i in range(len(self))]
        attributes = [
            [(k, float(v[i])) for k, v in self.attributes.items() if not np.isnan(v[i])]
            for i in range(len(self))
        ]
        columns = [self.item_id, self.text, categories, self.provider, attributes]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, ITEMS_SCHEMA, strict=True)]
        return pa.Table.from_arrays(arrays, schema=ITEMS_SCHEMA)

    @classmethod
    def read(cls, path: Path) -> Catalog:
        """Read a Parquet file or folder of ``ITEMS_SCHEMA``."""
        return cls.from_table(pq.read_table(path, columns=ITEMS_SCHEMA.names))


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
