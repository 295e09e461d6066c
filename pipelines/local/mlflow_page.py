"""MLflow's page on 127.0.0.1, behind a login.

Run it as ``python -m pipelines.local.mlflow_page PORT LOGIN``; PageLogin wrote the file LOGIN.
The store is named by MLFLOW_BACKEND_STORE_URI and MLFLOW_DEFAULT_ARTIFACT_ROOT, as for ``mlflow
server``: an address may hold a password, and everybody may read a process's arguments.

``mlflow server`` itself asks for no login without a further database of users, takes requests for
hosts such as ``10.example.com``, and can run commands on this machine for who may use its page.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipelines.local.loopback_gate import LoopbackGate
from pipelines.local.page_login import PageLogin

STORE_VARIABLE = "MLFLOW_BACKEND_STORE_URI"
ARTIFACTS_VARIABLE = "MLFLOW_DEFAULT_ARTIFACT_ROOT"


def main() -> None:
    """Serve until a signal ends it."""
    from mrlm.promotion.registry.place import quiet_mlflow

    quiet_mlflow()
    import uvicorn
    from mlflow.server import constants

    port, login = int(sys.argv[1]), PageLogin.read(Path(sys.argv[2]))
    store, artifacts = os.environ[STORE_VARIABLE], os.environ.get(ARTIFACTS_VARIABLE)
    # Where 'mlflow server' tells the application, which reads them when it is imported.
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = store
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = store
    if artifacts:
        os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = artifacts
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(store, store, artifacts)
    uvicorn.run(
        LoopbackGate(app, login), host="127.0.0.1", port=port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
