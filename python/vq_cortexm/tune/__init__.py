"""Schedules tuned without a board: measured in the emulator, kept in a database, taken by builds.

compiled = vq_cortexm.build(module)
database = tune.load_database(Path("mine.jsonl"), create=True)
tune.tune_module(compiled.module, BOARDS["mps2-an386"], database, tune.TuneOptions(trials=500))
tuned = vq_cortexm.build(module, db="mine.jsonl", objective="speed")
"""

from .database import Database, Record, load_database, pareto
from .objective import Objective, parse_objective
from .session import TuneOptions, tune_module

__all__ = [
    "Database",
    "Objective",
    "Record",
    "TuneOptions",
    "load_database",
    "pareto",
    "parse_objective",
    "tune_module",
]
