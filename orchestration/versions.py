"""Versions of the libraries that shape a result; part of its key."""

from importlib.metadata import version


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed version of each distribution."""
    return {name: version(name) for name in sorted(names)}
