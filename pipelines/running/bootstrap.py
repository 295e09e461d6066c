"""The first champion: a clone of the logger, registered and decided like any other."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.deployment import now
from pipelines.failures.errors import MissingInputError
from pipelines.nights.lake import built_logs, history_command, read_logs


def bootstrap(context: NightContext, actor: str) -> str:
    """Fit a clone on the passed nights up to this one and make it the first champion.

    How close it came to the logger is in the version's memo, in the ledger's reason and in the
    night's log.

    Returns:
        What happened, in words.

    Raises:
        MissingInputError: the night was not ingested, or no night has a bandit log yet.
    """
    from mrlm.learners.clone import clone_logger
    from mrlm.promotion.moves.promote import install_first_champion
    from mrlm.promotion.registry.registration import VersionContent, register_version
    from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
    from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
    from mrlm.report.memo import first_champion_memo

    nights = list(built_logs(context))
    if not nights or context.lake("ingest").manifest() is None:
        raise MissingInputError(
            f"night {context.night}: there is no history up to it, from which the logger could be "
            f"learned; run '{history_command(context, context.night)}' first, or from the first "
            "night you have"
        )
    log = read_logs(context, nights, together=context.settings.split.fit_decisions)
    clone = clone_logger(
        log,
        context.north_star.name,
        context.settings.gate.level,
        context.settings.gate.thresholds(),
        context.settings.seed,
    )
    said = context.log("bootstrap")
    tried = [f"{a.name}: {a.fidelity.text}" for a in clone.tried]
    for line in tried:
        said.info("clone of the logger: %s", line)
    (said.info if clone.passed else said.warning)("first champion: %s", clone.text)
    place = context.registry
    run_key = f"logger-{context.run_key}"
    reason = f"first champion: a clone of the logger ({clone.text}), from {len(log)} decisions"
    catalog = log.decisions.catalog
    bundle = PolicyBundle(
        policy=clone.policy,
        catalog=catalog if clone.reads_embedding else replace(catalog, embedding=None),
        name="clone of the logger",
        night=context.night,
        run_key=run_key,
        code_version=code_version(__name__),
        objectives=context.objectives,
        history_length=context.settings.state.history_length,
    )
    with tempfile.TemporaryDirectory() as scratch:
        save_bundle(bundle, Path(scratch) / "bundle")
        rows = reproduction_rows(
            clone.policy, log.decisions, context.settings.registry.reproduce_rows
        )
        write_reproduction(rows, Path(scratch) / "reproduction.parquet")
        content = VersionContent(
            run_key=run_key,
            night=context.night,
            bundle=Path(scratch) / "bundle",
            reproduction=Path(scratch) / "reproduction.parquet",
            memo=first_champion_memo(context.night, "clone of the logger", reason, tried),
        )
        register_version(place, content, actor=actor)
    outcome = install_first_champion(
        place, run_key, context.settings.gate, actor=actor, at=now(), reason=reason
    )
    return f"{outcome.status}: {outcome.reason}; the champion is version {outcome.champion}"
