"""Libraries of reinforcement learning in an environment of their own: their pins are not ours."""

from __future__ import annotations

from pathlib import Path

from benchmarks._peer_environment import PeerEnvironment

PEERS = PeerEnvironment("rl", "bench-rl")
SCRIPTS = Path(__file__).parent
