"""Splits, evaluation, intervals: what a model is worth, and how sure of it one can be."""

from penchant.evaluation.evaluate import evaluate, measure, summarise
from penchant.evaluation.leaks import held_out, within
from penchant.evaluation.progressive import Live, measure_live
from penchant.evaluation.result import Evaluation
from penchant.evaluation.splits import (
    FOLDS,
    ROLLING,
    SPLITS,
    by_session,
    event_by_event,
    leave_one_out,
    rolling_origin,
    split,
    temporal,
    trained_on,
)

__all__ = [
    "FOLDS",
    "ROLLING",
    "SPLITS",
    "Evaluation",
    "Live",
    "by_session",
    "evaluate",
    "event_by_event",
    "held_out",
    "leave_one_out",
    "measure",
    "measure_live",
    "rolling_origin",
    "split",
    "summarise",
    "temporal",
    "trained_on",
    "within",
]
