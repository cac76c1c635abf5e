"""Measures the schedules that come with the package: python/vq_cortexm/tune/shipped.jsonl.

    python benchmarks/tune_shipped.py MODELS [--db ALL.jsonl]

MODELS is the folder of MLPerf Tiny's models. Every schedule of every layer of four of them is
measured; the fifth, str_ww, is left out, to try what the package has for models that it does not
know. All results go to --db, with which an interrupted run goes on; of each layer the kernel's own
schedule and those that nothing beats in cycles, flash and RAM are kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models import ModelsMissingError, find_models
from vq_cortexm.build import build
from vq_cortexm.frontend import load
from vq_cortexm.resources import SHIPPED_SCHEDULES
from vq_cortexm.target import BOARDS
from vq_cortexm.tune.database import Database, load_database, pareto
from vq_cortexm.tune.session import TuneOptions, tune_module

KNOWN = ("ad", "kws", "ic", "vww")
ALL = 1_000_000
"""Trials: more than there are points."""


def main() -> int:
    """Measures, then writes what is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--db", type=Path, default=Path("build/tune/all.jsonl"))
    options = parser.parse_args()
    try:
        paths = find_models(options.models)
    except ModelsMissingError as error:
        print(f"tune_shipped: {error}", file=sys.stderr)
        return 2
    database = load_database(options.db, create=True)
    for model, path in paths.items():
        if model.key in KNOWN:
            module = build(load(path)).module
            kinds = tune_module(module, BOARDS["mps2-an386"], database, TuneOptions(ALL))
            measured = sum(kind.measured for kind in kinds)
            print(f"{model.key}: {len(kinds)} kinds of layers, {measured} schedules")
    kept = keep(database)
    print(f"{SHIPPED_SCHEDULES.name}: {kept} schedules")
    return 0


def keep(database: Database) -> int:
    """Writes the shipped database anew; how many records it has."""
    SHIPPED_SCHEDULES.unlink(missing_ok=True)
    shipped, count = Database(SHIPPED_SCHEDULES), 0
    for task, layer in sorted(database.layers.items()):
        records = list(database.known(task))
        own = records[0]
        for record in (own, *(one for one in pareto(records) if one is not own)):
            shipped.add(layer, record)
            count += 1
    return count


if __name__ == "__main__":
    sys.exit(main())
