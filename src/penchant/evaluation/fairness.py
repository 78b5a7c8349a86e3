"""Who may stand in one table: models that choose from the same items and have learned the same events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penchant import sequences as seq
from penchant.evaluation.splits import trained_on
from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.neural.model import NeuralModel
from penchant.types import PenchantError, Sequences, Split

SEEN = ("exclude", "keep")


def contestants(
    models: Mapping[str, Model | Sequence[Model]],
    controls: Mapping[str, Model] | None,
    split: Split,
    *,
    seen: str,
    reading: str,
    own_items: bool,
) -> dict[str, Sequence[Model]]:
    """Models and controls by name, one for each seed; ``PenchantError`` unless they can stand in one table: each trained on
    what the ``reading`` says of the ``split``, all choosing from the same items. With ``own_items`` neither is asked.
    """
    if seen not in SEEN:
        raise PenchantError(f"seen items are either to 'exclude' or to 'keep', not {seen!r}")
    if not models:
        raise PenchantError("no model was named")
    everyone = {name: _several(model) for name, model in models.items()}
    if twice := everyone.keys() & (controls or {}).keys():
        raise PenchantError(f"{min(twice)} names a model and a control; a table has one line for each")
    everyone |= {name: [control] for name, control in (controls or {}).items()}
    for name, same in everyone.items():
        if not same:
            raise PenchantError(f"{name} stands for no model")
        if not all(len(model.items) for model in same):
            raise PenchantError(f"{name} has learned nothing yet; fit it first")
    if not own_items:
        _check_alike(everyone)
        _check_learned(everyone, split, reading)
    return everyone


def _check_alike(models: Mapping[str, Sequence[Model]]) -> None:
    """``PenchantError`` unless all choose from the same items: a model with fewer to choose from has it easier."""
    (first, same), *_ = models.items()
    candidates = set(same[0].items.ids)
    for name, others in models.items():
        for model in others:
            if set(model.items.ids) != candidates:
                more = len(set(model.items.ids) - candidates)
                fewer = len(candidates - set(model.items.ids))
                raise PenchantError(
                    f"{name} and {first} can't stand in one table: {name} knows {more:,} items that {first} doesn't, and not "
                    f"{fewer:,} that it does; train both on the same part of the data, with the same reading"
                )


def _check_learned(models: Mapping[str, Sequence[Model]], split: Split, reading: str) -> None:
    """``PenchantError`` if one is known to have learned other events than the others."""
    expected, refit = seq.digest(learned_from(split, reading)), reading == "refit"
    for name, same in models.items():
        if any(model.learned_from not in ("", expected) for model in same):
            raise PenchantError(
                f"{name} was trained on other events than {trained_on(refit=refit)}: it may know the answers, and is no fair "
                f"match for others; fit it to {'before_test' if refit else 'train'} of this split, or name another reading"
            )


def learned_from(split: Split, reading: str) -> Sequences:
    """The part of a split that models have learned from."""
    return split.before_test if reading == "refit" else split.train


def trains_by_gradients(model: Model) -> bool:
    """Whether a network is in it; models without are called simple."""
    members = model.members.values() if isinstance(model, Blend) else ()
    return isinstance(model, NeuralModel) or any(map(trains_by_gradients, members))


def _several(model: Model | Sequence[Model]) -> Sequence[Model]:
    """The models of a name, one for each seed."""
    return [model] if isinstance(model, Model) else model
