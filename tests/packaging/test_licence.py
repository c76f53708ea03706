"""Who installs Tollhouse gets its licence with it, and nothing that forbids passing it on."""

from __future__ import annotations

import importlib.metadata
import re
import zipfile
from pathlib import Path

import pytest

from tests.support.tree import ROOT


@pytest.mark.parametrize("distribution", ["tollhouse", "tollhouse_sdk", "tollhouse_sandbox"])
def test_every_wheel_carries_the_apache_licence(wheels: Path, distribution: str) -> None:
    with zipfile.ZipFile(next(wheels.glob(f"{distribution}-*.whl"))) as wheel:
        metadata, licence = (
            wheel.read(next(name for name in wheel.namelist() if name.endswith(ending))).decode()
            for ending in (".dist-info/METADATA", ".dist-info/licenses/LICENSE")
        )
    assert "License-Expression: Apache-2.0" in metadata
    assert licence == (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence


def test_no_package_that_we_ship_with_is_under_the_gpl() -> None:
    names = re.findall(r"^([a-z0-9][\w.-]*)==", (ROOT / "requirements" / "demo.txt").read_text(), re.MULTILINE)
    assert len(names) > 20
    told = {}
    for name in names:
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # locked for another operating system
        fields = [
            field for key in ("License-Expression", "License", "Classifier") for field in metadata.get_all(key) or []
        ]
        told[name] = " ".join(field for field in fields if "::" not in field or field.startswith("License"))
    assert [name for name, licence in told.items() if not licence.strip()] == []
    assert [name for name, licence in told.items() if "GPL" in licence] == []
