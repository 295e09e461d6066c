from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.policies.rarity import Rarity, load_rarity
from mrlm.worlds.latent import latent_log


@pytest.fixture(scope="module")
def log() -> BanditLog:
    return latent_log(n_users=40, decisions_per_user=5, n_candidates=8, seed=3)[0]


def with_providers(log: BanditLog, names: list[str]) -> Decisions:
    """Item j is of the provider names[j mod their number]."""
    catalog = log.decisions.catalog
    provider = np.array([names[j % len(names)] for j in range(len(catalog))], dtype=object)
    return replace(log.decisions, catalog=replace(catalog, provider=provider))


def test_it_is_the_logarithm_of_one_over_the_share(log: BanditLog) -> None:
    decisions = with_providers(log, ["a", "b", "a", ""])
    p = np.repeat(1 / decisions.candidates.lengths, decisions.candidates.lengths)
    found = Rarity.of("providers", decisions, p)
    assert found.columns == ("rarity_of_providers",)
    of = decisions.catalog.provider[decisions.candidates.values]
    share = {name: p[of == name].sum() / p[of != ""].sum() for name in ("a", "b")}
    score = found.score(decisions)[:, 0]
    for name in ("a", "b"):
        assert score[of == name] == pytest.approx(-np.log(share[name]))
    # Without a provider an item changes no share: between what raises and what lowers the number.
    assert score[of == ""] == pytest.approx(-sum(s * np.log(s) for s in share.values()))


def test_new_items_are_as_rare_as_their_provider_and_new_providers_as_the_rarest(
    log: BanditLog, tmp_path: Path
) -> None:
    p = np.repeat(1 / log.decisions.candidates.lengths, log.decisions.candidates.lengths)
    found = Rarity.of("providers", with_providers(log, ["a", "b", "a", "a"]), p)
    tomorrow = with_providers(log, ["b", "new", "a"])
    of = tomorrow.catalog.provider[tomorrow.candidates.values]
    found.save(tmp_path)
    for rarity in (found, load_rarity(tmp_path)):
        score = rarity.score(tomorrow)[:, 0]
        value = dict(zip(found.names.tolist(), found.value.tolist(), strict=True))
        assert (score == np.where(of == "a", value["a"], value["b"])).all()


def test_of_categories_it_is_the_mean(log: BanditLog) -> None:
    catalog = log.decisions.catalog
    names = np.array(["x", "y", "z"], dtype=object)
    rows = [[0, 1, 2][: 1 + j % 3] for j in range(len(catalog))]
    categories = Ragged.from_rows(rows, np.int32)
    decisions = replace(
        log.decisions, catalog=replace(catalog, categories=categories, category_names=names)
    )
    found = Rarity.of("categories", decisions, np.ones(len(decisions.candidates.values)))
    mean = np.array([found.value[row].mean() for row in rows])
    assert found.score(decisions)[:, 0] == pytest.approx(mean[decisions.candidates.values])


def test_without_a_group_nothing_is_rare(log: BanditLog) -> None:
    with pytest.raises(ValueError, match="asks for providers, and no item"):
        Rarity.of("providers", with_providers(log, [""]), np.ones(log.decisions.offsets[-1]))
