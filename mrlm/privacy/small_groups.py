"""Groups of people that are large enough to be shown in a published table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OTHER = "other"


def users_in(group: NDArray[np.int64], user: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Different users of each group.

    Args:
        group: codes below ``groups``, int64, shape (n,).
        user: codes, int64, shape (n,).
        groups: how many there are.

    Returns:
        int64, shape (groups,).
    """
    many = int(user.max(initial=0)) + 1
    pairs = np.unique(group * many + user)
    return np.bincount(pairs // many, minlength=groups)


def merged(label: NDArray[Any], user: NDArray[np.int64], least: int) -> NDArray[Any]:
    """Labels by which no group has fewer than ``least`` users, unless all together have.

    Small groups become ``other``. Where these together are small too, the smallest of the others
    joins them: what is missing could else be told from the sum of all (complementary suppression;
    Hundepool et al., "Statistical Disclosure Control", Wiley 2012, section 4.4).

    Args:
        label: of each row, shape (n,).
        user: codes, int64, shape (n,).
        least: fewest users of a group that is shown.

    Returns:
        ``label`` itself where no group is small, else texts, shape (n,).
    """
    names, code = np.unique(label, return_inverse=True)
    users = users_in(code, user, len(names))
    small = users < least
    if not small.any():
        return label
    while not small.all():
        if len(np.unique(user[small[code]])) >= least:
            break
        small[np.where(small, np.iinfo(np.int64).max, users).argmin()] = True
    texts = np.array([OTHER if s else str(n) for n, s in zip(names, small, strict=True)], object)
    return texts[code]
