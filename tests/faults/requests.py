"""Requests made up from the API's own description (schemathesis): no answer is a 5xx, and every answer is as described.

python -m tests.faults.requests --examples 500
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.serving import Server, make_model

TOPICS_WITHIN = 120
"""Seconds."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main() -> None:
    """Run schemathesis against a server; its findings are printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="for each operation, of which there are about forty")
    parser.add_argument("--seconds", type=int, help="stop after so many, and go on with more of them until then")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        server = Server(make_model(Path(folder)), Path(folder) / "store.db").start()
        until = time.monotonic() + TOPICS_WITHIN
        while server.ask("GET", "/api/topics")[0] == 503:  # "ask again in a moment", which is right and no fault
            assert time.monotonic() < until, "no topics"
            time.sleep(0.1)
        report = Path(folder) / "report.ndjson"
        limit = ["--max-time", str(options.seconds)] if options.seconds else []
        words = [
            *("run", f"http://127.0.0.1:{server.port}/openapi.json", "--checks", CHECKS, "--phases", "coverage,fuzzing"),
            *("--max-examples", str(options.examples), "--seed", "1", "--no-color", *limit),
            *("--report-ndjson-path", str(report), "--suppress-health-check", "all", "--warnings", "off"),
        ]
        run = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), *words], capture_output=True, text=True, cwd=folder
        )
        assert server.stop() == 0, server.said()
        assert run.returncode == 0, run.stdout + run.stderr
        assert "Traceback" not in server.said(), server.said()
        print(json.dumps({"summary": run.stdout.strip().splitlines()[-12:]}))


if __name__ == "__main__":
    main()
