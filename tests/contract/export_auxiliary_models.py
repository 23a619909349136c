"""Write models for batching, warm-up and TensorFlow Lite with real TensorFlow: `python export_auxiliary_models.py DIR`.

Run as a subprocess, so that the test process never imports TensorFlow.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf

FLOATS = tf.TensorSpec([None], tf.float32)


def _rows(tensor: Any) -> Any:
    """Number of rows of the run, once per row, so that it survives the splitting of a batch."""
    count = tf.shape(tensor)[0]
    return tf.fill([count], count)


class Batched(tf.Module):
    """Functions that tell with how many rows they were run."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x: Any) -> dict[str, Any]:
        """Answer 2x."""
        return {"y": 2.0 * x, "rows": _rows(x)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([None], tf.int64, name="ms")]
    )
    def slow(self, x: Any, ms: Any) -> dict[str, Any]:
        """Answer after as many milliseconds as the slowest row asks for."""
        from tensorflow.python.data.experimental.ops import testing

        pause = tf.data.Dataset.range(1).apply(testing.sleep(1000 * tf.reduce_max(ms)))
        slept = pause.reduce(tf.constant(0, tf.int64), lambda total, item: total + item)
        return {"y": x + tf.cast(slept, tf.float32), "rows": _rows(x)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="m")])
    def matrix(self, m: Any) -> dict[str, Any]:
        """Answer the matrix itself."""
        return {"same": tf.identity(m), "rows": _rows(m)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def text(self, text: Any) -> dict[str, Any]:
        """Answer the texts with a mark."""
        return {"marked": tf.strings.join([text, "!"]), "rows": _rows(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def total(self, x: Any) -> dict[str, Any]:
        """Answer a scalar, which cannot be split."""
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def first(self, x: Any) -> dict[str, Any]:
        """Answer one row whatever comes in."""
        return {"first": x[:1]}


class Counting(tf.Module):
    """Counts the requests it has had."""

    def __init__(self) -> None:
        """Begin at 0."""
        super().__init__()
        self.count = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x: Any) -> dict[str, Any]:
        """Add x and answer the sum so far."""
        return {"so_far": self.count.assign_add(tf.reduce_sum(x))[tf.newaxis]}


def _float_lite() -> bytes:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def halved(x: Any) -> Any:
        return tf.identity(0.5 * x + 2.0, name="y")

    return _converted(halved)


def _two_lite() -> bytes:
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="f"), tf.TensorSpec([None], tf.int32, name="n")]
    )
    def both(f: Any, n: Any) -> Any:
        return {"f2": f + f, "n2": n + n}

    return _converted(both)


def _text_lite() -> bytes:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def agreed(text: Any) -> Any:
        return tf.equal(text, "yes")

    return _converted(agreed)


def _words_lite() -> bytes:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="n")])
    def word(n: Any) -> Any:
        return tf.gather(tf.constant(["none", "one", "two"]), n)

    return _converted(word)


def _converted(function: Any) -> bytes:
    concrete = function.get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], function).convert())


def _with_signature(model: bytes, name: str, inputs: dict[str, str], outputs: dict[str, str]) -> bytes:
    """Put a SignatureDef into a model's metadata, where TensorFlow Serving looks for it."""
    import flatbuffers
    from flatbuffers import flexbuffers
    from tensorflow.core.protobuf import meta_graph_pb2
    from tensorflow.lite.python import schema_py_generated as schema

    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for infos, named in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for alias, tensor in named.items():
            infos[alias].name, infos[alias].dtype = tensor, tf.float32.as_datatype_enum
            infos[alias].tensor_shape.unknown_rank = True
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key(name)
        builder.String(signature.SerializeToString().decode("ascii"))
    unpacked = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    buffer, metadata = schema.BufferT(), schema.MetadataT()
    buffer.data = list(builder.Finish())
    metadata.name, metadata.buffer = "signature_defs_metadata", len(unpacked.buffers)
    unpacked.buffers.append(buffer)
    unpacked.metadata = [*(unpacked.metadata or []), metadata]
    packer = flatbuffers.Builder(1024)
    packer.Finish(unpacked.Pack(packer), file_identifier=b"TFL3")
    return bytes(packer.Output())


def _write_records(file: Path) -> None:
    """Write two recorded requests to the model that counts, with TensorFlow's own writer."""
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "counting"
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0], tf.float32))
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(log.SerializeToString())
        writer.write(log.SerializeToString())


def main(root: Path) -> None:
    """Export every model under `root`, one numeric directory per version."""
    batched = Batched()
    signatures = {name: getattr(batched, name) for name in ("slow", "matrix", "text", "total", "first")}
    tf.saved_model.save(batched, str(root / "batched" / "1"), {"serving_default": batched.serve, **signatures})
    counting = Counting()
    tf.saved_model.save(counting, str(root / "counting" / "1"), {"serving_default": counting.serve})
    _write_records(root / "counting.tfrecord")
    halved = _float_lite()
    tensors = tf.lite.Interpreter(model_content=halved)
    names = [detail[0]["name"] for detail in (tensors.get_input_details(), tensors.get_output_details())]
    lite = {
        "lite_float": halved,
        "lite_two": _two_lite(),
        "lite_text": _text_lite(),
        "lite_words": _words_lite(),
        "lite_signed": _with_signature(halved, "named", {"in": names[0]}, {"out": names[1]}),
        "lite_astray": _with_signature(halved, "named", {"in": "nowhere"}, {"out": names[1]}),
    }
    for name, content in lite.items():
        (root / name / "1").mkdir(parents=True)
        (root / name / "1" / "model.tflite").write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
