"""Whole shows out of expected ones: each with its own probability, and each sum nearly its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

# Nearer to 0 or 1 than this is 0 or 1.
_WHOLE = 1e-10


class DependentRounding:
    """Rounds the edges of a bipartite graph to 0 and 1 (Gandhi, Khuller, Parthasarathy and
    Srinivasan, "Dependent rounding and its applications to approximation algorithms", JACM 2006).

    An edge is rounded to 1 with the probability that is its value. The sum of a vertex's edges is
    rounded up or down and by less than 1, so a whole sum stays as it is. This is a draw from a
    Birkhoff-von Neumann decomposition of the values (Budish, Che, Kojima and Milgrom, "Designing
    random allocation mechanisms", AER 2013), which need not be written out.

    Each step takes a cycle of edges that are still between 0 and 1, or a path that no such edge
    lengthens, and moves its edges up and down in turn until one is whole: one way or the other,
    with the chances that leave every expectation as it was.

    Args:
        left: vertex of each edge on the one side, any int, shape (E,).
        right: on the other side; codes of the two sides may not overlap.
        value: in [0, 1], float64, shape (E,).
        chosen: whether something of a given chance happens.
    """

    def __init__(
        self,
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        value: NDArray[np.float64],
        chosen: Callable[[float], bool],
    ) -> None:
        self._ends = list(zip(left.tolist(), right.tolist(), strict=True))
        self._value: list[float] = value.tolist()
        self._chosen = chosen
        self._edges: dict[int, list[int]] = {}
        for edge, ends in enumerate(self._ends):
            for vertex in ends:
                self._edges.setdefault(vertex, []).append(edge)

    def rounded(self) -> NDArray[np.bool_]:
        """Whether each edge is 1, bool, shape (E,)."""
        for vertex in list(self._edges):
            while self._open_edge(vertex) is not None:
                path, end = self._walk(vertex)
                if end is not None:
                    # From where it ended, it ends at both ends or goes round.
                    path, _ = self._walk(end)
                self._shift(path)
        return np.array(self._value) > 0.5

    def _walk(self, start: int) -> tuple[list[int], int | None]:
        """Edges of a cycle, and None; or those of a path from ``start`` on, and where it ends."""
        path: list[int] = []
        place, vertex, came_by = {start: 0}, start, None
        while (edge := self._open_edge(vertex, came_by)) is not None:
            path.append(edge)
            one, other = self._ends[edge]
            vertex, came_by = other if vertex == one else one, edge
            if vertex in place:
                return path[place[vertex] :], None
            place[vertex] = len(path)
        return path, vertex

    def _open_edge(self, vertex: int, other_than: int | None = None) -> int | None:
        """An edge of the vertex that is neither 0 nor 1; whole ones are forgotten on the way."""
        edges, passed = self._edges[vertex], False
        while edges:
            edge = edges[-1]
            if self._whole(edge):
                edges.pop()
            elif edge != other_than:
                return edge
            elif passed:
                return None
            else:
                # The others are below it.
                edges.insert(0, edges.pop())
                passed = True
        return None

    def _whole(self, edge: int) -> bool:
        return not _WHOLE < self._value[edge] < 1 - _WHOLE

    def _shift(self, path: Sequence[int]) -> None:
        value, up, down = self._value, path[0::2], path[1::2]
        rise = min([1 - value[e] for e in up] + [value[e] for e in down])
        fall = min([value[e] for e in up] + [1 - value[e] for e in down])
        step = rise if self._chosen(fall / (rise + fall)) else -fall
        for edge in up:
            value[edge] += step
        for edge in down:
            value[edge] -= step
