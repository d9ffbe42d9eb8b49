"""What a program loads that only enqueues."""

from __future__ import annotations

import subprocess
import sys


def test_a_client_for_ordinary_code_loads_no_engine_and_redis_py_only_to_connect() -> None:
    code = (
        "import sys; from trioq import Call, connect_sync\n"
        "loaded = {'trio', 'redis', 'trioq.app', 'trioq.engine.handlers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "with connect_sync(url='redis://localhost:1', namespace='n'): pass\n"
        "loaded = {'trio', 'trioq.app', 'trioq.engine.handlers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
