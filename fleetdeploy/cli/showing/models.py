"""``fleetdeploy models``: what model directories hold, without contacting a host and without TensorFlow."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleetdeploy.cli import options

_MODELS = Path("models")
_INSPECT_EPILOG = """\
examples:
  fleetdeploy models inspect models/ranker/8
  fleetdeploy models inspect models/ranker     # all versions, what changed
  fleetdeploy models inspect models/ranker/8 --json

exit codes: 0 complete · 2 no such path, or not a model ·
  7 something keeps a version from being served

Operations to "look at" can reach files, the network or other processes; they do
not change the exit code. Those that every export uses for its own checkpoint
(SaveV2, RestoreV2, MergeV2Checkpoints) are not named.

--json, stable (`fleetdeploy schema model`): format, exit_code, path,
  ignored [names that are no versions],
  versions [{directory, version, size_bytes, files {path: bytes},
    tensorflow_version, tensorflow_git_version, tag_sets [[tag]],
    signatures {name: {method, inputs|outputs
      {name: {dtype, shape [number or null] or null, has_default}}}},
    variables {needed, index, index_complete,
      shards [{expected, present [numbers]}]},
    assets {name: present}, warmup, tflite (true, false, or null without one),
    nodes, devices {name: {nodes, example}}, risky_ops {op: {nodes, why}},
    fingerprint {name: hexadecimal}, problems [{message, where, hint}]}],
  signature_changes [{from, to,
    changes [{signature, what, before, after, why, breaking}]}]
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "models",
        help="look into model directories",
        description="What model directories hold. No host is contacted, and no model code runs.",
        epilog="example:\n  fleetdeploy models inspect models/ranker/8",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    text = "signatures, variables, assets, devices and problems of a model or one version"
    inspect = verbs.add_parser("inspect", help=text, description=text.capitalize() + ".", epilog=_INSPECT_EPILOG)
    inspect.add_argument("path", type=Path, metavar="PATH", help="a version directory, or one that holds versions")
    options.add_output(inspect, quiet="only the last line", verbose="")
    inspect.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    """0, or 7 when something keeps a version from being served. Raises InputError for a path that is no model."""
    from fleetdeploy.errors import ArtefactRefused
    from fleetdeploy.report import model_text
    from fleetdeploy.tfserving.inspection import inspect_path

    _check_there(arguments.path)
    found = inspect_path(arguments.path)
    code = ArtefactRefused.exit_code if found.problems else 0
    if arguments.json:
        _print_json(model_text.as_json(found, exit_code=code))
        return code
    from fleetdeploy.report import terminal

    out = terminal.console(stderr=False, no_color=arguments.no_color)
    if not arguments.quiet:
        for line in model_text.lines(found):
            out.print(line)
    out.print(model_text.last_line(found), style="bold")
    return code


def _check_there(path: Path) -> None:
    """Raises InputError for a path that does not exist, with the nearest one that does."""
    from fleetdeploy.config.syntax.suggest import missing_part
    from fleetdeploy.errors import InputError

    if path.exists() or path.is_symlink():
        return
    missing, hint = missing_part(path)
    if not path.is_absolute() and (_MODELS / path).is_dir():
        hint = f"did you mean {_MODELS / path}?"
    raise InputError("does not exist" if missing == path else f"{missing} does not exist", where=str(path), hint=hint)


def _print_json(value: object) -> None:
    """As all commands print it; their module reads playbooks and templates, which would cost more than the model."""
    import json
    import sys

    sys.stdout.write(json.dumps(value, indent=2) + "\n")
