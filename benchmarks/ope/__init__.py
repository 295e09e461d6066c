"""Off-policy evaluation, side by side with peers and with the truth: each part is a module here."""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
