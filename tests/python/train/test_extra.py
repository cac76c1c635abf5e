"""The package without the extra `train`."""

from __future__ import annotations

import subprocess
import sys


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_package_needs_no_torch() -> None:
    done = _python(
        "import sys\n"
        "sys.modules.update(torch=None, brevitas=None)\n"
        "import vq_cortexm.cli\n"
        "print(vq_cortexm.build.__name__)\n"
    )
    assert done.stdout == "build\n", done.stderr


def test_without_the_extra_the_import_says_what_is_missing() -> None:
    done = _python("import sys\nsys.modules['brevitas'] = None\nimport vq_cortexm.train\n")
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: vq_cortexm.train needs brevitas; pip install 'vq-cortexm[train]' works"
    )
