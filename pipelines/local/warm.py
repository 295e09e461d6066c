"""The warm parent: imports once what the stages import, and forks a process for each command.

Run it as ``python -m pipelines.local.warm SOCKET MODULE``; warm_client.py asks it. MODULE is the
command line whose commands it runs. The socket is there once all is imported, so whoever comes
earlier starts a process the ordinary way.

What it saves of ``make run``: on a busy machine of two cores, the imports of a command took 7.5 s
of processor time where it learns, 5.9 s where it evaluates, 5.8 s where it opens the registry, and
1 s where it finds nothing to do. A night of the demonstration has eight of the former and five of
the last, one after the other: about 50 s more than forks spend, 200 s in four nights. On a quiet
machine, where each takes a third to a half of that, it is more than a tenth of ten minutes. Once
the stages of a night share a process, or history is made in one pass, measure again, and remove
warm.py, warm_client.py and warm_server.py together where it is less.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from pipelines.contract import log
from pipelines.contract.code_version import code_version, sources_version
from pipelines.local.warm_server import Request, serve
from pipelines.stages import ORDER
from spark_jobs.runtime.kept_java import Shelf
from spark_jobs.runtime.session import leave_java, use_shelf

# What importing the command line leaves to the stages, because a single command needs little of it.
MODULES = (
    # Arrays and tables: every stage that reads a log or fits.
    *("pandas", "pyarrow.parquet", "safetensors.numpy"),
    *("scipy.optimize", "scipy.sparse", "scipy.special"),
    # ingest, validate, build_log
    *(
        "pyspark.sql.functions",
        "spark_jobs.runtime.session",
        "spark_jobs.ingest",
        "spark_jobs.build_log",
    ),
    *("great_expectations.expectations", "pipelines.expectations.run"),
    # embed
    *("mrlm.embeddings.embed_catalog", "mrlm.embeddings.hashing", "mrlm.embeddings.store"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto"),
    # The packaged model is a BERT.
    *("transformers.models.bert.modeling_bert", "transformers.models.bert.tokenization_bert"),
    # learn_behaviour, learn_policy, tune_weights
    *("torch", "mrlm.behaviour.fitting.fit", "mrlm.behaviour.report", "mrlm.learners.registry"),
    # Optimisers import it when they are made.
    "torch._dynamo",
    *(
        "mrlm.learners.storage",
        "mrlm.meta.tuned_night",
        "mrlm.promotion.serving.bundle",
    ),
    # evaluate
    *("mrlm.ope.registry", "mrlm.ope.nights.mixtures", "mrlm.promotion.reproduction.reproduction"),
    # register, gate, promote, publish
    *(
        "mlflow.pyfunc",
        "mrlm.promotion.registry.registration",
        "mrlm.promotion.judgement.recording",
        "mrlm.promotion.moves.promote",
    ),
    # MLflow imports its SQLite store, by these names, when a client is made.
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("mlflow.tracing.provider", "alembic.command"),
    *(
        "mrlm.promotion.registry.champion",
        "mrlm.promotion.serving.serve",
        "mrlm.promotion.serving.states",
    ),
    *("mrlm.report.memo", "mrlm.report.review_page", "jinja2"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
)


def main() -> None:
    """Import everything, serve, and in a forked worker run the command."""
    # Handlers run last in, first out: this one comes before any that an import registers.
    atexit.register(_last.leave)
    log.configure()
    # Before the imports: a source that changes while they last counts as changed.
    version = sources_version()
    try:
        path, module = sys.argv[1:]
        preload(module)
        shelf = Shelf()
        request = serve(Path(path), module, version)
    except (OSError, RuntimeError) as error:
        log.logger.error("no warm parent, each command starts anew: %s", error)
        sys.exit(1)
    if request is None:
        shelf.clear()
    else:
        run(request, shelf)


def preload(module: str) -> None:
    """Import the command line's module, and what the stages import and is installed."""
    from mrlm.embeddings.transformer import offline_transformers
    from mrlm.promotion.registry.place import quiet_mlflow
    from pipelines.expectations.suite import quiet_great_expectations

    # Libraries read their switches when they are imported.
    quiet_mlflow()
    quiet_great_expectations()
    importlib.import_module(module)
    for name in ORDER:
        code_version(f"pipelines.stages.{name}")
    try:
        offline_transformers()
    except ImportError as error:
        log.logger.warning("not imported ahead: %s", error)
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            log.logger.warning("not imported ahead: %s", error)
    # The collector would write to every object, and the forks would no longer share their pages.
    gc.collect()
    gc.freeze()


def run(request: Request, shelf: Shelf) -> None:
    """Run a worker's command as ``python -m MODULE`` does, and end the process.

    Its Java is the one that lies on the shelf, if that fits, and lies there again once the command
    has ended well.
    """
    use_shelf(shelf)
    module = importlib.import_module(request.command[2])
    _last.worker = True
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv = [str(module.__file__), *request.command[3:]]
    # A pipe's lines would otherwise wait for more of them.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        module.main()
    except SystemExit as ending:
        _last.code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        if _last.code == 0:
            leave_java()
        raise


@dataclass
class _Last:
    """The last handler of a worker's exit, after those of every library.

    What would follow is to free what was imported, module by module: half a second of copying the
    parent's pages.
    """

    worker: bool = False
    code: int = 1

    def leave(self) -> None:
        """End the process if it is a worker."""
        if self.worker:
            # Its handler is older than this one.
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


_last = _Last()


if __name__ == "__main__":
    main()
