"""How well behaviour is predicted, side by side with peers, on worlds whose log is known.

A module a part. What is finished is kept as in ``benchmarks.learners``, in the file that the
environment variable ``BENCH_BEHAVIOUR`` names.
"""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
