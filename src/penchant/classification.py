"""The article's program on any table: is this row's label 1? An LSTM over its steps, beside what every such claim must beat.

Needs the extra ``classify`` (PyTorch and scikit-learn) to learn; a saved classifier answers without either.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from penchant import binary, folders
from penchant.data import engine
from penchant.data.table import Encoding, Table, leaks, read_table
from penchant.models.neural.classifier import ClassifierNetwork, ClassifierSettings
from penchant.types import Array, Float, Int, PenchantError, Progress, quiet

FORMAT = 1
FILES = CONFIG, WEIGHTS = "config.json", "weights.safetensors"
TEST_SHARE = 0.2
LEAF = 20
"""Rows in a leaf of the decision tree, at least: one that grows until leaves are pure is sure of everything."""


@dataclass(frozen=True)
class Classifier:
    """A trained network, and how a table becomes its input."""

    settings: ClassifierSettings
    encoding: Encoding
    network: ClassifierNetwork

    def probabilities(self, table: Table) -> Float:
        """How likely each row's label is 1, ``[n] float32``. ``PenchantError`` where the table lacks a column."""
        theirs = {series.name: series for series in table.series}
        for name, columns in self.encoding.columns.items():
            if name not in theirs or theirs[name].columns != columns:
                raise PenchantError(f"{table.source}: has no column {columns[0]}, which the classifier was trained on")
            if (theirs[name].number is None) != (name in self.encoding.terms):
                raise PenchantError(f"{table.source}: column {columns[0]} doesn't hold what it did when it was trained on")
        return self.network.probabilities(self.encoding(table)[0])

    def save(self, out: str | Path) -> None:
        """Write the folder ``out`` (``config.json``, ``weights.safetensors``), whole or not at all."""
        with folders.writing(Path(out), FILES) as target:
            save_file(dict(self.network.weights), target / WEIGHTS)
            config = {
                "format": FORMAT,
                "classifier": asdict(self.settings),
                "encoding": asdict(self.encoding),
                "sha256": {WEIGHTS: engine.file_hash(target / WEIGHTS)},
            }
            (target / CONFIG).write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_classifier(folder: str | Path) -> Classifier:
    """Read what ``Classifier.save`` wrote. ``PenchantError`` where it isn't that, or was changed."""
    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["format"] > FORMAT:
            raise PenchantError(f"{folder}: has format {config['format']}, this Penchant reads up to {FORMAT}; update Penchant")
        if engine.file_hash(folder / WEIGHTS) != config["sha256"][WEIGHTS]:
            raise PenchantError(f"{folder / WEIGHTS}: is not the file this classifier was saved with; classify again")
        settings = ClassifierSettings.parse(config["classifier"])
        said = config["encoding"]
        encoding = Encoding(
            said["steps"],
            said["text"],
            {name: tuple(columns) for name, columns in said["columns"].items()},
            {name: tuple(numbers) for name, numbers in said["scale"].items()},
            said["terms"],
        )
        network = ClassifierNetwork(settings, len(encoding.features), load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise PenchantError(f"{folder}: is not a classifier; make one with penchant classify --out") from error
    return Classifier(settings, encoding, network)


@dataclass(frozen=True)
class Classification:
    """What came of it: ``models[name][metric]`` on the test rows with 95% ``intervals``, and how far each is ``above`` the
    first, ``lstm``; ``facts`` of the table, and ``warnings``, a sentence each.
    """

    source: str
    settings: ClassifierSettings
    models: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, binary.Interval]]
    above: Mapping[str, Mapping[str, binary.Interval]]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "source": self.source,
            "settings": asdict(self.settings),
            "facts": dict(self.facts),
            "warnings": list(self.warnings),
            "models": {name: dict(values) for name, values in self.models.items()},
            "intervals": {name: {m: list(i) for m, i in values.items()} for name, values in self.intervals.items()},
            "verdict": self.verdict(),
        }

    def verdict(self) -> str:
        """Whether the LSTM is worth it, by AUC; differences are resampled on the same rows."""
        own, *others = self.models
        best = max(others, key=lambda name: self.models[name]["auc"])
        mine, theirs = (self.models[name]["auc"] for name in (own, best))
        close = [name for name in others if self.above[name]["auc"][0] <= 0 <= self.above[name]["auc"][1]]
        if theirs > mine:
            words = f"the {own} doesn't win: {best} has an AUC of {theirs:.4f}, it has {mine:.4f}"
            return words + (", too close to tell them apart" if best in close else "")
        words = f"the {own} leads by AUC ({mine:.4f}; {best} {theirs:.4f})"
        if not close:
            return words
        return f"{words}, but doesn't win: too close to tell from {', '.join(close)}"


