"""What the door's process is made of."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_that_runs_user_code_is_imported() -> None:
    code = (
        "import sys, mesh.door.__main__\n"
        "print(*sorted({name for name in sys.modules if name.split('.')[0] in "
        "('starlette', 'uvicorn', 'numpy', 'sidecar', 'http_bridge') "
        "or name in ('mesh.handle', 'mesh.api', 'mesh.response', 'mesh.target') or name.startswith('mesh.dag')}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == []
