"""Puts the gate of a page on this machine in front of Airflow's page and API."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from pipelines.local.loopback_gate import LoopbackGate


class LoopbackGatePlugin(AirflowPlugin):
    """For the local services only: the page of a deployment has its own name and its own gate."""

    name = "loopback_gate"
    fastapi_root_middlewares: ClassVar[list[dict[str, Any]]] = [
        {"name": "loopback gate", "middleware": LoopbackGate}
    ]
