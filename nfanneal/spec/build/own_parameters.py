"""Which columns of θ, and which fixed numbers, are the parameters of a user's code."""

from __future__ import annotations

from nfanneal.model.latent import LatentMap
from nfanneal.spec.build.numbers import known_numbers
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.experiments import ExperimentMeaning, within


def own_parameters(
    checked: CheckedSpec, latent: LatentMap, experiment: ExperimentMeaning | None
) -> tuple[dict[str, slice | int], dict[str, float]]:
    """The columns of θ of each free parameter, and fixed numbers, as they are in an experiment."""
    columns: dict[str, slice | int] = {
        p.name: where.start if p.size is None else where
        for p, where in zip(latent.parameters, latent.slices().values(), strict=True)
    }
    numbers = known_numbers(checked)
    slices, fixed = {}, {}
    for parameter in checked.spec.parameters:
        own = within(parameter, experiment.name) if experiment else parameter
        name = own if own in columns or own in numbers else parameter
        if name in columns:
            slices[parameter] = columns[name]
        else:
            fixed[parameter] = numbers[name]
    return slices, fixed
