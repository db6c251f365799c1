"""Versions of what was trained, on disk: `artifacts/<name>/<version>/`, with a card, and which version is served.

`<name>/current` names the served version; `<name>/served` lists all that were served, oldest first. Both are replaced
atomically, so a reader never sees half of one. Nothing is pickled: skops, npz and JSON only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

KEPT_VERSIONS = 5  # of an artefact, some 150 MB each: every edit of the FAQ makes one
LONGEST_TRAINING = 24 * 3600  # seconds


class ArtifactError(RuntimeError):
    """An artefact that is missing or cannot be rolled back; the message names the remedy."""


class StaleArtifactError(ArtifactError, ValueError):
    """An artefact that another encoder or another version of Comptoir has made: its numbers would mean nothing."""


def data_hash(parts: Iterable[object]) -> str:
    """12 hexadecimal digits over the `repr` of all parts, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8"))
        digest.update(b"\x00")
    return digest.hexdigest()[:12]


def versions(artifacts: Path, name: str) -> tuple[str, ...]:
    """The versions of an artefact that have a card, oldest first."""
    return tuple(sorted(card.parent.name for card in (artifacts / name).glob("*/card.json")))


def next_version(artifacts: Path, name: str, digest: str) -> str:
    """A name for a new version: a running number and the hash of its data, `0004-1f2e3d4c5b6a`."""
    folders = [folder.name for folder in (artifacts / name).glob("[0-9]*-*")]
    return f"{max((int(folder.split('-')[0]) for folder in folders), default=0) + 1:04d}-{digest}"


def current_version(artifacts: Path, name: str) -> str | None:
    """The version that is served, or None before the first training."""
    pointer = artifacts / name / "current"
    return (pointer.read_text(encoding="utf-8").strip() or None) if pointer.exists() else None


def current_folder(artifacts: Path, name: str) -> Path:
    """The folder of the served version. Raises ArtifactError when there is none."""
    version = current_version(artifacts, name)
    if version is None:
        raise ArtifactError(f'{artifacts / name}: "{name}" has not been trained; run `comptoir train`')
    folder = artifacts / name / version
    if not (folder / "card.json").exists():
        raise ArtifactError(f'{folder}: the served version of "{name}" is gone; run `comptoir train`')
    return folder


def promote(artifacts: Path, name: str, version: str) -> None:
    """Serve `version` from now on."""
    history = _served(artifacts, name)
    _replace(artifacts / name / "served", "\n".join([*history, version]) + "\n")
    _replace(artifacts / name / "current", version + "\n")


def rollback(artifacts: Path, name: str) -> str:
    """Serve the version before the current one again and return its name. Raises ArtifactError when there is none."""
    history = _served(artifacts, name)
    while history:
        history.pop()
        if history and (artifacts / name / history[-1] / "card.json").exists():
            _replace(artifacts / name / "current", history[-1] + "\n")
            _replace(artifacts / name / "served", "\n".join(history) + "\n")
            return history[-1]
    raise ArtifactError(f'{artifacts / name}: no earlier version of "{name}" was served; nothing to roll back to')


def prune(artifacts: Path, name: str) -> tuple[str, ...]:
    """Delete the oldest versions and return their names: the newest 5 stay, the served one, and that before it.

    What has no card a day after it was begun is a training that was cut short, and goes too.
    """
    kept = {
        *versions(artifacts, name)[-KEPT_VERSIONS:],
        *_served(artifacts, name)[-2:],
        current_version(artifacts, name),
    }
    complete = versions(artifacts, name)
    cut_short = sorted(
        folder.name
        for folder in (artifacts / name).glob("[0-9]*-*")
        if folder.name not in complete and time.time() - folder.stat().st_mtime > LONGEST_TRAINING
    )
    gone = tuple(version for version in (*complete, *cut_short) if version not in kept)
    for version in gone:
        shutil.rmtree(artifacts / name / version, ignore_errors=True)
    return gone


def read_card(folder: Path) -> dict[str, Any]:
    """The model card of a version as data."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return card


def _served(artifacts: Path, name: str) -> list[str]:
    file = artifacts / name / "served"
    return file.read_text(encoding="utf-8").split() if file.exists() else []


def _replace(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def require_method(description: Mapping[str, Any], method: str, folder: Path) -> None:
    """Raises StaleArtifactError when what `folder` holds was trained by another method."""
    if description.get("method") != method:
        raise StaleArtifactError(f"{folder}: trained by another version of Comptoir; run `comptoir train`")
