"""Virtually quantized models as files that other runtimes read."""

from .int8 import export_int8

__all__ = ["export_int8"]
