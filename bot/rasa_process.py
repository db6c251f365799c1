"""The Rasa server as a process: its endpoints file, its dialogue model, and the command that starts it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

PROJECT = Path(__file__).parent
MODEL = "dialogue.tar.gz"
_MODEL_SOURCES = ("config.yml", "domain.yml", "data/rules.yml", "requirements.lock")
_QUIET = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
}


class TrainingFailed(Exception):
    """Rasa could not train the dialogue; the message ends with Rasa's own last lines."""


@dataclass(frozen=True)
class RasaCommand:
    """How to start a process: arguments, variables to add to the environment, working directory."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


def write_endpoints(path: Path, *, nlu_url: str, action_url: str, tracker_db: Path | str, token: str = "") -> None:
    """Write Rasa's endpoints file.

    Args:
        nlu_url: Rasa adds `/model/parse` to it.
        tracker_db: an SQLite file, or an SQLAlchemy URL (`postgresql://...`). A database of its own: in one that has a table
            `events` already, Rasa would silently keep its state in memory.
        token: sent to the understanding as `token` in the JSON body and to the actions as `?token=` (Rasa has it so). The file
            is readable by its owner only.
    """
    if isinstance(tracker_db, Path):
        tracker_db.parent.mkdir(parents=True, exist_ok=True)
        store = {"type": "SQL", "dialect": "sqlite", "db": str(tracker_db.resolve())}
    else:
        store = {"type": "SQL", "dialect": tracker_db.partition(":")[0], "url": tracker_db}
    key = {"token": token} if token else {}
    endpoints = {
        "nlu": {"url": nlu_url, **key},
        # The actions do not look at the domain: sending it along would be most of each call.
        "action_endpoint": {"url": action_url, **key, "enable_selective_domain": True},
        "tracker_store": store,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(endpoints, sort_keys=False), encoding="utf-8")


def train_dialogue(rasa_python: Path, output_dir: Path) -> Path:
    """The dialogue model in `output_dir`, trained (20 s) only when domain, rules, policies or Rasa have changed.

    Raises TrainingFailed, for instance when two rules contradict each other.
    """
    model, stamp = output_dir / MODEL, output_dir / f"{MODEL}.sha256"
    wanted = _fingerprint()
    if model.exists() and stamp.exists() and stamp.read_text() == wanted:
        return model
    output_dir.mkdir(parents=True, exist_ok=True)
    # Rasa leaves a cache in its working directory; a training that is cut short must leave no model.
    with tempfile.TemporaryDirectory(dir=output_dir, prefix="training-") as scratch:
        argv = [
            *_launcher(rasa_python),
            *("train", "core", "--quiet"),
            *("--domain", str(PROJECT / "domain.yml"), "--config", str(PROJECT / "config.yml")),
            *("--stories", str(PROJECT / "data" / "rules.yml")),
            *("--out", scratch, "--fixed-model-name", MODEL),
        ]
        done = subprocess.run(
            argv, cwd=scratch, env={**os.environ, **_QUIET}, capture_output=True, text=True, check=False
        )
        trained = Path(scratch) / MODEL
        if done.returncode != 0 or not trained.exists():
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise TrainingFailed(f"Rasa could not train {PROJECT / 'data' / 'rules.yml'}:\n{last}")
        stamp.unlink(missing_ok=True)
        trained.replace(model)
        stamp.write_text(wanted)
    return model


def rasa_command(rasa_python: Path, *, port: int, models: Path, endpoints: Path) -> RasaCommand:
    """The Rasa server on the loopback interface, with the REST channel alone.

    Args:
        rasa_python: the interpreter of Rasa's own environment.
        models: where `train_dialogue` put the model.
        endpoints: the file of `write_endpoints`.
    """
    argv = [
        *_launcher(rasa_python),
        *("run", "--interface", "127.0.0.1", "--port", str(port)),
        *("--model", str((models / MODEL).resolve()), "--endpoints", str(endpoints.resolve())),
        *("--credentials", str(PROJECT / "credentials.yml"), "--quiet"),
    ]
    return RasaCommand(argv, dict(_QUIET), models.resolve())


def _launcher(rasa_python: Path) -> list[str]:
    # Isolated (-I), or the modules of this folder could shadow those that Rasa imports. Not resolved: the interpreter
    # of a virtual environment is a link that must be called by its own name.
    return [str(rasa_python.absolute()), "-I", "-W", "ignore", str(PROJECT / "rasa_server.py")]


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name in _MODEL_SOURCES:
        digest.update(name.encode() + b"\0" + (PROJECT / name).read_bytes())
    return digest.hexdigest()
