from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mrlm.worlds.schedule import plan


@settings(max_examples=60)
@given(
    slots=st.lists(st.integers(0, 120), min_size=1, max_size=30),
    nights=st.integers(1, 14),
    size=st.integers(1, 6),
    seed=st.integers(0, 2**16),
)
def test_every_slot_is_planned_once(slots: list[int], nights: int, size: int, seed: int) -> None:
    wanted = np.minimum(np.array(slots, np.int64), 40 * nights)
    found = plan(wanted, nights, size, np.random.default_rng(seed))
    np.testing.assert_array_equal(
        np.bincount(found.user, weights=found.slots, minlength=len(wanted)), wanted
    )
    assert (found.slots >= 1).all()
    assert (found.slots <= size).all()
    assert ((found.night >= 0) & (found.night < nights)).all()
    time = found.night * 1440 + found.minute
    later = np.diff(time)[np.diff(found.user) == 0]
    assert (later > 0).all()
    assert ((found.minute >= 0) & (found.minute <= 1435)).all()
