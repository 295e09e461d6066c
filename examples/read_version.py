"""Read the champion from a registry and ask it for lists.

Run it on a workspace that has a champion, such as the one that ``examples/own_night.py FOLDER``
leaves: ``.venv/bin/python examples/read_version.py FOLDER/workspace``.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Python would keep compiled modules inside the version's folder, and 'mrlm verify' rightly calls
# every file damage that was not registered.
sys.dont_write_bytecode = True


def main(workspace: Path) -> None:
    """Print the champion's lists for two requests, with their propensities, in two ways."""
    import mlflow
    import pandas as pd

    from mrlm import RegistryPlace, answer, champion

    # 1. With the library. The champion is what the ledger says, and its files are compared with
    #    the hashes that were recorded when it was registered.
    place = RegistryPlace(workspace.resolve() / "registry")
    found = champion(place)
    if found is None:
        raise SystemExit(f"{place.folder} has no champion yet: run 'mrlm bootstrap' first")
    print(f"champion: version {found.version}, of night {found.bundle.night}")

    # A request names the user's pseudonym and what may be shown; your retrieval chooses that.
    items = [str(item) for item in found.bundle.catalog.item_id[:6]]
    requests = pd.DataFrame(
        {
            "request_id": ["r1", "r2"],
            "user": ["someone", "someone else"],
            "candidates": [items, items[1:]],
            # What the user was shown before, and the reward of each, where you have it.
            "history_items": [items[:1], []],
            "history_rewards": [{"like": [1.0]}, {}],
        }
    )
    lists = answer(found.bundle, requests, k=3, seed=7)
    columns = ["request_id", "items", "propensities"]
    for request, shown, chances in lists[columns].itertuples(index=False):
        # Log these propensities with what was shown: the next night learns from them.
        print(request, [f"{i} ({p:.2f})" for i, p in zip(shown, chances, strict=True)])

    # 2. With MLflow alone, as a server would do it, where this package need not be installed: a
    #    version carries its own code. The same request and seed give the same list.
    mlflow.set_tracking_uri(place.uri)
    model = mlflow.pyfunc.load_model(f"models:/{place.model}@champion")
    again = model.predict(requests, params={"k": 3, "seed": 7})
    print("MLflow answers the same:", again["items"].tolist() == lists["items"].tolist())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
