"""Environments of their own for Polars and es-aces, which are no dependencies of the project."""

import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = {"polars": ["polars==2.1.0"], "es-aces": ["es-aces==0.7.3", "polars==1.44.2"]}
NAMED = ("polars", "es-aces", "meds", "pyarrow")


def environment(folder: Path, name: str) -> Path:
    """Return the `bin` of an environment with the requirements of `name`, made by pip if it is not there."""
    home = folder / f"environment-{name}"
    if not (home / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(home / "bin" / "pip"), "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *REQUIREMENTS[name]], check=True)
        (home / "installed").touch()
    return home / "bin"


def versions(binaries: Path) -> dict[str, str]:
    """Return the versions of the libraries that matter in an environment."""
    command = [str(binaries / "pip"), "--disable-pip-version-check", "list", "--format", "json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {row["name"]: row["version"] for row in found if row["name"] in NAMED}
