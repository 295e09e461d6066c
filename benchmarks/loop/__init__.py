"""The closed loop in a world with known truth: each night's policy writes the log of the next.

Thirty nights of about 3,000 slots of replayed ratings, in which users come to like newer films from
the eleventh night to the twenty-first and items are offered for the first time every night. Every
user of the ratings comes three times, as three users. A rating is shown once at most; for each slot
three come on offer and the oldest leave, for if what is not shown stayed, every rating would be
shown in the end and no policy would be better than another.
Five systems live through the same users at the same times: ``gated`` learns, tests its challenger
on half of what is shown, and promotes; ``ungated`` puts each night's challenger to work at once;
``frozen`` keeps the first champion; ``item mean`` shows what was liked most; ``oracle`` is as
ungated, with weights that the truth of every candidate has chosen: the best of the class, which
nobody can run.

``clean`` compares the five, ``planted`` plants three bad nights. The night is the smallest honest
one: heads and the item mean, ``tuned_night``, evidence by ``policy_estimates``, the gate's
``judge_and_record`` with a ledger of its own. A seed and system that is finished is kept, a line
each, in the file that the environment variable ``BENCH_LOOP`` names (default: ``mrlm-loop.jsonl``
in the temporary folder), with the version of the code that it came from: a run that is killed goes
on where it was.
"""

from benchmarks._parts import Room

_ROOM = Room(__name__, __path__)
parts, run = _ROOM.parts, _ROOM.run
