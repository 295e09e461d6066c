"""The gate over many nights, in worlds with known truth: a module a part.

``year`` asks for wrong promotions, ``ratchet`` whether a chain of small losses passes, ``schedule``
what a year of tests brings, ``narrow`` what one of trials does, ``power`` how long a better
challenger waits, ``needed`` whether a refusal is right about what would change it, ``harm`` whether
a gain that harms a group is refused, ``watch`` how soon a promise that is not kept is seen,
``peers`` whether two other libraries find the same boundaries, ``evaluated`` for wrong promotions
where evidence is made row by row.

What is finished is kept, a line each, in the file that the environment variable ``BENCH_PROMOTION``
names (default: ``mrlm-promotion.jsonl`` in the temporary folder), with the version of the code that
it came from: a run that is killed goes on where it was.
"""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
