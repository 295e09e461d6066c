"""The engine and the world in an environment of their own: their pins are not ours."""

from __future__ import annotations

from pathlib import Path

from benchmarks._peer_environment import PeerEnvironment

PEERS = PeerEnvironment("foreign", "bench-foreign")
SCRIPT = Path(__file__).parent / "gittins_log.py"
