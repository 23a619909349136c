"""Golden files and the comparison of answers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import golden

LINE = '{"name": "typical", "inputs": {"x": [[1.0, 2.0]]}, "outputs": {"y": [[3.0]]}}'


def request(want: object, **fields: object) -> GoldenRequest:
    return GoldenRequest("typical", {"x": [1.0]}, {"y": want}, **fields)  # type: ignore[arg-type]


def problems_of(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        golden.parse(text, where="g.jsonl")
    return [f"{problem.where}: {problem.message} / {problem.hint}" for problem in caught.value.problems]


def test_a_line_is_a_request() -> None:
    """A line with the required keys alone gets the defaults; blank lines are skipped."""
    (found,) = golden.parse(f"\n{LINE}\n\n", where="g.jsonl")
    assert found == GoldenRequest("typical", {"x": [[1.0, 2.0]]}, {"y": [[3.0]]})


@settings(deadline=None, max_examples=25)
@given(
    st.builds(
        GoldenRequest,
        name=st.sampled_from(["a", "größe"]),
        inputs=st.fixed_dictionaries(
            {"x": st.lists(st.floats(width=32, allow_nan=False), max_size=3), "s": st.binary(max_size=3)}
        ),
        outputs=st.fixed_dictionaries({"y": st.lists(st.integers(), max_size=3), "t": st.text("aé\n", max_size=3)}),
        version=st.none() | st.integers(1, 2**63 - 1),
        absolute=st.floats(0, 1),
        relative=st.floats(0, 1),
        dtypes=st.just({"x": "float64"}),
    )
)
def test_recorded_line_is_read_back(wanted: GoldenRequest) -> None:
    """What is recorded is one line of strict JSON, and reading it gives an equal request."""
    line = golden.record(wanted)
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))
    (found,) = golden.parse(line, where="g.jsonl")
    finite = all(math.isfinite(number) for number in wanted.inputs["x"])  # type: ignore[attr-defined]
    if finite:
        assert found == wanted
    else:
        assert golden.record(found) == line


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"name": "a"', "g.jsonl:2:13: not JSON"),
        ("[]", "expected a JSON object, got list"),
        (LINE.replace('"name"', '"nmae"'), "unknown key 'nmae' / did you mean 'name'?"),
        (LINE.replace('"name": "typical"', '"name": 3'), "`name`: expected a text, got 3"),
        (LINE.replace("{", '{"version": 0, ', 1), "`version`: expected a version number from 1, got 0"),
        (LINE.replace("{", '{"version": "7", ', 1), '`version`: expected a version number from 1, got "7"'),
        (LINE.replace("{", '{"version": true, ', 1), "`version`: expected a version number"),
        (LINE.replace("{", '{"absolute": -1, ', 1), "`absolute`: expected a number from 0, got -1"),
        (LINE.replace("{", '{"relative": NaN, ', 1), "`relative`: expected a number from 0, got NaN"),
        (LINE.replace("{", '{"signature": "", ', 1), "`signature`: expected a signature's name"),
        (LINE.replace("{", '{"dtypes": {"z": "int64"}, ', 1), "`dtypes`: there is no input 'z'"),
        (LINE.replace("{", '{"dtypes": {"x": "flot32"}, ', 1), "did you mean 'float32'?"),
        (LINE.replace("{", '{"dtypes": {"x": "int64"}, ', 1), "`inputs`: x: [0][0] is 1.0, which is no int64"),
        (LINE.replace("{", '{"dtypes": [], ', 1), "`dtypes` must map"),
        (LINE.replace("[[1.0, 2.0]]", "[[1.0], [2.0, 3.0]]"), "`inputs`: x: [1] has length 2"),
        (LINE.replace("[[1.0, 2.0]]", '[{"b46": "AA=="}]'), "expected numbers or text"),
        (LINE.replace("[[1.0, 2.0]]", '[{"b64": "?"}]'), "is not base64"),
        (LINE.replace("[[3.0]]", "[[3.0], 1]"), "`outputs`: y: [1] is 1"),
        (LINE.replace('{"y": [[3.0]]}', "{}"), "`outputs`: no output is expected"),
        (LINE.replace('{"y": [[3.0]]}', "[3.0]"), "`outputs`: expected an object of tensors by name"),
        (LINE.replace("{", '{"name": "again", ', 1), "key 'name' is repeated"),
        ("[" * 100_000, "not usable JSON"),
    ],
)
def test_bad_line_is_told_with_its_place(line: str, said: str) -> None:
    """Whatever is wrong with a line is told with file and line, what was found, and what to write instead."""
    found = problems_of(f"\n{line}")
    assert any(said in problem for problem in found)
    assert all(problem.startswith("g.jsonl:2") for problem in found)


def test_all_problems_are_told_at_once() -> None:
    """Problems of all lines come together, with a name used twice for one version among them."""
    found = problems_of(f'{{"nam": 1}}\n{LINE}\n{LINE}\n')
    assert len(found) == 5
    assert "g.jsonl:3: name 'typical' is used again" in found[-1]


def test_a_file_without_requests_is_refused(tmp_path: Path) -> None:
    """An empty file proves nothing and is bad input, as is one that is missing or not UTF-8."""
    assert "no golden requests" in problems_of("\n")[0]
    with pytest.raises(InputError, match="cannot read"):
        golden.load(tmp_path / "missing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        golden.load(tmp_path / "latin.jsonl")


def test_requests_are_chosen_by_version() -> None:
    """A version gets its own requests and those of no version, in file order."""
    lines = [LINE.replace("{", f'{{"version": {number}, ', 1) for number in (1, 2)]
    found = golden.parse("\n".join([*lines, LINE]), where="g.jsonl")
    assert [item.version for item in golden.for_version(found, 2)] == [2, None]


@pytest.mark.parametrize(
    ("want", "got"),
    [
        ([[3.0]], [[3.0 + 3e-4]]),
        ([[3]], [[3.0]]),
        (3.0, 3.0),
        ([1, 2], [1, 2]),
        ([1.0], [1]),
        ([True], [True]),
        (["a", "é"], ["a", "é".encode()]),
        ([b"\xff"], [b"\xff"]),
        ([None, "NaN", math.nan], [math.nan] * 3),
        (["Infinity", "-Infinity"], [math.inf, -math.inf]),
        (["NaN"], ["NaN"]),
    ],
)
def test_right_answers_are_accepted(want: object, got: object) -> None:
    """Floats are compared within tolerance, everything else exactly, and NaN equals an expected NaN."""
    assert golden.compare(request(want), {"y": got}) == ()


@pytest.mark.parametrize(
    ("want", "got", "said"),
    [
        ([[1.0], [3.0]], [[1.0], [2.5]], "outputs.y[1][0]: got 2.5, want 3.0 ± 0.00031"),
        ([3.0], [math.nan], "outputs.y[0]: got NaN, want 3.0"),
        ([None], [3.0], "outputs.y[0]: got 3.0, want NaN"),
        ([3.0], [math.inf], "got inf, want 3.0"),
        (["Infinity"], [1e30], "got 1e+30, want inf"),
        ([2**53], [2**53 + 1], "outputs.y[0]: got"),
        ([1], [True], "got True, want 1"),
        ([True], [1.0], "got 1.0, want True"),
        (["a"], ["b"], "got 'b', want 'a'"),
        ([1.0], ["1.0"], "got '1.0', want 1.0"),
        ([b"a"], [1.0], "got 1.0, want b'a'"),
        ([[1.0]], [1.0], "outputs.y: got shape [1], want [1, 1]"),
        ([1.0], [], "outputs.y: got shape [0], want [1]"),
        ([1.0, 2.0], [[1.0], 2.0], "not a full array"),
    ],
)
def test_wrong_answers_are_told(want: object, got: object, said: str) -> None:
    """A difference is one line with the element's place, what came and what was expected."""
    (found,) = golden.compare(request(want), {"y": got})
    assert said in found


def test_outputs_must_be_the_expected_ones() -> None:
    """A missing output and an unexpected one are differences, and what is no mapping at all is one as well."""
    assert golden.compare(request([1.0]), {"z": [1.0]}) == (
        "outputs.y: missing in the answer (it has: z)",
        "outputs.z: not expected",
    )
    assert len(golden.compare(request([1.0]), [1.0])) == 1


def test_many_differences_are_counted() -> None:
    """A tensor that is wrong everywhere gives a few lines and a count, not a page."""
    found = golden.compare(request([0.0] * 100), {"y": [1.0] * 100})
    assert len(found) == 6
    assert found[-1] == "outputs.y: 95 more values differ"


def test_own_tolerances_hold() -> None:
    """`absolute` and `relative` of the request decide how far a float may be off."""
    assert golden.compare(request([100.0], absolute=0.0, relative=0.1), {"y": [109.0]}) == ()
    assert golden.compare(request([100.0], absolute=0.0, relative=0.0), {"y": [100.00001]})
