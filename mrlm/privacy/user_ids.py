"""Published lists under the platform's own user ids."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def with_user_ids(lists: pa.Table, maps: Sequence[pa.Table]) -> pa.Table:
    """The lists with a column ``user_id``, string, null of users that no map knows.

    Args:
        lists: with the pseudonym ``user``, string.
        maps: each of ``user`` and ``user_id``, strings; the first one that knows a user counts.
    """
    schema = pa.schema([("user", pa.string()), ("user_id", pa.string())])
    known = pa.concat_tables([schema.empty_table(), *(m.select(schema.names) for m in maps)])
    # The first of equal pseudonyms is found.
    at = pc.index_in(lists["user"], value_set=known["user"].combine_chunks())
    return lists.append_column("user_id", known["user_id"].combine_chunks().take(at))
