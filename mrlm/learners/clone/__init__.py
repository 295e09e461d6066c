"""A clone of the logger: the simplest policy that shows what the log says was shown."""

from mrlm.learners.clone.clone import FORMS, Attempt, Clone, clone_logger
from mrlm.learners.clone.fidelity import Fidelity

__all__ = ["FORMS", "Attempt", "Clone", "Fidelity", "clone_logger"]
