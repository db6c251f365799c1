"""Commands that understand nothing do not load what understands: the models cost many seconds and half a gigabyte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import models
from tests.service.test_mail import letter

ROOT = Path(__file__).resolve().parents[2]
LEARNED = (
    "torch",
    "sklearn",
    "scipy",
    "transformers",
    "sentence_transformers",
    "skops",
    "faiss",
    "matplotlib",
    "rasa_sdk",
)

RUN = """
import json, sys
from service.cli import cli
code = cli(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(folder: Path, *command: str) -> tuple[set[str], str]:
    """The top-level packages that a command has loaded when it is done, and what it said."""
    run = subprocess.run(
        [sys.executable, "-c", RUN, *command],
        cwd=ROOT,
        env={**os.environ, "COMPTOIR_DATA_DIR": str(folder / "var")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    *said, packages = run.stdout.splitlines()
    return set(json.loads(packages)), "\n".join(said)


def test_mail_is_imported_without_the_models(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(letter())

    loaded, said = loaded_by(tmp_path, "mail", "import", str(tmp_path / "one.eml"))

    assert said == "1 new, 0 known already, 0 failed"
    assert loaded.isdisjoint({*LEARNED, "faker"})
    assert {"triage", "desk", "sqlalchemy"} <= loaded


def test_an_agent_is_added_without_the_models(tmp_path: Path) -> None:
    loaded, said = loaded_by(tmp_path, "agent", "add", "lea", "Léa", "--password", "un mot de passe")

    assert "Léa can log in" in said
    assert loaded.isdisjoint({*LEARNED, "faker"})


def test_every_public_name_of_the_models_is_there_when_it_is_asked_for() -> None:
    for name in models.__all__:
        assert getattr(models, name).__class__ is not type(models), f"models.{name} is a value, not a module"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = models.nonsense
