"""The JSON Schema of what ``validate --json`` prints."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.as_json import VALIDATED_FORMAT
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.schema_words import count, described, document, exactly, format_of


def validate_schema(*, closed: bool = False) -> Schema:
    """Of what was read, or all that is wrong with it; ``closed`` is the form for writers."""
    result = exactly(
        "Nothing is wrong.",
        format=format_of(VALIDATED_FORMAT),
        exit_code=described({"const": 0}, "the command's"),
        hosts=count("that the playbook is for"),
        services=count("of all hosts together"),
        plays=count(),
    )
    about = "What `validate` prints with `--json`: what it has read, or everything that is wrong."
    return document("fleetdeploy validate", about, EITHER, closed=closed, **or_error(result))
