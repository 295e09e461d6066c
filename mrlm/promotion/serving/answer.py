"""Requests to the served model, and its answers, as data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.serve import recommend
from mrlm.promotion.serving.states import STATES_SCHEMA, read_states, unknown_candidates

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_K = 10


def answer(
    bundle: PolicyBundle, frame: pd.DataFrame, k: int = DEFAULT_K, seed: int = 0
) -> pd.DataFrame:
    """Recommend for every row of ``frame``.

    Of a history the newest entries are read, as many as ``bundle.history_length`` says. Candidates
    that the catalogue lacks are left out, since the policy has no probability for them,
    and named. A slot with its candidates and their propensities is a row of tomorrow's log as it
    is.

    Args:
        bundle: what is served.
        frame: columns ``request_id``, ``user``, ``candidates`` and, where there are, ``scene``,
            ``ts``, ``history_items``, and ``history_rewards`` or ``history_values``; see
            ``read_states``.
        k: slots to fill.
        seed: of the draws; the same seed and request give the same list.

    Returns:
        Columns ``request_id``, ``items`` (list of identifiers, top first), ``propensities`` (list,
        each given the items above), ``candidates`` and ``candidate_propensities`` (a list a slot:
        those that were left for it), and ``dropped`` (candidates that the catalogue lacks).

    Raises:
        ValueError: a required column is absent, null or of another type, or k is below 1.

    Examples:
        >>> import pandas as pd
        >>> from mrlm import PolicyBundle, Uniform, answer, latent_log
        >>> log, _ = latent_log(n_users=50, decisions_per_user=6, n_candidates=4, seed=0)
        >>> bundle = PolicyBundle(
        ...     policy=Uniform(), catalog=log.decisions.catalog, name="uniform",
        ...     night="2026-11-20", run_key="", code_version="", objectives=log.objectives,
        ... )
        >>> films = ["m000001", "m000002", "m000003"]
        >>> requests = pd.DataFrame(
        ...     {"request_id": ["r1"], "user": ["u1"], "candidates": [films]}
        ... )
        >>> lists = answer(bundle, requests, k=2)
        >>> lists["items"][0]
        ['m000001', 'm000003']
        >>> [f"{p:.3f}" for p in lists["propensities"][0]]  # one of three, then one of two
        ['0.333', '0.500']
    """
    if "request_id" not in frame.columns or frame["request_id"].isna().any():
        raise ValueError("requests need the column 'request_id', without nulls")
    names = [f.name for f in STATES_SCHEMA if f.name in frame.columns]
    table = pa.table({n: _array(frame[n].tolist(), STATES_SCHEMA.field(n)) for n in names})
    import pandas as pd

    states = read_states(
        table,
        bundle.catalog,
        ts=bundle.night,
        unknown_candidates="drop",
        objectives=[o.name for o in bundle.objectives if o.source == "feedback"],
        most_history=bundle.history_length,
    )
    drawn = recommend(bundle.policy, states, [str(r) for r in frame["request_id"]], k, seed)
    dropped = unknown_candidates(table, bundle.catalog)
    answered = drawn.to_table(bundle.catalog).append_column("dropped", dropped)
    return pd.DataFrame({name: answered[name].to_pylist() for name in answered.column_names})


def _array(values: list[Any], field: pa.Field) -> pa.Array:
    plain = [_plain(v) for v in values]
    try:
        return pa.array(plain, field.type, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = f"requests: column {field.name!r} must be {field.type}: {error}"
        raise ValueError(message) from error


def _plain(value: Any) -> Any:
    """Data frames hold lists as arrays or lists, maps as dicts, and what is missing as NaN."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return [(key, _plain(item)) for key, item in value.items()]
    return None if isinstance(value, float) and np.isnan(value) else value
