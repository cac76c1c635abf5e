"""Schedules tuned without a board: measured in the emulator, kept in a database, taken by builds.

database = load_database(Path("mine.jsonl"), create=True)
tune_module(compiled.module, board, database, TuneOptions(trials=500))
build(module, db="mine.jsonl")
"""
