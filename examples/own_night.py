"""One night on a log of your own: raw files in, a judged challenger and its lists out.

Run it with ``.venv/bin/python examples/own_night.py [FOLDER]``. It writes a small shop's log into
the folder, which must be new (without one a temporary folder is used), and takes a minute or two.
The commands are those that you would type, ``mrlm history …`` and so on; they run inside this
process here, so that Java and the libraries start once.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

# The key that turns user ids into pseudonyms. Keep yours secret, and always the same.
os.environ.setdefault("MRLM_USER_KEY", "a-secret-of-your-own")

NIGHTS = ["2026-11-16", "2026-11-17", "2026-11-18"]
USERS, REQUESTS_A_NIGHT, ITEMS = 100, 10, 30
KINDS = ("tea", "coffee", "cake")

# Nobody renames a log for this program: ``columns`` maps the names of the contract to yours.
SETTINGS = """
[inputs.impressions]
path = "raw/impressions/{night}"
columns = {user_id = "customer", item_id = "sku", propensity = "chance"}

[inputs.feedback]
path = "raw/feedback/{night}"
columns = {item_id = "sku"}

[inputs.items]
path = "raw/items/{night}"
columns = {item_id = "sku", text = "title", category = "kind"}

[state]
history_objective = "click"

# What the shop wants, in this example a click on the day that the item was shown.
[[objectives]]
name = "click"
source = "feedback"
role = "north_star"
event = "click"
transform = "any"
missing = 0.0

# The last night is judged, the one before it chooses weights, the first one is learned from.
[split]
tune_nights = 1
gate_nights = 1

# Small and quick. A real catalogue wants the language model, which is the default.
[embedding]
encoder = "hashing"
dimensions = 64

[behaviour]
epochs = 2
folds = 2

[learning]
learners = ["policy_gradient"]
epochs = 1

[spark]
master = "local[1]"
shuffle_partitions = 1
"""


def write_log(folder: Path) -> None:
    """Write what the shop's own logging would have written, night by night, as JSON lines."""
    random = np.random.default_rng(1)
    kind = np.arange(ITEMS) % len(KINDS)
    likes = random.integers(0, len(KINDS), USERS)  # the kind of goods that each customer likes
    skus = [f"sku-{i:02d}" for i in range(ITEMS)]
    items = [
        {"sku": skus[i], "title": f"{KINDS[kind[i]]} number {i}", "kind": KINDS[kind[i]]}
        for i in range(ITEMS)
    ]
    _write(folder / "items" / NIGHTS[0], items)
    for night in NIGHTS:
        shown, events = [], []
        for request in range(USERS * REQUESTS_A_NIGHT):
            user = request % USERS
            offered = random.choice(ITEMS, 6, replace=False)
            # The shop's present rule: 60 % for tea and the rest alike. It logs what it did.
            weight = np.where(kind[offered] == 0, 3.0, 1.0)
            chances = weight / weight.sum()
            place = random.choice(6, p=chances)
            item = offered[place]
            minute = request // 10
            row = {
                "request_id": f"{night}-{request}",
                "ts": f"{night}T{6 + minute // 60:02d}:{minute % 60:02d}:00Z",
                "customer": f"customer-{user}",
                "position": 1,
                "sku": skus[item],
                "chance": float(chances[place]),
                "candidates": [skus[i] for i in offered],
                "candidate_propensities": chances.tolist(),
            }
            shown.append(row)
            if random.random() < (0.5 if kind[item] == likes[user] else 0.1):
                events.append(
                    {
                        "event_id": f"click-{night}-{request}",
                        "request_id": row["request_id"],
                        "sku": row["sku"],
                        "ts": row["ts"],
                        "event": "click",
                        "value": 1,
                    }
                )
        _write(folder / "impressions" / night, shown)
        _write(folder / "feedback" / night, events)


def _write(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "part-0.jsonl").write_text(text)


def mrlm(*command: str) -> None:
    """Run a command of the program, as ``mrlm COMMAND`` in a terminal would."""
    from pipelines.cli import app

    print("$ mrlm", *command, flush=True)
    app([*command], standalone_mode=False)


def main(folder: Path) -> None:
    """Write the log and the settings, and run the first nights."""
    folder.mkdir(parents=True, exist_ok=True)
    write_log(folder / "raw")
    settings = folder / "mrlm.toml"
    settings.write_text(SETTINGS)
    here = ("--settings", str(settings))

    # Nights that are only read: the log has to be long enough before anything can be learned.
    mrlm("history", NIGHTS[0], NIGHTS[1], *here)
    # The first champion is a clone of the rule that wrote the log.
    mrlm("bootstrap", "--night", NIGHTS[1], *here)
    # A whole night: ingest, validate, embed, learn, evaluate, register, judge, publish.
    mrlm("night", NIGHTS[2], *here)
    # The challenger's memo: every check of the gate, and the evidence behind it.
    mrlm("review", "2", *here)
    print(f"everything lies in {folder}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
