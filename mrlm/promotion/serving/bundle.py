"""What is served, as a folder: the policy, the catalogue with its embedding, and their names."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrlm.bandit_log import Catalog, Objective
from mrlm.embeddings.stored_catalog import load_catalog, same_vectors, save_catalog
from mrlm.policies.contract import Policy
from mrlm.policies.storage import ScorerLoaders, load_policy, save_policy


@dataclass(frozen=True)
class PolicyBundle:
    """A policy with all that it needs to answer requests.

    Attributes:
        policy: gives the probabilities.
        catalog: the items, with their embedding where the policy's scorers need it.
        name: for people.
        night: ISO date of the run that made it.
        run_key: night and settings' fingerprint.
        code_version: hash of the sources that made it.
        objectives: the reward vector that the policy was tuned for.
        history_length: the newest entries of a user's history that it reads, as its log was read;
            None: all, as versions did that were made before this was kept.

    Examples:
        >>> from mrlm import PolicyBundle, Uniform, latent_log
        >>> log, _ = latent_log(n_users=50, decisions_per_user=6, n_candidates=4, seed=0)
        >>> bundle = PolicyBundle(
        ...     policy=Uniform(), catalog=log.decisions.catalog, name="uniform",
        ...     night="2026-11-20", run_key="", code_version="", objectives=log.objectives,
        ... )
        >>> len(bundle.catalog)
        400
    """

    policy: Policy
    catalog: Catalog
    name: str
    night: str
    run_key: str
    code_version: str
    objectives: tuple[Objective, ...]
    history_length: int | None = None

    def with_catalog(self, catalog: Catalog) -> PolicyBundle:
        """The same policy over other items, as those that came after its night.

        Raises:
            ValueError: the catalogue's vectors are those of another encoder.
        """
        if not same_vectors(self.catalog, catalog):
            raise ValueError(
                f"{self.name} of night {self.night} was trained on the embeddings of another "
                "encoder than the catalogue's: embed the catalogue with the encoder of that night"
            )
        return replace(self, catalog=catalog)


def save_bundle(bundle: PolicyBundle, folder: Path) -> None:
    """Write a bundle into a new folder; ``bundle.json`` comes last and marks it whole.

    Raises:
        FileExistsError: the folder exists.
    """
    folder.mkdir(parents=True)
    save_catalog(bundle.catalog, folder)
    save_policy(bundle.policy, folder / "policy")
    about: dict[str, Any] = {
        "name": bundle.name,
        "night": bundle.night,
        "run_key": bundle.run_key,
        "code_version": bundle.code_version,
        "objectives": [o.to_json() for o in bundle.objectives],
    }
    if bundle.history_length is not None:
        about["history_length"] = bundle.history_length
    (folder / "bundle.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


def load_bundle(folder: Path, loaders: ScorerLoaders | None = None) -> PolicyBundle:
    """Read what ``save_bundle`` wrote.

    Args:
        folder: as given to ``save_bundle``.
        loaders: how to read each kind of scorer; None: those of this package.

    Raises:
        FileNotFoundError: the folder holds no whole bundle.
        ValueError: it holds a kind of policy or scorer that is not known.
    """
    marker = folder / "bundle.json"
    if not marker.is_file():
        raise FileNotFoundError(f"{folder} holds no whole policy bundle: bundle.json is missing")
    about: dict[str, Any] = json.loads(marker.read_text())
    catalog = load_catalog(folder)
    objectives = tuple(Objective(**o) for o in about.pop("objectives"))
    policy = load_policy(folder / "policy", _loaders(folder) if loaders is None else loaders)
    return PolicyBundle(policy=policy, catalog=catalog, objectives=objectives, **about)


def scorer_kinds(folder: Path) -> tuple[str, ...]:
    """Kinds of the scorers in a stored bundle, anchors included, sorted."""
    found: set[str] = set()
    for path in (folder / "policy").rglob("policy.json"):
        found.update(json.loads(path.read_text()).get("scorers", ()))
    return tuple(sorted(found))


def _loaders(folder: Path) -> ScorerLoaders:
    """How this package reads scorers; they bring torch, so only where a bundle holds one."""
    if not scorer_kinds(folder):
        return {}
    from mrlm.learners.storage import SCORER_LOADERS

    return SCORER_LOADERS
