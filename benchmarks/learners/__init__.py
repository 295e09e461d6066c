"""What learns policies, side by side with peers on worlds whose truth is known: a module a part.

What is finished is kept, a line each, in the file that the environment variable ``BENCH_LEARNERS``
names (default: ``mrlm-learners.jsonl`` in the temporary folder), with the version of the code that
it came from: a run that is killed goes on where it was. ``make bench-peers`` installs ``implicit``
and ``vowpalwabbit``, two of the peers; one whose package is missing has no row.
"""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
