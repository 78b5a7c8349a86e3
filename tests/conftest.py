"""What several tests need: files to write, the shared event logs, the settings of Hypothesis."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Networks in tests are tiny: one thread, asleep while it waits. Set before anything loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("penchant", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("penchant")

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of a name and content into the test's folder and return its path."""

    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real event logs. Where it is absent a test is skipped, but never where PENCHANT_REQUIRE_DATA is set."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PENCHANT_SHARED_DATA", default))
    if not folder.is_dir():
        reason = f"the shared event logs are not at {folder}; name their folder with PENCHANT_SHARED_DATA"
        if os.environ.get("PENCHANT_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
