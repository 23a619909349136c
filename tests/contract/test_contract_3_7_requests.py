"""Section 3.7 of the contract: Predict and GetModelMetadata over gRPC."""

from contract_server import ModelServer, floats, milliseconds, refused, spec, tensor

from fleetdeploy.tfserving import stubs


def test_metadata_has_the_signatures(steady: ModelServer) -> None:
    """GetModelMetadata answers the resolved version and the signatures, packed as SignatureDefMap."""
    answer = steady.metadata("affine", "signature_def")
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("affine", 2)
    signatures = stubs.get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["x"].dtype == 1


def test_metadata_knows_one_field(steady: ModelServer) -> None:
    """Any other metadata field, or none, is INVALID_ARGUMENT."""
    with refused("INVALID_ARGUMENT", "Metadata field weights is not supported"):
        steady.metadata("affine", "weights")
    with refused("INVALID_ARGUMENT", "at least one metadata_field"):
        steady.metadata("affine")


def test_metadata_of_what_is_not_there(steady: ModelServer) -> None:
    """Metadata of an unknown model or version is NOT_FOUND, without a model spec INVALID_ARGUMENT."""
    with refused("NOT_FOUND", "Servable not found for request: Latest(nobody)"):
        steady.metadata("nobody", "signature_def")
    with refused("NOT_FOUND", "Servable not found for request: Specific(affine, 9)"):
        steady.metadata("affine", "signature_def", version=9)
    module = stubs.get_model_metadata_pb2
    request = module.GetModelMetadataRequest(metadata_field=["signature_def"])
    with refused("INVALID_ARGUMENT", "Missing ModelSpec"):
        steady.call("PredictionService/GetModelMetadata", request, module.GetModelMetadataResponse)


def test_metadata_by_version_and_label(steady: ModelServer) -> None:
    """Metadata resolves versions and labels as requests do."""
    for asked in ({"version": 1}, {"label": "stable"}):
        assert steady.metadata("affine", "signature_def", **asked).model_spec.version.value == 1


def test_predict_resolves_version_and_signature(steady: ModelServer) -> None:
    """Without a version the largest answers, and the answer names version and signature."""
    answer = steady.predict("affine", x=floats(1.0, 2.0))
    assert list(answer.outputs["y"].float_val) == [11.0, 12.0]
    assert answer.model_spec.version.value == 2
    assert answer.model_spec.signature_name == "serving_default"
    assert steady.y(x=2.0, version=1) == 3.0
    assert steady.y(x=2.0, label="stable") == 3.0


def test_answers_come_in_typed_fields(steady: ModelServer) -> None:
    """Every dtype comes back in its own field, with its shape, and never as tensor_content."""
    sent = {
        "f32": tensor("DT_FLOAT", "float_val", [1.5, -2.0]),
        "f64": tensor("DT_DOUBLE", "double_val", [1e300, 0.1]),
        "f16": tensor("DT_HALF", "half_val", [0x3C00, 0xC000]),
        "bf16": tensor("DT_BFLOAT16", "half_val", [0x3F80, 0xC000]),
        "i8": tensor("DT_INT8", "int_val", [-128, 127]),
        "i16": tensor("DT_INT16", "int_val", [-32768, 32767]),
        "i32": tensor("DT_INT32", "int_val", [-(2**31), 2**31 - 1]),
        "i64": tensor("DT_INT64", "int64_val", [-(2**63), 2**63 - 1]),
        "u8": tensor("DT_UINT8", "int_val", [0, 255]),
        "u16": tensor("DT_UINT16", "int_val", [0, 65535]),
        "u32": tensor("DT_UINT32", "uint32_val", [0, 2**32 - 1]),
        "u64": tensor("DT_UINT64", "uint64_val", [0, 2**64 - 1]),
        "flag": tensor("DT_BOOL", "bool_val", [True, False]),
        "text": tensor("DT_STRING", "string_val", [b"", b"\x00long enough to be on the heap\xff"]),
    }
    answer = steady.predict("echo", **sent)
    assert {name: answer.outputs[f"{name}_out"] for name in sent} == sent


def test_tensor_content_and_repeated_last_value_are_understood(steady: ModelServer) -> None:
    """Inputs may come as tensor_content, or as fewer values than the shape holds, the last one repeated."""
    packed = stubs.tensor_pb2.TensorProto(dtype=1, tensor_content=b"\x00\x00\x80\x3f" * 3)
    packed.tensor_shape.dim.add().size = 3
    assert list(steady.predict("affine", x=packed).outputs["y"].float_val) == [11.0] * 3
    assert (
        list(steady.predict("affine", x=tensor("DT_FLOAT", "float_val", [1.0], [3])).outputs["y"].float_val)
        == [11.0] * 3
    )


