"""Runs a project's `microtvm_api_server.py` with `tvm.micro` published:
`python -m vq_cortexm.micro.project_api FILE --read-fd N --write-fd N`."""

from __future__ import annotations

import runpy
import sys

del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
