"""Thresholds answer as much as the stated error rate allows, and say how sure that is."""

import numpy as np

from models import choose_threshold
from models.risk import NEVER, clopper_pearson


def test_answers_down_to_the_mistake_that_would_break_the_target() -> None:
    scores = np.linspace(1, 0.5, 120)
    right = np.ones(120, dtype=bool)
    right[100:] = False
    threshold = choose_threshold(scores, right, target=0.01)
    assert scores[100] < threshold.value < scores[99]
    assert (threshold.answered, threshold.wrong) == (100, 0)


def test_one_mistake_in_a_hundred_is_more_than_one_per_cent_in_all_likelihood() -> None:
    scores = np.linspace(1, 0.5, 100)
    right = np.ones(100, dtype=bool)
    right[80] = False
    assert choose_threshold(scores, right, target=0.01).answered == 80


def test_too_few_questions_to_tell_mean_silence() -> None:
    assert choose_threshold(np.linspace(1, 0.5, 60), np.ones(60, dtype=bool), target=0.01).value == NEVER


def test_a_mistake_among_enough_right_answers_is_within_the_target() -> None:
    scores = np.linspace(1, 0.5, 200)
    right = np.ones(200, dtype=bool)
    right[50] = False
    assert choose_threshold(scores, right, target=0.01).answered == 200


def test_equal_scores_stand_or_fall_together() -> None:
    assert choose_threshold([0.9, 0.9, 0.9], [True, True, False], target=0.1).value == NEVER


def test_few_questions_certify_nothing() -> None:
    assert choose_threshold(np.linspace(1, 0.5, 100), np.ones(100, dtype=bool), target=0.01).certified == NEVER


def test_230_right_answers_certify_one_per_cent_at_ninety_per_cent_confidence() -> None:
    assert clopper_pearson(np.array([0]), np.array([229]), 0.9)[0] < 0.01 + 1e-4
    threshold = choose_threshold(np.linspace(1, 0.5, 300), np.ones(300, dtype=bool), target=0.01)
    assert threshold.certified < 0.55


def test_wrong_everywhere_means_silence() -> None:
    assert choose_threshold([0.9, 0.8], [False, False]).value == NEVER


def test_no_questions_mean_silence() -> None:
    assert choose_threshold([], []).value == NEVER
