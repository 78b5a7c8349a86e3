"""Splits, evaluation, intervals: what a model is worth, and how sure of it one can be."""

from penchant.evaluation.evaluate import Evaluation, evaluate
from penchant.evaluation.splits import SPLITS, at_moments, held_out, leave_one_out, split, temporal

__all__ = ["SPLITS", "Evaluation", "at_moments", "evaluate", "held_out", "leave_one_out", "split", "temporal"]
