"""`second-opinion`: the front door. It prepares the surroundings once and then runs Dagster."""

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.artefact import read_json
from ml.strict import InputError
from orchestration.home import ROOT
from orchestration.platform import Platform, now, platform_of

LOOPBACK = "127.0.0.1"
MODULE = "orchestration.definitions"

# Offline and silent: nothing leaves this machine (each switch: the library's own documentation).
SURROUNDINGS = {
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "GX_ANALYTICS_ENABLED": "false",
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse a command and carry it out; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="second-opinion",
        description="Decide between a specialist clinical model and a general-purpose language model,"
        " on your own patients. Set SECOND_OPINION_STUDY, _SOURCE, _HOME and _MODELS.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="materialise the study, or a selection of it, and say what it found"
    )
    run.add_argument("--select", default="*", help="Dagster asset selection, such as 'group:dhf_1y'")
    run.add_argument("--download", action="store_true", help="fetch missing model weights from a hub")
    ui = commands.add_parser("ui", help="the Dagster UI on loopback, read-only, and the daemon")
    ui.add_argument(
        "--write", action="store_true", help="let the UI start and delete things (prints the risk)"
    )
    ui.add_argument("--port", type=int, default=3000)
    commands.add_parser("env", help="print the environment that `run` sets, as shell exports")
    given = parser.parse_args(arguments)
    try:
        _make_paths_absolute()
        platform = platform_of(os.environ)
        environment = prepare(platform, download=getattr(given, "download", False))
        if given.command == "run":
            return _run(platform, environment, given.select)
        if given.command == "ui":
            return _ui(environment, port=given.port, write=given.write)
        return _env(environment)
    except InputError as error:
        print(f"second-opinion: {error}", file=sys.stderr)
        return 2


def _make_paths_absolute() -> None:
    """Resolve the variables of the contract here: Dagster and its children run in another folder."""
    for name in ("STUDY", "SOURCE", "HOME", "MODELS"):
        given = os.environ.get(f"SECOND_OPINION_{name}")
        # A study may also be named relative to the project, as in its default.
        if given and (name != "STUDY" or Path(given).exists()):
            os.environ[f"SECOND_OPINION_{name}"] = str(Path(given).expanduser().resolve())


def prepare(platform: Platform, *, download: bool = False) -> dict[str, str]:
    """Set up the home's Dagster instance once, under a lock; return the environment for Dagster.

    Two first starts at once can break an instance for good (alembic: more than one head), so its
    database is made by one process before anything else.
    """
    dagster_home = platform.home.root / "dagster"
    dagster_home.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        **SURROUNDINGS,
        **({"SECOND_OPINION_DOWNLOAD": "1"} if download else OFFLINE),
        "DAGSTER_HOME": str(dagster_home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    with (dagster_home / "init.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        shutil.copyfile(ROOT / "dagster.yaml", dagster_home / "dagster.yaml")
        if not (dagster_home / "initialised").exists():
            command = [sys.executable, "-m", "dagster", "instance", "info"]
            subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            (dagster_home / "initialised").touch()
    return environment


def _run(platform: Platform, environment: dict[str, str], select: str) -> int:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", MODULE, "--select", select]
    started = now()
    code = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    closing = platform.home.closing
    if closing.exists() and read_json(closing)["report_at"] >= started:
        print(_closing_words(platform, code, platform.home.report / "index.html"))
    else:
        print(f"\nThis run ended with exit code {code} and without a report; nothing made before was lost")
    return code


def _closing_words(platform: Platform, code: int, report: Path) -> str:
    """Return where the report is and what it says, in a few lines."""
    lines = [f"\nReport: {report}"]
    summary = platform.home.report / "summary.txt"
    if summary.exists():
        lines.append(summary.read_text(encoding="utf-8").rstrip())
    if code:
        lines.append(
            f"The run ended with exit code {code}: something was refused or failed; the report says what"
        )
    return "\n".join(lines)


def _ui(environment: dict[str, str], *, port: int, write: bool) -> int:
    """Run webserver and daemon until one ends or the user interrupts."""
    at = ["-m", MODULE, "-d", str(ROOT)]
    webserver = [sys.executable, "-m", "dagster_webserver", "-h", LOOPBACK, "-p", str(port), *at]
    if write:
        print(
            "The UI can now start and delete runs, without a password: any page open in a browser on this"
            " machine can send it commands. Keep it on loopback, and end it when you are done."
        )
    else:
        webserver.append("--read-only")
    print(f"UI: http://{LOOPBACK}:{port}", flush=True)
    daemon = [sys.executable, "-m", "dagster._daemon", "run", *at]
    # Ended from outside it would leave a daemon behind, which starts runs.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = [subprocess.Popen(command, env=environment, cwd=ROOT) for command in (webserver, daemon)]
    try:
        while all(process.poll() is None for process in started):
            try:
                started[0].wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
    except KeyboardInterrupt:
        return 0
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:  # still starting: it does not listen yet
                process.kill()
                process.wait()
    return max(process.returncode or 0 for process in started)


def _env(environment: dict[str, str]) -> int:
    names = ("DAGSTER_HOME", *SURROUNDINGS, *OFFLINE)
    for name in names:
        if name in environment:
            print(f"export {name}={shlex.quote(environment[name])}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
