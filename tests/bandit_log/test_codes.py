from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mrlm.bandit_log import Catalog

CATALOG = Catalog.of_names([f"i{n:03d}" for n in range(400)])


@pytest.mark.parametrize("many", [3, 300])
def test_items_are_found_by_name_few_or_many(many: int) -> None:
    """Names that the catalogue lacks, and null, have the code -1."""
    expected = np.random.default_rng(0).integers(0, 400, many)
    names: list[str | None] = [f"i{n:03d}" for n in expected]
    found = CATALOG.codes(pa.array([*names, "i400", None]))
    assert found.dtype == np.int32
    assert found.tolist() == [*expected.tolist(), -1, -1]
    assert CATALOG.codes(np.array(names, object)).tolist() == expected.tolist()
