"""The first champion: a clone of the logger, registered and decided like any other."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.reader import read_bandit_log
from pipelines.code_version import code_version
from pipelines.context import NightContext
from pipelines.errors import MissingInputError
from pipelines.lake import built_logs, history_command, log_paths
from pipelines.manifest import Manifest
from pipelines.registry import now, place_of
from pipelines.stage import read_output


def bootstrap(context: NightContext, actor: str) -> str:
    """Fit the clone on every passed night up to this one and make it the first champion.

    Returns:
        What happened, in words.

    Raises:
        MissingInputError: the night was not ingested, or no night has a bandit log yet.
    """
    from mrlm.policies.item_softmax import fit_item_softmax
    from mrlm.promotion.bundle import PolicyBundle, save_bundle
    from mrlm.promotion.promote import install_first_champion
    from mrlm.promotion.registry import VersionContent, register_version
    from mrlm.promotion.reproduction import reproduction_rows, write_reproduction
    from mrlm.report.memo import first_champion_memo

    nights = list(built_logs(context))
    folder = context.workspace.lake_stage(context.night, "ingest")
    if not nights or Manifest.read(folder) is None:
        raise MissingInputError(
            f"night {context.night}: there is no history up to it, from which the logger could be "
            f"learned; run '{history_command(context, context.night)}' first, or from the first "
            "night you have"
        )
    catalog = Catalog.read(read_output(folder, "catalog"))
    log = read_bandit_log(log_paths(context, nights), catalog, context.objectives)
    clone = fit_item_softmax(log)
    place = place_of(context.settings, context.workspace)
    run_key = f"logger-{context.run_key}"
    reason = f"first champion: a clone of the logger fitted on {len(log)} decisions"
    bundle = PolicyBundle(
        policy=clone,
        catalog=catalog,
        name="clone of the logger",
        night=context.night,
        run_key=run_key,
        code_version=code_version(),
        objectives=context.objectives,
    )
    with tempfile.TemporaryDirectory() as scratch:
        save_bundle(bundle, Path(scratch) / "bundle")
        rows = reproduction_rows(clone, log.decisions, context.settings.registry.reproduce_rows)
        write_reproduction(rows, Path(scratch) / "reproduction.parquet")
        content = VersionContent(
            run_key=run_key,
            night=context.night,
            bundle=Path(scratch) / "bundle",
            reproduction=Path(scratch) / "reproduction.parquet",
            memo=first_champion_memo(context.night, "clone of the logger", reason),
        )
        register_version(place, content, actor=actor)
    outcome = install_first_champion(
        place, run_key, context.settings.gate, actor=actor, at=now(), reason=reason
    )
    return f"{outcome.status}: {outcome.reason}; the champion is version {outcome.champion}"
