"""What an answer costs: in the process, over HTTP, and for many users at once; a module a part.

A tuned policy of the greatest depth that the meta-update allows, over behaviour models fitted on
the latent world with 10,000 items, answers for 100 candidates and a history of 50. One core, in
processor time, which other work on the machine moves less than the clock. Over HTTP by the clock,
with the load from another process; there and for many users the models are ``history``.

``in_process`` asks the version itself, ``over_http`` asks ``mrlm serve``, ``mlflow_server`` asks
``mlflow models serve``, ``batch`` scores many users at once, ``retrieval`` finds candidates.
"""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
