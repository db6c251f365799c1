"""Model cards: what a version was trained on and how good it is, for people (Markdown, pictures) and programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")

from matplotlib.figure import Figure

BINS = 10


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """`card.md`, then `card.json`: a version counts as written once the latter is there."""
    (folder / "card.md").write_text(_markdown(card), encoding="utf-8")
    part = folder / "card.json.part"
    part.write_text(json.dumps(card, ensure_ascii=False, indent=1), encoding="utf-8")
    part.replace(folder / "card.json")


def draw_confusion(file: Path, gold: Sequence[str], predicted: Sequence[str], title: str) -> None:
    """Who is taken for whom: a row a true class, a column a predicted one, shares of the row."""
    names = sorted(set(gold) | set(predicted))
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for right, guess in zip(gold, predicted, strict=True):
        counts[index[right], index[guess]] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(4.0, 0.22 * len(names) + 2.5)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=9)
    figure.savefig(file, dpi=90)


def draw_reliability(
    file: Path, confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], title: str
) -> float:
    """Is a stated 80 % right 80 times in 100? Draws it and returns the expected calibration error (10 equal bins)."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    used = [number for number in range(BINS) if (bins == number).any()]
    stated = [float(confidence[bins == number].mean()) for number in used]
    found = [float(right[bins == number].mean()) for number in used]
    share = [float((bins == number).mean()) for number in used]
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.scatter(stated, found, s=[20 + 400 * part for part in share])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share right")
    axes.set_title(title, fontsize=9)
    figure.savefig(file, dpi=90)
    return float(sum(part * abs(a - b) for part, a, b in zip(share, stated, found, strict=True)))


def _markdown(card: Mapping[str, Any]) -> str:
    lines = [f"# {card['name']} {card['version']}", ""]
    for section, value in card.items():
        if isinstance(value, Mapping):
            lines += ["", f"## {section.replace('_', ' ')}", "", "| | |", "|---|---|"]
            lines += [f"| {key} | {_plain(content)} |" for key, content in value.items()]
        elif section not in ("name", "version"):
            lines.append(f"- {section.replace('_', ' ')}: {_plain(value)}")
    lines += ["", "![confusion](confusion.png)", "", "![reliability](reliability.png)", ""]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(content)}" for key, content in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)