def test_large_answers_are_whole(steady: ModelServer) -> None:
    """A megabyte of floats comes back in order."""
    values = [float(number) for number in range(250_000)]
    assert list(steady.predict("affine", x=floats(*values)).outputs["y"].float_val) == [value + 10 for value in values]


def test_empty_batch_is_answered(steady: ModelServer) -> None:
    """A tensor without elements gives one without elements."""
    assert steady.predict("affine", x=floats()).outputs["y"].tensor_shape.dim[0].size == 0


def test_output_filter(steady: ModelServer) -> None:
    """The filter chooses outputs; an unknown or a repeated one is INVALID_ARGUMENT."""
    inputs = {"x": floats(1.0), "c": floats(4.0)}
    answer = steady.predict("affine", spec=spec(signature="two"), wanted=("other",), **inputs)
    assert {name: list(value.float_val) for name, value in answer.outputs.items()} == {"other": [8.0]}
    with refused("INVALID_ARGUMENT", "output tensor alias not found in signature: z"):
        steady.predict("affine", spec=spec(signature="two"), wanted=("z",), **inputs)
    with refused("INVALID_ARGUMENT", "duplicate output tensor alias: sum"):
        steady.predict("affine", spec=spec(signature="two"), wanted=("sum", "sum"), **inputs)


def test_wrong_inputs_are_refused(steady: ModelServer) -> None:
    """Missing, surplus and misnamed inputs, and tensors that do not parse, are INVALID_ARGUMENT."""
    with refused("INVALID_ARGUMENT", "input size does not match signature: 0!=1", "Missing but required: {x}"):
        steady.predict("affine")
    with refused("INVALID_ARGUMENT", "input size does not match signature: 2!=1", "Sent extra: {z}"):
        steady.predict("affine", x=floats(1.0), z=floats(1.0))
    with refused("INVALID_ARGUMENT"):
        steady.predict("affine", z=floats(1.0))
    with refused("INVALID_ARGUMENT", "tensor parsing error: x"):
        steady.predict("affine", x=stubs.tensor_pb2.TensorProto(dtype=1, tensor_content=b"123"))
    with refused("INVALID_ARGUMENT"):
        steady.predict("affine", x=tensor("DT_STRING", "string_val", [b"1.0"]))


def test_unknown_signature_is_failed_precondition(steady: ModelServer) -> None:
    """A signature that the model lacks is FAILED_PRECONDITION over gRPC."""
    with refused("FAILED_PRECONDITION", 'Serving signature key "nope" not found.'):
        steady.predict("affine", x=floats(1.0), spec=spec(signature="nope"))


def test_unknown_servables(steady: ModelServer) -> None:
    """Unknown models, versions and labels are refused, each with its own code."""
    with refused("NOT_FOUND", "Servable not found for request: Latest(nobody)"):
        steady.predict("nobody", x=floats(1.0))
    with refused("NOT_FOUND", "Servable not found for request: Specific(affine, 7)"):
        steady.y(version=7)
    with refused("INVALID_ARGUMENT", "Unrecognized servable version label: canary"):
        steady.y(label="canary")
    with refused("NOT_FOUND", "Servable not found for request: Specific(affine, 0)"):
        steady.y(version=0)
    with refused("INVALID_ARGUMENT", "ModelSpec has no name specified."):
        steady.predict("", x=floats(1.0))


def test_fed_shapes_are_not_checked_against_placeholders(steady: ModelServer) -> None:
    """A tensor of another rank than the signature's is run all the same."""
    answer = steady.predict("affine", x=tensor("DT_FLOAT", "float_val", [1.0, 2.0], [1, 2]))
    assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [1, 2]


def test_tf1_graph_with_ref_variables(steady: ModelServer) -> None:
    """A graph of the TF1 kind is restored and run."""
    assert list(steady.predict("graph", x=floats(1.0, 2.0)).outputs["y"].float_val) == [3.0, 6.0]


def test_deadline_ends_a_long_request(steady: ModelServer) -> None:
    """A request that takes longer than the client's deadline ends with DEADLINE_EXCEEDED."""
    with refused("DEADLINE_EXCEEDED"):
        steady.predict("slow", timeout_s=0.3, ms=milliseconds(1000))


def test_requests_run_side_by_side(steady: ModelServer) -> None:
    """One long request does not hold up a short one."""
    long = steady.begin_slow(500)
    assert steady.y(x=2.0) == 12.0
    assert not long.done()
    assert long.result(30).outputs["slept"].int64_val[0] == 500