def classify(
    source: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    encoding: str = "utf-8",
    out: str | Path | None = None,
    progress: Progress = quiet,
) -> Classification:
    """Train the article's classifier on a table whose last column is a 0/1 label, and compare it on a fifth held back.

    Rows are split at random, as the article does. ``settings`` are those of ``ClassifierSettings``; ``out`` is a folder
    for the trained network. Raises ``PenchantError`` naming file, line and field of what can't be right, or where the
    extra ``classify`` isn't installed.
    """
    chosen = ClassifierSettings.parse(settings or {})
    if out is not None:
        folders.check_replaceable(Path(out), FILES)
    table, remarks = leaks(read_table(source, encoding))
    learned, held = _split(table, chosen)
    encode = Encoding.fit(table, learned, chosen.text, chosen.words)
    steps, flat = encode(table)
    network = _train(steps[learned], table.label[learned], chosen, progress)
    lstm = chosen.cell
    answers: dict[str, Array] = {lstm: network.probabilities(steps[held]).astype(float)}
    answers |= _others(flat, table.label, learned, held, chosen.seed, progress)
    values, intervals, above = binary.compare(answers, table.label[held], chosen.seed)
    if out is not None:
        Classifier(chosen, encode, network).save(out)
    facts = _facts(table, learned, held) | {"features": len(encode.features)}
    return Classification(str(source), chosen, values, intervals, above, facts, (*remarks, *_remarks(table)))


def _split(table: Table, settings: ClassifierSettings) -> tuple[Int, Int]:
    """Rows to learn from and rows held back."""
    try:
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "sklearn":
            raise
        raise PenchantError("classify needs scikit-learn; install it with: pip install 'penchant[classify]'") from error
    rows = np.arange(len(table))
    if len(rows) * (1 - TEST_SHARE) < settings.batch:
        raise PenchantError(
            f"{table.source}: has {len(rows):,} rows, of which {int(len(rows) * (1 - TEST_SHARE)):,} are to learn from, fewer "
            f"than a batch of {settings.batch}; give more rows or a smaller batch (--set batch=8)"
        )
    learned, held = train_test_split(rows, test_size=TEST_SHARE, random_state=settings.seed)
    for name, some in (("learned from", learned), ("held back for the test", held)):
        if len(np.unique(table.label[some])) < 2:
            raise PenchantError(
                f"{table.source}: the rows {name} hold one class only, so rare is the other; give more rows or another seed "
                f"(--set seed={settings.seed + 1})"
            )
    return learned, held


def _train(x: Float, label: Int, settings: ClassifierSettings, progress: Progress) -> ClassifierNetwork:
    try:
        from penchant.models.neural.classifier_training import train_classifier
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise PenchantError(
            "classify needs PyTorch; install it with: pip install 'penchant[classify]' (the README tells how to get the "
            "small CPU build)"
        ) from error
    return ClassifierNetwork(settings, x.shape[2], train_classifier(x, label, settings, progress))


def _others(x: Float, label: Int, learned: Int, held: Int, seed: int, progress: Progress) -> dict[str, Array]:
    """What simple methods say of the rows held back."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    methods = {
        "logistic regression": LogisticRegression(max_iter=1000),
        "decision tree": DecisionTreeClassifier(min_samples_leaf=LEAF, random_state=seed),
        "gradient boosting": HistGradientBoostingClassifier(random_state=seed),
    }
    answers = {"majority class": np.full(len(held), label[learned].mean())}
    for number, (name, method) in enumerate(methods.items()):
        progress("training what it must beat", number, len(methods))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a table can be perfectly separable
            answers[name] = method.fit(x[learned], label[learned]).predict_proba(x[held])[:, 1]
    progress("training what it must beat", len(methods), len(methods))
    return answers


def _facts(table: Table, learned: Int, held: Int) -> dict[str, Any]:
    return {
        "rows": len(table),
        "trained_on": len(learned),
        "tested_on": len(held),
        "label": table.label_name,
        "share_of_ones": float(table.label.mean()),
        "steps": table.steps,
        "missing_filled": {s.name: s.missing for s in table.series if s.missing},
        "text_columns": [s.name for s in table.series if s.words is not None],
        "repeated_rows": table.repeats,
    }


def _remarks(table: Table) -> list[str]:
    """What should make one doubt the figures, a sentence each."""
    said = []
    if table.steps == 1:
        said.append("no columns are named …_t1, …_t2, so every row is a single step and there is no order for an LSTM to learn")
    where = f"the rows are split at random, as the article does, though {table.source} has"
    later = "the models have learned from rows later than those they are asked about"
    if table.user is not None:
        both = "rows of one person lie on both sides, so the figures aren't those of new people"
        said.append(f"{where} a column of people ({table.user}): {both}")
    if table.time is not None:
        said.append(f"{where} a column of times ({table.time}): {later}")
    elif table.steps > 1:
        said.append(f"the rows are split at random, as the article does; if they come from different times, {later}")
    if table.repeats:
        said.append(f"{table.repeats:,} rows equal an earlier one: what is held back may have been learned from")
    telling = [
        s.name
        for s in table.series
        for column in (s.number.T if s.number is not None else ())
        if binary.auc(np.nan_to_num(column), table.label) in (0.0, 1.0)
    ]
    said += [f"{name} tells the label all alone: likely a leak" for name in dict.fromkeys(telling)]
    return said
