"""Plants: one planted leak each, with the mechanism that the catalogue of leaks knows by an id."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leakage.site import Site

Act = Callable[[Site, np.random.Generator], None]


@dataclass(frozen=True)
class Plant:
    """A leak that can be planted in a copy of a site.

    Attributes:
        leak: id in the catalogue, L01 to L39.
        name: of this variant.
        mechanism: what is wrong, in a sentence.
        level: `data` (rows of the source or of an artefact) or `code` (SQL of a model or a function).
        task: whose artefacts it changes; a copy of this task alone is enough.
        hurts: whether an arm on counts is meant to gain from it in held-out.
    """

    leak: str
    name: str
    mechanism: str
    level: Literal["data", "code"]
    task: str
    hurts: bool
    act: Act

    def __call__(self, site: Site, rng: np.random.Generator) -> None:
        """Plant it, and make again what follows."""
        self.act(site, rng)


PLANTS: dict[str, Plant] = {}


def plant(
    leak: str, *, level: Literal["data", "code"], task: str, hurts: bool = False
) -> Callable[[Act], Act]:
    """Register a function as a plant; its name is the variant's, its docstring the mechanism."""

    def register(act: Act) -> Act:
        name = f"{leak}_{act.__name__}"
        assert name not in PLANTS and act.__doc__, name
        PLANTS[name] = Plant(leak, name, " ".join(act.__doc__.split()), level, task, hurts, act)
        return act

    return register
