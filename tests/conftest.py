"""What tests of several rooms share."""

from __future__ import annotations

import os

# Threads beyond the cores slow every test down.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("MRLM_USER_KEY", "test-key")
