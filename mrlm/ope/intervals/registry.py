"""The intervals by name, and the default of each that has one."""

from __future__ import annotations

from collections.abc import Callable

from mrlm.ope.intervals.asymptotic import AsymptoticSequence
from mrlm.ope.intervals.bernstein import Bernstein
from mrlm.ope.intervals.betting import Betting
from mrlm.ope.intervals.clopper_pearson import ClopperPearson
from mrlm.ope.intervals.contract import Interval
from mrlm.ope.intervals.hoeffding import Hoeffding
from mrlm.ope.intervals.poisson_bootstrap import Bootstrap
from mrlm.ope.intervals.ratio import ScoreRange
from mrlm.ope.intervals.student import Student

# Each is made from the true range of a round; those that need none leave it.
INTERVALS: dict[str, Callable[[ScoreRange], Interval]] = {
    Student.name: lambda known: Student(),
    Bootstrap.name: lambda known: Bootstrap(),
    Hoeffding.name: Hoeffding,
    Bernstein.name: Bernstein,
    ClopperPearson.name: ClopperPearson,
    Betting.name: Betting,
    AsymptoticSequence.name: lambda known: AsymptoticSequence(),
}
