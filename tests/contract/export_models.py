"""Write the contract suite's SavedModels with real TensorFlow: `python export_models.py DIRECTORY`.

Run as a subprocess, so that the test process never imports TensorFlow.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf

_ECHOED = {
    "f32": tf.float32, "f64": tf.float64, "f16": tf.float16, "bf16": tf.bfloat16,
    "i8": tf.int8, "i16": tf.int16, "i32": tf.int32, "i64": tf.int64,
    "u8": tf.uint8, "u16": tf.uint16, "u32": tf.uint32, "u64": tf.uint64,
    "flag": tf.bool, "text": tf.string,
}  # fmt: skip


class Affine(tf.Module):
    """y = a * x + b over a vector, the smallest model with variables."""

    def __init__(self, *, a: float, b: float) -> None:
        """Keep the two weights as variables."""
        super().__init__()
        self.a = tf.Variable(a, name="a")
        self.b = tf.Variable(b, name="b")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x: Any) -> dict[str, Any]:
        """Answer one output, `y`."""
        return {"y": self.a * x + self.b}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([None], tf.float32, name="c")]
    )
    def two(self, x: Any, c: Any) -> dict[str, Any]:
        """Answer two outputs, one of them with another batch size when `c` has one."""
        return {"sum": self.a * x + self.b, "other": c * 2.0}


class Echo(tf.Module):
    """Every dtype that is commonly served, given back as it came."""

    @tf.function(input_signature=[tf.TensorSpec([None], dtype, name=name) for name, dtype in _ECHOED.items()])
    def serve(self, *tensors: Any) -> dict[str, Any]:
        """Answer each input under its own name with `_out` added."""
        return {f"{name}_out": tf.identity(tensor) for name, tensor in zip(_ECHOED, tensors, strict=True)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="raw")])
    def binary(self, raw: Any) -> dict[str, Any]:
        """Answer an output whose name asks for base64 in JSON."""
        return {"raw_bytes": tf.identity(raw)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int32, name="pair")])
    def matrix(self, pair: Any) -> dict[str, Any]:
        """Answer a matrix and its row sums."""
        return {"same": tf.identity(pair), "total": tf.reduce_sum(pair, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def division(self, x: Any) -> dict[str, Any]:
        """Answer 1/x, so that 0 gives infinity."""
        return {"inverse": 1.0 / x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def uneven(self, x: Any) -> dict[str, Any]:
        """Answer outputs of different batch sizes."""
        return {"all": tf.identity(x), "first": x[:1]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def scalar(self, x: Any) -> dict[str, Any]:
        """Answer a scalar."""
        return {"total": tf.reduce_sum(x)}


class Slow(tf.Module):
    """A request that takes at least as many milliseconds as it asks for."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="ms")])
    def serve(self, ms: Any) -> dict[str, Any]:
        """Sleep inside the graph."""
        from tensorflow.python.data.experimental.ops import testing

        pause = tf.data.Dataset.range(1).apply(testing.sleep(1000 * ms))
        return {"slept": ms + pause.reduce(tf.constant(0, tf.int64), lambda total, item: total + item)}


class Vocabulary(tf.Module):
    """A table that is filled from an asset file while the model is loaded."""

    def __init__(self, path: Path) -> None:
        """Fill the table from a file with one word per line."""
        super().__init__()
        lines = tf.lookup.TextFileInitializer(
            str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(lines, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def serve(self, word: Any) -> dict[str, Any]:
        """Answer each word's line number."""
        return {"line": self.table.lookup(word)}


class Leaflet(tf.Module):
    """A model with an asset that nothing reads."""

    def __init__(self, path: Path) -> None:
        """Keep the file as an asset."""
        super().__init__()
        self.asset = tf.saved_model.Asset(str(path))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x: Any) -> dict[str, Any]:
        """Answer twice the input."""
        return {"y": 2.0 * x}


def _save_with_assets(root: Path) -> None:
    """Models with a file under assets/, read at load by one and never by the other."""
    text = root / "words.txt"
    text.write_text("zero\none\n")
    vocabulary, leaflet = Vocabulary(text), Leaflet(text)
    tf.saved_model.save(vocabulary, str(root / "vocabulary" / "1"), {"serving_default": vocabulary.serve})
    tf.saved_model.save(leaflet, str(root / "leaflet" / "1"), {"serving_default": leaflet.serve})


def _save_tf1(directory: Path) -> None:
    """A graph of the TF1 kind: ref variables, restored by the loader."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        weight = v1.get_variable("weight", initializer=3.0, use_resource=False)
        y = tf.multiply(x, weight, name="y")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def main(root: Path) -> None:
    """Export every model under `root`, one numeric directory per version."""
    for version, weights in {1: (0.5, 2.0), 2: (1.0, 10.0), 3: (2.0, 100.0)}.items():
        affine = Affine(a=weights[0], b=weights[1])
        tf.saved_model.save(
            affine, str(root / "affine" / str(version)), {"serving_default": affine.serve, "two": affine.two}
        )
    echo = Echo()
    signatures = {
        "serving_default": echo.serve,
        "binary": echo.binary,
        "matrix": echo.matrix,
        "division": echo.division,
        "uneven": echo.uneven,
        "scalar": echo.scalar,
    }
    tf.saved_model.save(echo, str(root / "echo" / "1"), signatures)
    slow = Slow()
    tf.saved_model.save(slow, str(root / "slow" / "1"), {"serving_default": slow.serve})
    _save_with_assets(root)
    _save_tf1(root / "graph" / "1")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
