"""Thresholds from a stated error rate, by held-out risk control.

On held-out questions every candidate threshold has a number of answers and a number of wrong ones; the Clopper-Pearson
upper bound (1934, Biometrika 26) says what share of wrong answers may lie behind them. Two rules are kept side by side,
because few hundred questions cannot prove one per cent:

- served: the smallest threshold whose bound at one half, the median-unbiased estimate of that share, is within the target.
  The plain share would take the luckiest of the thresholds that lie close together;
- certified: the smallest threshold reached by testing from the strictest downwards, stopping at the first whose bound at
  `confidence` exceeds the target (fixed-sequence testing of Learn-then-Test, Angelopoulos et al. 2021,
  arXiv:2110.01052). With that probability the true share is then within the target. With 0 errors it needs 230 answers
  for one per cent at 90 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

TARGET_ERROR = 0.01
CONFIDENCE = 0.9
NEVER = 1.01  # above every probability: nothing is answered


@dataclass(frozen=True)
class Threshold:
    """`value` is what is served. Rates are shares of the held-out questions, `wrong` a share of the answers given.

    `upper_bound` is the Clopper-Pearson bound at `value`; `certified` the threshold that the bound itself would allow.
    """

    value: float
    target: float
    questions: int
    answered: int
    wrong: int
    upper_bound: float
    confidence: float
    certified: float


def choose_threshold(
    scores: npt.ArrayLike, right: npt.ArrayLike, target: float = TARGET_ERROR, confidence: float = CONFIDENCE
) -> Threshold:
    """The threshold to answer at. scores: (n,) confidence of the best answer; right: (n,) would that answer be right?

    A question that has no answer counts as wrong when it is answered.
    """
    values = np.asarray(scores, dtype=np.float64)
    correct = np.asarray(right, dtype=bool)
    order = np.argsort(-values, kind="stable")
    values, wrong = values[order], np.cumsum(~correct[order])
    answered = np.arange(1, len(values) + 1)
    # Equal scores stand or fall together.
    last_of_ties = np.append(values[:-1] > values[1:], True) if len(values) else np.zeros(0, dtype=bool)
    within = np.flatnonzero(last_of_ties & (clopper_pearson(wrong, answered, 0.5) <= target))
    bounds = clopper_pearson(wrong, answered, confidence)
    certified = NEVER
    # Fewer than log(1 - confidence) / log(1 - target) answers cannot pass even without an error: testing starts there.
    first = int(np.ceil(np.log(1 - confidence) / np.log(1 - target))) - 1
    for position in np.flatnonzero(last_of_ties):
        if position < first:
            continue
        if bounds[position] > target:
            break
        certified = _between(values, int(position))
    if len(within) == 0:
        return Threshold(NEVER, target, len(values), 0, 0, 1.0, confidence, certified)
    chosen = int(within[-1])
    return Threshold(
        _between(values, chosen),
        target,
        len(values),
        int(answered[chosen]),
        int(wrong[chosen]),
        float(bounds[chosen]),
        confidence,
        certified,
    )


def clopper_pearson(
    errors: npt.NDArray[np.int_], trials: npt.NDArray[np.int_], confidence: float
) -> npt.NDArray[np.float64]:
    """Upper bound, at that one-sided confidence, on the error rates behind `errors` out of `trials`."""
    return np.where(errors >= trials, 1.0, beta.ppf(confidence, errors + 1, np.maximum(trials - errors, 1)))


def _between(values: npt.NDArray[np.float64], position: int) -> float:
    """Half way between the last score accepted and the first refused."""
    below = values[position + 1] if position + 1 < len(values) else 0.0
    return float((values[position] + below) / 2)
