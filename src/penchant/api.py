"""What ``import penchant`` offers."""

from importlib.metadata import version

from penchant.artifact import load as load_model
from penchant.artifact import save as save_model
from penchant.candidates import evaluate_rankers, load_ranker, rank_candidates, train_interest
from penchant.classification import classify, load_classifier
from penchant.data.clean import PrepareConfig
from penchant.data.dataset import load as load_dataset
from penchant.data.dataset import prepare, read
from penchant.evaluation import evaluate, leave_one_out, split, temporal
from penchant.interests.finding import find_topics
from penchant.interests.people import profiles_of, topics_of
from penchant.models import MODELS, create
from penchant.offline import recommend_users
from penchant.ranking import recommend
from penchant.types import Batch, Interactions, PenchantError, Ranking, Recommender, Sequences, Split, UserState

__version__ = version("penchant")

__all__ = [
    "MODELS",
    "Batch",
    "Interactions",
    "PenchantError",
    "PrepareConfig",
    "Ranking",
    "Recommender",
    "Sequences",
    "Split",
    "UserState",
    "classify",
    "create",
    "evaluate",
    "evaluate_rankers",
    "find_topics",
    "leave_one_out",
    "load_classifier",
    "load_dataset",
    "load_model",
    "load_ranker",
    "prepare",
    "profiles_of",
    "rank_candidates",
    "read",
    "recommend",
    "recommend_users",
    "save_model",
    "split",
    "temporal",
    "topics_of",
    "train_interest",
]
