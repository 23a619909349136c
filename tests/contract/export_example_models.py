"""Write SavedModels over serialized tf.Examples with real TensorFlow: `python export_example_models.py DIRECTORY`.

`examples` is of the TF1 kind, with a signature for each thing that can be right or wrong about one; `functions` is what
tf.saved_model.save makes, where every signature is a predict signature. Run as a subprocess, so that the test process
never imports TensorFlow.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf

_FEATURES = {
    "x": tf.io.FixedLenFeature([1], tf.float32),
    "bias": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    "count": tf.io.FixedLenFeature([1], tf.int64, default_value=[0]),
    "name": tf.io.FixedLenFeature([1], tf.string, default_value=[""]),
}


def _save_graph(directory: Path) -> None:
    """A TF1 graph with a variable: scores [x + bias, x * weight], labels low and high, and variations on them."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="examples")
        number = v1.placeholder(tf.float32, [None], name="number")
        weight = v1.get_variable("weight", initializer=2.0)
        row = tf.io.parse_example(examples, _FEATURES)
        x, bias = row["x"], row["bias"]
        scores = tf.concat([x + bias, x * weight], axis=1)
        classes = tf.tile([["low", "high"]], [tf.shape(x)[0], 1])
        doubled = x * weight + bias
        everything = doubled + tf.cast(row["count"], tf.float32) + tf.cast(tf.strings.length(row["name"]), tf.float32)
        signatures = {
            "serving_default": ("classify", {"inputs": examples}, {"classes": classes, "scores": scores}),
            "only_scores": ("classify", {"inputs": examples}, {"scores": scores}),
            "only_classes": ("classify", {"inputs": examples}, {"classes": classes}),
            "flat_scores": ("classify", {"inputs": examples}, {"scores": x[:, 0]}),
            "flat_classes": ("classify", {"inputs": examples}, {"classes": classes[:, 0]}),
            "whole_scores": ("classify", {"inputs": examples}, {"scores": tf.cast(scores, tf.int32)}),
            "whole_classes": ("classify", {"inputs": examples}, {"classes": scores}),
            "first_scores": ("classify", {"inputs": examples}, {"scores": scores[:1]}),
            "first_classes": ("classify", {"inputs": examples}, {"classes": classes[:1]}),
            "uneven": ("classify", {"inputs": examples}, {"classes": classes[:, :1], "scores": scores}),
            "logits": ("classify", {"inputs": examples}, {"logits": scores}),
            "three": ("classify", {"inputs": examples}, {"classes": classes, "scores": scores, "more": x}),
            "misnamed": ("classify", {"examples": examples}, {"scores": scores}),
            "two_inputs": ("classify", {"inputs": examples, "number": number}, {"scores": scores}),
            "regress": ("regress", {"inputs": examples}, {"outputs": doubled}),
            "flat": ("regress", {"inputs": examples}, {"outputs": doubled[:, 0]}),
            "features": ("regress", {"inputs": examples}, {"outputs": everything}),
            "inverse": ("regress", {"inputs": examples}, {"outputs": 1.0 / x}),
            "wide": ("regress", {"inputs": examples}, {"outputs": scores}),
            "total": ("regress", {"inputs": examples}, {"outputs": tf.reduce_sum(x, axis=0)}),
            "whole": ("regress", {"inputs": examples}, {"outputs": tf.cast(doubled, tf.int64)}),
            "misnamed_regress": ("regress", {"examples": examples}, {"outputs": doubled}),
            "predict": ("predict", {"number": number}, {"double": number * weight}),
            "strange": ("guess", {"number": number}, {"double": number * weight}),
        }
        build = v1.saved_model.utils.build_tensor_info
        definitions = {
            name: v1.saved_model.build_signature_def(
                {alias: build(tensor) for alias, tensor in inputs.items()},
                {alias: build(tensor) for alias, tensor in outputs.items()},
                f"tensorflow/serving/{method}",
            )
            for name, (method, inputs, outputs) in signatures.items()
        }
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(session, ["serve"], definitions)
        builder.save()


class Functions(tf.Module):
    """What a TF2 user exports for Classify and Regress."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def score(self, inputs: Any) -> dict[str, Any]:
        """Answer x and its double as scores."""
        x = tf.io.parse_example(inputs, _FEATURES)["x"]
        return {"scores": tf.concat([x, 2.0 * x], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: Any) -> dict[str, Any]:
        """Answer x as it is."""
        return {"outputs": tf.io.parse_example(inputs, _FEATURES)["x"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def slow(self, inputs: Any) -> dict[str, Any]:
        """Sleep x milliseconds of the first example."""
        from tensorflow.python.data.experimental.ops import testing

        x = tf.io.parse_example(inputs, _FEATURES)["x"]
        pause = tf.data.Dataset.range(1).apply(testing.sleep(tf.cast(1000.0 * x[0, 0], tf.int64)))
        slept = pause.reduce(tf.constant(0, tf.int64), lambda total, item: total + item)
        return {"outputs": x + tf.cast(slept, tf.float32)}


def main(root: Path) -> None:
    """Export both models under `root`, one numeric directory each."""
    _save_graph(root / "examples" / "1")
    functions = Functions()
    tf.saved_model.save(
        functions,
        str(root / "functions" / "1"),
        {"serving_default": functions.score, "regress": functions.regress, "slow": functions.slow},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
