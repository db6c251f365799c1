"""Figures of merit over gold rows and predictions, in the formats of `comptoir evaluate`. Pure: rows in, figures out.

Rows are the JSON objects of the files: gold and prediction of one message carry the same `id`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from models.corpus import TALK_TO_HUMAN

Row = Mapping[str, Any]


@dataclass(frozen=True)
class FaqFigures:
    """`hit_at_1`, `hit_at_3`: right entry first / among three, of the answerable. `answered_share`: of all questions.

    `right_answers`: of the answerable, those answered and rightly. `wrong_among_answered`: of the answers given.
    `auroc_answerable`: does the score tell answerable questions from others? None when only one kind is there.
    """

    questions: int
    answerable: int
    hit_at_1: float
    hit_at_3: float
    hit_at_1_by_language: dict[str, float]
    answered_share: float
    right_answers: float
    wrong_among_answered: float
    auroc_answerable: float | None


@dataclass(frozen=True)
class HumanFigures:
    asked: int
    recall: float
    precision: float


@dataclass(frozen=True)
class TriageFigures:
    """`primary_accuracy` and `macro_f1` look at the first motive, `set_f1` at all (micro-averaged pairs of mail, motive)."""

    mails: int
    primary_accuracy: float
    macro_f1: float
    set_f1: float
    human: HumanFigures
    order_numbers_exact: float
    language_accuracy: float
    accuracy_by_language: dict[str, float]


@dataclass(frozen=True)
class ChatFigures:
    messages: int
    accuracy: float
    macro_f1: float
    human: HumanFigures
    order_numbers_exact: float
    language_accuracy: float
    accuracy_by_language: dict[str, float]


def evaluate_faq(gold: Sequence[Row], predictions: Sequence[Row]) -> FaqFigures:
    """gold: {id, language, slug | None}; predictions: {id, answered, slug, score, top: [{slug, score}...]}."""
    pairs = _pairs(gold, predictions)
    answerable = [(row, found) for row, found in pairs if row["slug"] is not None]
    answered = [(row, found) for row, found in pairs if found["answered"]]
    right = sum(found["slug"] == row["slug"] for row, found in answered)

    def rank(row: Row, found: Row) -> int:
        slugs = [hit["slug"] for hit in found.get("top", ())] or [found["slug"]]
        return slugs.index(row["slug"]) if row["slug"] in slugs else len(slugs) + 3

    return FaqFigures(
        questions=len(pairs),
        answerable=len(answerable),
        hit_at_1=_share(rank(row, found) == 0 for row, found in answerable),
        hit_at_3=_share(rank(row, found) < 3 for row, found in answerable),
        hit_at_1_by_language=_by_language((row, rank(row, found) == 0) for row, found in answerable),
        answered_share=len(answered) / len(pairs) if pairs else 0.0,
        right_answers=right / len(answerable) if answerable else 0.0,
        wrong_among_answered=1 - right / len(answered) if answered else 0.0,
        auroc_answerable=_auroc([row["slug"] is not None for row, _ in pairs], [found["score"] for _, found in pairs]),
    )


def evaluate_triage(gold: Sequence[Row], predictions: Sequence[Row]) -> TriageFigures:
    """gold: {id, language, motives, wants_human, order_numbers}; predictions: the same `id` with
    {motives: [{motive, probability}...] those given, primary first, wants_human, order_numbers, language}."""
    pairs = _pairs(gold, predictions)
    truth = [row["motives"][0] for row, _ in pairs]
    given = [[motive["motive"] for motive in found["motives"]] for _, found in pairs]
    primary = [motives[0] if motives else "" for motives in given]
    hits = sum(len(set(row["motives"]) & set(motives)) for (row, _), motives in zip(pairs, given, strict=True))
    total = sum(len(set(row["motives"])) for row, _ in pairs) + sum(len(set(motives)) for motives in given)
    return TriageFigures(
        mails=len(pairs),
        primary_accuracy=accuracy(truth, primary),
        macro_f1=macro_f1(truth, primary),
        set_f1=2 * hits / total if total else 0.0,
        human=human_figures([row["wants_human"] for row, _ in pairs], [found["wants_human"] for _, found in pairs]),
        order_numbers_exact=_share(_same_numbers(row, found) for row, found in pairs),
        language_accuracy=_share(row["language"] == found["language"] for row, found in pairs),
        accuracy_by_language=_by_language(
            (row, right == guess) for (row, _), right, guess in zip(pairs, truth, primary, strict=True)
        ),
    )


def evaluate_chat(gold: Sequence[Row], predictions: Sequence[Row]) -> ChatFigures:
    """gold: {id, language, intent, order_numbers}; predictions: {id, intent, wants_human, order_numbers, language}.

    A human is asked for where the gold intent is `talk_to_human`.
    """
    pairs = _pairs(gold, predictions)
    truth = [row["intent"] for row, _ in pairs]
    guesses = [found["intent"] for _, found in pairs]
    return ChatFigures(
        messages=len(pairs),
        accuracy=accuracy(truth, guesses),
        macro_f1=macro_f1(truth, guesses),
        human=human_figures(
            [intent == TALK_TO_HUMAN for intent in truth], [found["wants_human"] for _, found in pairs]
        ),
        order_numbers_exact=_share(_same_numbers(row, found) for row, found in pairs),
        language_accuracy=_share(row["language"] == found["language"] for row, found in pairs),
        accuracy_by_language=_by_language((row, row["intent"] == found["intent"]) for row, found in pairs),
    )


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of equal pairs."""
    return _share(right == guess for right, guess in zip(gold, predicted, strict=True))


def macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Mean F1 over the classes that occur in `gold`."""
    hits = Counter(right for right, guess in zip(gold, predicted, strict=True) if right == guess)
    golds, guesses = Counter(gold), Counter(predicted)
    scores = [2 * hits[name] / (golds[name] + guesses[name]) for name in golds]
    return sum(scores) / len(scores) if scores else 0.0


def human_figures(gold: Sequence[bool], predicted: Sequence[bool]) -> HumanFigures:
    """Recall and precision of "asks for a human"; 1.0 where there was nothing to find or nothing was found."""
    hits = sum(asked and found for asked, found in zip(gold, predicted, strict=True))
    return HumanFigures(
        asked=sum(gold),
        recall=hits / sum(gold) if any(gold) else 1.0,
        precision=hits / sum(predicted) if any(predicted) else 1.0,
    )


def as_dict(figures: FaqFigures | TriageFigures | ChatFigures) -> dict[str, Any]:
    """The figures as plain data, for JSON."""
    return asdict(figures)


def _pairs(gold: Sequence[Row], predictions: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Gold and prediction of one `id`; rows without ids belong together by their order."""
    found = {row.get("id", number): row for number, row in enumerate(predictions)}
    wanted = [row.get("id", number) for number, row in enumerate(gold)]
    missing = [key for key in wanted if key not in found]
    if missing:
        raise ValueError(f"no prediction for row {missing[0]!r} and {len(missing) - 1} more; predict every gold row")
    return [(row, found[key]) for row, key in zip(gold, wanted, strict=True)]


def _same_numbers(gold: Row, predicted: Row) -> bool:
    return set(gold["order_numbers"]) == set(predicted["order_numbers"])


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def _by_language(values: Iterable[tuple[Row, bool]]) -> dict[str, float]:
    grouped: dict[str, list[bool]] = {}
    for row, right in values:
        grouped.setdefault(row["language"], []).append(right)
    return {language: _share(found) for language, found in sorted(grouped.items())}


def _auroc(truth: Sequence[bool], scores: Sequence[float]) -> float | None:
    return float(roc_auc_score(np.array(truth), np.array(scores))) if 0 < sum(truth) < len(truth) else None
