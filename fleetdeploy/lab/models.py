"""The lab's models: two small real ones, exported by TensorFlow, with golden requests recorded from their own answers.

``python -m fleetdeploy.lab.models DEST`` writes ``DEST/models/<model>/<version>/`` and ``DEST/golden/<model>.jsonl``:

- ``ranker`` 1, 2 and 4: a dense scorer, other weights in each version. Version 3 is exported whole and then loses its
  ``variables/``: a server loads it, calls it AVAILABLE and fails every request. Its golden lines are those of the whole
  export, as a release process would have recorded them.
- ``embedder`` 1 and 2: looks tokens up in a vocabulary file and answers the normalised mean of their vectors.

Every version directory is about a megabyte, most of it an asset that all versions of the model share. Apart from the
stand-in server this is the only file that imports the TensorFlow runtime, and only inside its exporting functions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import LabError
from fleetdeploy.tfserving import golden, tensors

VERSIONS: Final[Mapping[str, tuple[int, ...]]] = {"ranker": (1, 2, 3, 4), "embedder": (1, 2)}
"""What is exported, by model."""

BROKEN: Final = ("ranker", 3)
"""The version that loads and then fails every request."""

FEATURES: Final = 8
WORDS: Final = 12_000
DIMENSIONS: Final = 8
_HIDDEN: Final = 256
_DESCRIPTION: Final = "Export the lab's models with TensorFlow, and record golden requests from their own answers."
_STAMP: Final = "models/.export.json"
"""Below ``models/``: a file beside it would be read as an inventory where the destination is one's directory."""

_OLD_STAMP: Final = "export.json"


def export_all(destination: Path, *, seed: int = 20) -> Path:
    """Export every model under ``destination`` in one go; weights, and so answers, depend on ``seed`` alone.

    ``models/`` and ``golden/`` appear by rename, complete; an earlier export is replaced. Takes one TensorFlow process
    a few seconds. Raises LabError when TensorFlow is not installed or ``destination`` holds somebody else's files.
    """
    _refuse_foreign(destination)
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=destination) as scratch:
        fresh = Path(scratch)
        (fresh / "golden").mkdir()
        with _temporary_files_in(fresh):
            _export_into(fresh, seed)
        for stamp in (_STAMP, _OLD_STAMP):
            (destination / stamp).unlink(missing_ok=True)
        for name in ("models", "golden"):
            shutil.rmtree(destination / name, ignore_errors=True)
            (fresh / name).rename(destination / name)
    (destination / _STAMP).write_text(_recipe(seed), encoding="utf-8")
    return destination


@contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    """TensorFlow writes the functions it traces to temporary files that outlive a process that is killed."""
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    try:
        yield
    finally:
        tempfile.tempdir = before


def is_exported(destination: Path, *, seed: int = 20) -> bool:
    """Whether ``destination`` holds a complete export of this very recipe, so that it need not be made again."""
    try:
        return (destination / _STAMP).read_text(encoding="utf-8") == _recipe(seed)
    except OSError:
        return False


def _recipe(seed: int) -> str:
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return json.dumps({"made_by": "fleetdeploy.lab.models", "recipe": source, "seed": seed}) + "\n"


def _refuse_foreign(destination: Path) -> None:
    ours = any((destination / stamp).exists() for stamp in (_STAMP, _OLD_STAMP))
    if not ours and any((destination / name).exists() for name in ("models", "golden")):
        hint = "name another directory, or remove its models/ and golden/"
        raise LabError("holds models that the lab did not export", where=str(destination), hint=hint)


def _export_into(destination: Path, seed: int) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it announces itself on stderr
    try:
        import numpy as np  # noqa: PLC0415 - together with TensorFlow: seconds that only an export may cost
        import tensorflow as tf  # noqa: PLC0415
    except ImportError as error:
        raise LabError(f"models cannot be exported: {error}", hint="install the `lab` extra") from error
    tf.random.set_seed(seed)
    for model, versions in VERSIONS.items():
        asset = _write_asset(destination, model)
        lines: list[str] = []
        for version in versions:
            weights = np.random.default_rng([seed, sorted(VERSIONS).index(model), version])
            directory = destination / "models" / model / str(version)
            build = _save_ranker if model == "ranker" else _save_embedder
            build(tf, weights, directory, asset)
            lines += [golden.record(request) for request in _record(tf, model, version, directory)]
            if (model, version) == BROKEN:
                shutil.rmtree(directory / "variables")
        (destination / "golden" / f"{model}.jsonl").write_text("".join(lines), encoding="utf-8")
        asset.unlink()


def _write_asset(destination: Path, model: str) -> Path:
    """The file that all versions of a model share: a word and where it was seen, one line for each id."""
    asset = destination / f"{model}-vocabulary.tsv"
    lines = (f"{_word(number)}\t{hashlib.sha256(_word(number).encode()).hexdigest()}\n" for number in range(WORDS))
    asset.write_text("".join(lines), encoding="utf-8")
    return asset


def _word(number: int) -> str:
    return f"word{number:05d}"


