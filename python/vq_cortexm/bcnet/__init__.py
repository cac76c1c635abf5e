"""BC-Net: two nets that cooperate, composed to one model."""

from .compose import Policy, compose

__all__ = ["Policy", "compose"]
