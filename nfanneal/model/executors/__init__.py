"""Who asks the model: pools of threads, processes or nodes; the answers do not depend on it."""

from nfanneal.model.executors.memory import Memory
from nfanneal.model.executors.pooled import LostWorkerError, Pool, Pooled, Submit

__all__ = ["LostWorkerError", "Memory", "Pool", "Pooled", "Submit"]
