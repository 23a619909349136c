"""Section 2.1 of the contract: the text of a ModelServerConfig, and its version policies."""

import pytest
from contract_server import AVAILABLE, ModelStore, Start, model_list, wait_for

_ENTRY = 'name: "m" base_path: "/m" model_platform: "tensorflow"'


@pytest.mark.parametrize(
    "text",
    [
        'model_config_list { config { nome: "m" } }',
        f'model_config_list {{ config {{ {_ENTRY} name: "n" }} }}',
        f"model_config_list {{ config {{ {_ENTRY} }} }} model_config_list {{ }}",
        f"model_config_list {{ config {{ {_ENTRY} model_version_policy {{ all {{ }} latest {{ }} }} }} }}",
        f"model_config_list {{ config {{ {_ENTRY} }}",
    ],
    ids=["unknown field", "scalar twice", "list twice", "two policies", "open brace"],
)
def test_text_that_does_not_parse_exits(start: Start, text: str) -> None:
    """Text that is no ModelServerConfig ends the server with INVALID_ARGUMENT and the parser's complaint on stderr."""
    server = start(config=text)
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file: " in server.output
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.log


def test_every_spelling_of_the_text_format(start: Start, models: ModelStore) -> None:
    """Commas, semicolons, angle brackets, comments, single quotes are read; of two equal label keys the last counts."""
    models.place("affine", 1)
    models.place("affine", 2)
    text = f"""
    # served by this host
    model_config_list: <
      config <
        name: 'affine', base_path: '{models.root}' '/affine'; model_platform: "tensorflow"
        model_version_policy: {{ specific {{ versions: [1, 2] }} }}  # both
        version_labels {{ key: "stable" value: 1 }}, version_labels {{ key: "stable" value: 2 }};
      >
    >
    """
    server = start("--allow_version_labels_for_unavailable_models=true", config=text).ready()
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: AVAILABLE}, "both versions")
    assert server.y(label="stable", x=2.0) == 12.0


def test_deprecated_model_type_is_a_platform(start: Start, models: ModelStore) -> None:
    """The deprecated model_type alone still names the platform."""
    models.place("affine", 1)
    config = model_list(models.config("affine").replace('model_platform: "tensorflow"', "model_type: TENSORFLOW"))
    server = start(config=config).ready()
    assert server.y(x=2.0) == 3.0
    server.reload(model_list(models.config("affine")))  # the same platform by its other name is no change


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", [3]),
        ("latest { }", [3]),
        ("latest { num_versions: 0 }", [3]),
        ("latest { num_versions: 2 }", [3, 2]),
        ("latest { num_versions: 9 }", [3, 2, 1]),
        ("all { }", [3, 2, 1]),
        ("specific { versions: 2 }", [2]),
        ("specific { versions: 1 versions: 3 versions: 3 versions: 8 }", [3, 1]),
    ],
)
def test_policy(policies: dict[str, list[int]], policy: str, versions: list[int]) -> None:
    """No policy means the largest number, latest as many as it says but one at least, all every one, specific those."""
    assert policies[policy] == versions


@pytest.fixture(scope="module")
def policies(module_start: Start, module_models: ModelStore) -> dict[str, list[int]]:
    """Versions that serve under each policy, on one server."""
    for version in (1, 2, 3):
        module_models.place("affine", version)
    expected = {
        "": 1,
        "latest { }": 1,
        "latest { num_versions: 0 }": 1,
        "latest { num_versions: 2 }": 2,
        "latest { num_versions: 9 }": 3,
        "all { }": 3,
        "specific { versions: 2 }": 1,
        "specific { versions: 1 versions: 3 versions: 3 versions: 8 }": 2,
    }
    base = module_models.root / "affine"
    entries = [
        f'config {{ name: "{number}" base_path: "{base}" model_platform: "tensorflow" '
        f"model_version_policy {{ {policy} }} }}"
        for number, policy in enumerate(expected)
    ]
    server = module_start(config=model_list(*entries)).ready()
    for number, count in enumerate(expected.values()):
        wait_for(
            lambda: list(server.states(str(number)).values()) == [AVAILABLE] * count,  # noqa: B023
            f"{count} versions of {number}",
        )
    return {policy: list(server.states(str(number))) for number, policy in enumerate(expected)}
