"""Levels for every layer, under budgets of flash, RAM and cycles.

sensitivity        what fewer levels of one layer cost in accuracy
costs              what they take: builds, measured on the board (`bench`)
integer_program    the exact choice (`problem`)
channel_groups, prune    the other strategy: 8 bits, fewer channels
model              a choice, quantized, compiled and tried on held-out data
search, session    all of it, from a file to the front
files, plot        what is written
"""

from .problem import Budgets
from .session import Fit, FitOptions, fit_file

__all__ = ["Budgets", "Fit", "FitOptions", "fit_file"]