def _save_ranker(tf: Any, weights: Any, directory: Path, asset: Path) -> None:
    """``serving_default``: features float32 [n, 8] to score [n, 1]; ``with_id`` passes a string id through as well."""
    module = tf.Module()
    module.vocabulary = tf.saved_model.Asset(str(asset))
    module.first = tf.Variable(weights.normal(0, 0.5, (FEATURES, _HIDDEN)).astype("float32"))
    module.second = tf.Variable(weights.normal(0, 0.1, (_HIDDEN, _HIDDEN)).astype("float32"))
    module.last = tf.Variable(weights.normal(0, 0.2, (_HIDDEN, 1)).astype("float32"))
    module.bias = tf.Variable(weights.normal(0, 3.0, (1,)).astype("float32"))

    def score(features: Any) -> Any:
        hidden = tf.nn.relu(tf.matmul(features, module.first))
        return tf.matmul(tf.nn.tanh(tf.matmul(hidden, module.second)), module.last) + module.bias

    features = tf.TensorSpec([None, FEATURES], tf.float32, name="features")
    identity = tf.TensorSpec([None], tf.string, name="id")
    plain = tf.function(lambda features: {"score": score(features)}, input_signature=[features])
    with_id = tf.function(
        lambda id, features: {"id": tf.identity(id), "score": score(features)},  # noqa: A006 - the input's name
        input_signature=[identity, features],
    )
    tf.saved_model.save(module, str(directory), {"serving_default": plain, "with_id": with_id})


def _save_embedder(tf: Any, weights: Any, directory: Path, asset: Path) -> None:
    """``serving_default``: tokens int64 [n, m] to embedding [n, 8] of length 1; ``words`` takes strings [n, m]."""
    module = tf.Module()
    table = tf.lookup.TextFileInitializer(
        str(asset), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, vocab_size=WORDS, delimiter="\t"
    )
    module.table = tf.lookup.StaticHashTable(table, default_value=0)
    module.vectors = tf.Variable(weights.normal(0, 1, (WORDS, DIMENSIONS)).astype("float32"))

    def embed(tokens: Any) -> dict[str, Any]:
        mean = tf.reduce_mean(tf.gather(module.vectors, tokens), axis=1)
        return {"embedding": tf.math.l2_normalize(mean, axis=1)}

    by_number = tf.function(embed, input_signature=[tf.TensorSpec([None, None], tf.int64, name="tokens")])
    by_word = tf.function(
        lambda words: embed(module.table.lookup(words)),
        input_signature=[tf.TensorSpec([None, None], tf.string, name="words")],
    )
    tf.saved_model.save(module, str(directory), {"serving_default": by_number, "words": by_word})


def _record(tf: Any, model: str, version: int, directory: Path) -> list[GoldenRequest]:
    """Load the export back and keep what it answers."""
    loaded = tf.saved_model.load(str(directory))
    requests: list[GoldenRequest] = []
    for name, signature, inputs, dtypes in _requests(model):
        fed = {key: tf.constant(value, dtype=tf.as_dtype(dtypes[key])) for key, value in inputs.items()}
        answer = loaded.signatures[signature](**fed)
        outputs = {key: tensors.from_proto(tf.make_tensor_proto(value)) for key, value in sorted(answer.items())}
        requests.append(GoldenRequest(name, inputs, outputs, version=version, signature=signature, dtypes=dtypes))
    return requests


def _requests(model: str) -> list[tuple[str, str, dict[str, object], dict[str, str]]]:
    """(name, signature, inputs, dtypes) of every recorded request; the same for all versions."""
    if model == "ranker":
        rows = [[round((row + 1) * (column - 3) / 10, 3) for column in range(FEATURES)] for row in range(3)]
        number, text = {"features": "float32"}, {"id": "string", "features": "float32"}
        return [
            ("one row", "serving_default", {"features": rows[:1]}, number),
            ("three rows", "serving_default", {"features": rows}, number),
            ("zeros", "serving_default", {"features": [[0.0] * FEATURES]}, number),
            ("with id", "with_id", {"id": ["item-1", "größe"], "features": rows[:2]}, text),
        ]
    return [
        ("one token", "serving_default", {"tokens": [[7]]}, {"tokens": "int64"}),
        ("two sentences", "serving_default", {"tokens": [[1, 2, 3], [40, 500, 6000]]}, {"tokens": "int64"}),
        ("words", "words", {"words": [[_word(1), _word(2), _word(3)]]}, {"words": "string"}),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Export the models unless DEST already holds them; 0 when they are there."""
    parser = argparse.ArgumentParser(prog="python -m fleetdeploy.lab.models", description=_DESCRIPTION)
    parser.add_argument("destination", type=Path, metavar="DEST", help="directory to write models/ and golden/ into")
    parser.add_argument("--seed", type=int, default=20, help="seed of all weights (default: 20)")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that scratch files are removed
    try:
        if not is_exported(chosen.destination, seed=chosen.seed):
            export_all(chosen.destination, seed=chosen.seed)
        sys.stderr.write(f"models/ and golden/ are in {chosen.destination}\n")
    except LabError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
