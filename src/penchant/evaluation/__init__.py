"""Splits, evaluation, intervals: what a model is worth, and how sure of it one can be."""

from penchant.evaluation.evaluate import Evaluation, evaluate
from penchant.evaluation.splits import SPLITS, held_out, leave_one_out, progressive, split, temporal

__all__ = ["SPLITS", "Evaluation", "evaluate", "held_out", "leave_one_out", "progressive", "split", "temporal"]
