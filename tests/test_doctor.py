"""What the doctor finds."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from penchant import doctor


def test_a_whole_installation_is_found_whole() -> None:
    findings = {f["what"]: f for f in doctor.examine()}
    assert {"python", "penchant", "numpy", "polars", "narwhals", "safetensors", "rich", "torch", "processors"} <= set(findings)
    for name in ("penchant", "numpy", *doctor.EXTRAS):
        assert findings[name]["works"] is True
        assert findings[name]["advice"] == ""
        assert findings[name]["found"][0].isdigit()


def test_what_is_missing_comes_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without_torch(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "torch" else find(name, package)

    monkeypatch.setattr(doctor, "find_spec", without_torch)
    monkeypatch.setattr(doctor, "CORE", ("penchant", "no-such-package"))
    findings = {f["what"]: f for f in doctor.examine()}
    assert findings["torch"]["works"] is False
    assert "pip install 'penchant[train]'" in findings["torch"]["advice"]
    assert findings["no-such-package"]["found"] == "not installed"
    assert findings["no-such-package"]["advice"] == "pip install no-such-package"
