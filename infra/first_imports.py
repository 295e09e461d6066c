"""Import what the stages and Airflow's services import: shows that it can be, and compiles it.

Run by infra/setup.sh once all is installed. Python keeps the compiled modules, a sixth of what
lies in the environment; the others, which few runs touch, are compiled when they are first wanted.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

# The scheduler, the dag-processor, the api-server, and what a task starts in.
_AIRFLOW = (
    *("airflow.__main__", "airflow.cli.cli_parser", "airflow.cli.commands.db_command"),
    *("airflow.jobs.scheduler_job_runner", "airflow.executors.local_executor"),
    *("airflow.dag_processing.manager", "airflow.dag_processing.processor"),
    *("airflow.api_fastapi.app", "airflow.api_fastapi.core_api.app"),
    *("airflow.api_fastapi.core_api.routes.public", "airflow.api_fastapi.core_api.routes.ui"),
    *("airflow.api_fastapi.execution_api.app", "airflow.api_fastapi.execution_api.routes"),
    "airflow.sdk.execution_time.task_runner",
)


def main() -> None:
    """Import it all, and see that there is a Java for Spark.

    Raises:
        ImportError: something that was installed cannot be imported; names it.
        RuntimeError: no Java was found.
    """
    # Wherever this runs, the compiled modules are the point of it.
    sys.dont_write_bytecode = False
    with tempfile.TemporaryDirectory(prefix="mrlm-first-") as home:
        # Airflow writes its configuration where it is imported for the first time.
        os.environ["AIRFLOW_HOME"] = home
        from pipelines.local.warm import MODULES, preload
        from spark_jobs.runtime.java import java_home

        preload("pipelines.cli")
        for name in (*MODULES, *_AIRFLOW):
            importlib.import_module(name)
        java_home()


if __name__ == "__main__":
    main()
