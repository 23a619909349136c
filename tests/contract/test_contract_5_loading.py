"""Section 1 of the contract, flags about loading: tags, session and platform configs, mixed precision."""

from pathlib import Path

import pytest
from auxiliary import empty_store, predict_log, put_warm_up, started, tfrecord
from contract_server import FAST_RETRIES, ModelStore, Start, floats, refused
from contract_target import stand_in_only

ADAPTER = "type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig"


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """An empty place for this section's models."""
    return empty_store(tmp_path, tmp_path_factory)


def platforms(tmp_path: Path, legacy_config: str, *, name: str = "tensorflow") -> str:
    """A flag for a platform config file with one platform."""
    file = tmp_path / "platform.config"
    adapter = f"[{ADAPTER}] {{ legacy_config {{ {legacy_config} }} }}"
    file.write_text(
        f'platform_configs {{ key: "{name}" value {{ source_adapter_config {{ {adapter} }} }} }}', encoding="utf-8"
    )
    return f"--platform_config_file={file}"


def ended(start: Start, store: ModelStore, *flags: str) -> str:
    """What a server with a good model prints that ends with status 255."""
    store.place("batched", 1, of="batched")
    server = start("--model_name=batched", f"--model_base_path={store.root / 'batched'}", *FAST_RETRIES, *flags)
    assert server.exit_status() == 255
    return server.output


def test_the_tag_set_has_to_match(start: Start, store: ModelStore) -> None:
    """A model is loaded only if one of its graphs has exactly the tags of --saved_model_tags."""
    assert "Could not find meta graph def matching supplied tags" in ended(start, store, "--saved_model_tags=serve,gpu")


def test_no_tags_are_those_for_serving(start: Start, store: ModelStore) -> None:
    """An empty --saved_model_tags means `serve`."""
    store.place("batched", 1, of="batched")
    server = started(start, store, "--saved_model_tags=", model="batched")
    assert list(server.predict("batched", x=floats(1.0)).outputs["y"].float_val) == [2.0]


def test_a_session_config_that_does_not_parse_ends_the_start(start: Start, store: ModelStore, tmp_path: Path) -> None:
    """--tensorflow_session_config_file is a text proto ConfigProto."""
    (tmp_path / "session.config").write_text("no_such_field: 1")
    output = ended(start, store, f"--tensorflow_session_config_file={tmp_path / 'session.config'}")
    assert "INVALID_ARGUMENT: Invalid protobuf file" in output


def test_a_session_config_reaches_the_sessions(start: Start, store: ModelStore, tmp_path: Path) -> None:
    """TensorFlow itself refuses a session config whose thread pools contradict each other."""
    pool = 'session_inter_op_thread_pool {{ num_threads: {} global_name: "x" }} '
    (tmp_path / "session.config").write_text(pool.format(2) + pool.format(3))
    output = ended(start, store, f"--tensorflow_session_config_file={tmp_path / 'session.config'}")
    assert "did not become available" in output
    assert "num_threads" in output


@pytest.mark.parametrize("mode", ["bfloat16", "float8"])
def test_mixed_precision_never_ends_the_start(start: Start, store: ModelStore, mode: str) -> None:
    """--mixed_precision takes bfloat16; anything else is mentioned in the log and ignored."""
    store.place("batched", 1, of="batched")
    server = started(start, store, f"--mixed_precision={mode}", model="batched")
    assert list(server.predict("batched", x=floats(1.0)).outputs["y"].float_val) == [2.0]
    assert ("is not supported. Valid option: bfloat16" in server.log) is (mode == "float8")


def test_a_platform_config_says_how_models_are_loaded(start: Start, store: ModelStore, tmp_path: Path) -> None:
    """What the file says about batching counts."""
    store.place("batched", 1, of="batched")
    flag = platforms(tmp_path, "batching_parameters { max_batch_size { value: 1 } }")
    server = started(start, store, flag, model="batched")
    with refused("INVALID_ARGUMENT", "Task size 2 is larger than maximum input batch size 1"):
        server.predict("batched", x=floats(1.0, 2.0))


def test_flags_do_not_count_beside_a_platform_config(start: Start, store: ModelStore, tmp_path: Path) -> None:
    """Warm-up is off by default in the file, whatever the flag says, and tags are its own."""
    put_warm_up(store.place("counting", 1, of="counting"), tfrecord([predict_log("counting", x=floats(1.0))]))
    flags = (platforms(tmp_path, ""), "--saved_model_tags=nonsense", "--enable_model_warmup=true")
    server = started(start, store, *flags, model="counting")
    assert server.predict("counting", x=floats(0.0)).outputs["so_far"].float_val[0] == 0.0


def test_a_platform_config_that_does_not_parse_ends_the_start(start: Start, store: ModelStore, tmp_path: Path) -> None:
    """The file is a text proto PlatformConfigMap."""
    output = ended(start, store, platforms(tmp_path, "no_such_field: 1"))
    assert "INVALID_ARGUMENT: Invalid protobuf file" in output


@stand_in_only("it serves one platform")
def test_other_platforms_are_refused(start: Start, store: ModelStore, tmp_path: Path) -> None:
    """A platform of another name ends the start with a word about it."""
    output = ended(start, store, platforms(tmp_path, "", name="other"))
    assert "UNIMPLEMENTED: The stand-in serves the platform tensorflow" in output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no_such_field: 1", "INVALID_ARGUMENT: Invalid protobuf file"),
        ("thread_pool_factory_config { }", "INVALID_ARGUMENT: Supplied config's type_url could not be parsed"),
        (
            'thread_pool_factory_config { type_url: "type.googleapis.com/some.Factory" }',
            "INTERNAL: Unable to find compiled-in proto descriptor of type some.Factory",
        ),
    ],
)
def test_a_thread_pool_factory_is_not_known(
    start: Start, store: ModelStore, tmp_path: Path, text: str, problem: str
) -> None:
    """No --thread_pool_factory_config_file is any good, as the stock server has no factory; it ends the start."""
    (tmp_path / "pools.config").write_text(text)
    assert problem in ended(start, store, f"--thread_pool_factory_config_file={tmp_path / 'pools.config'}")
