"""The meta-update on worlds with known truth (``mrlm.worlds.weighing``): a module a part.

Regret is normalised: 1 is equal weights and 0 the best weights in hindsight, both as sharp as any
policy here may be. What is finished is kept, a line each, in the file that the environment
variable ``BENCH_META`` names (default: ``mrlm-meta.jsonl`` in the temporary folder), with the
version of the code that it came from: a run that is killed goes on where it was.
"""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
