"""`!secret`, what is made of secrets in expressions and templates, and how values are kept out of text."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.inventory.connection import is_connection_variable
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.secrets.for_templates import for_templates
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.redaction import SHOWN, Redactor, end_of, shortened
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import InputError

VALUE = "open sesame/über+\"quoted\" 'twice' \\ end"
SERVICE = """\
services:
  ranking:
    image: serving:1
    ports: {grpc: 8500, rest: 8501}
    bind: 10.0.0.0/8
    models: {ranker: {source: m, versions: [1], golden: none}}
"""


class Opening:
    """A store and what it was asked for."""

    def __init__(self, *, output: str = "printed\n", reveals: bool = True) -> None:
        self.redactor = Redactor()
        self.ran: list[tuple[str, ...]] = []
        self.output = output
        self.store = SecretStore(
            redactor=self.redactor,
            environ={"TOKEN": VALUE, "SHORT": "abc", "OTHER": "another value", "BROKEN": "abc\udcffdef"},
            run=self._run,
            reveals=reveals,
        )

    def _run(self, argv: Sequence[str]) -> str:
        self.ran.append(tuple(argv))
        return self.output

    def host(self, folder: Path, variables: str) -> Host:
        text = "".join(f"    {line}\n" for line in variables.splitlines())
        (folder / "hosts.yml").write_text(f"all:\n  hosts: {{gpu1: }}\n  vars:\n{text}")
        return load_inventory([folder / "hosts.yml"], secrets=self.store).hosts["gpu1"]


def secret_of(host: Host, name: str) -> Secret:
    value = host.variables[name]
    assert isinstance(value, Secret)
    return value


def test_the_three_forms_are_opened_when_they_are_used(tmp_path: Path) -> None:
    """Loading reads no file, no variable and runs nothing; using a value does so once."""
    opening = Opening()
    host = opening.host(
        tmp_path,
        "a: !secret {env: TOKEN}\nb: !secret {file: below/token}\nc: !secret\n  command: [show, --field, token]",
    )
    assert opening.ran == []
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "token").write_text("from the file\n")
    (tmp_path / "below" / "token").chmod(0o600)
    assert secret_of(host, "a").reveal() == VALUE
    assert secret_of(host, "b").reveal() == "from the file"
    assert [secret_of(host, "c").reveal() for _ in range(2)] == ["printed"] * 2
    assert opening.ran == [("show", "--field", "token")]
    assert opening.redactor.text(f"{VALUE}, from the file, printed") == f"{SHOWN}, {SHOWN}, {SHOWN}"


def test_a_path_starts_beside_the_inventory_also_from_a_variables_file(tmp_path: Path) -> None:
    """``group_vars`` is a part of the inventory it stands beside."""
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "group_vars" / "all" / "main.yml").write_text("token: !secret {file: token}\n")
    (tmp_path / "token").write_text("beside\n")
    (tmp_path / "token").chmod(0o600)
    assert secret_of(Opening().host(tmp_path, "a: 1"), "token").reveal() == "beside"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o444])
def test_a_file_that_others_can_read(mode: int, tmp_path: Path) -> None:
    """It is refused when it is used, with what to type; its content is not told."""
    (tmp_path / "token").write_text("very secret")
    (tmp_path / "token").chmod(mode)
    token = secret_of(Opening().host(tmp_path, "a: !secret {file: token}"), "a")
    with pytest.raises(InputError) as caught:
        token.reveal()
    (problem,) = caught.value.problems
    assert problem.where == f"{tmp_path}/hosts.yml:4:8"
    assert problem.message.endswith(f"can be read by other users: {tmp_path}/token has mode {mode:04o}")
    assert problem.hint == f"chmod 600 {tmp_path}/token"
    assert "very secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!secret {}", "exactly one key"),
        ("!secret {env: A, file: b}", "exactly one key"),
        ("!secret TOKEN", "exactly one key"),
        ("!secret [env, A]", "exactly one key"),
        ("!secret {environment: A}", "unknown key 'environment'"),
        ("!secret {env: }", "`env` of `!secret` is a text"),
        ("!secret {env: 5}", "`env` of `!secret` is a text"),
        ("!secret {file: [a]}", "`file` of `!secret` is a text"),
        ("!secret {command: show token}", "`command` of `!secret` is a list of texts"),
        ("!secret {command: []}", "`command` of `!secret` is a list of texts"),
        ("!secret {command: [show, 5]}", "`command` of `!secret` is a list of texts"),
        ("!vault {a: b}", "stands before a block of text"),
        ("!vault nothing", "not an Ansible Vault payload"),
        ("!unsafe text", "the tag !unsafe is not allowed"),
        ("!!python/object:os.system text", "is not allowed"),
    ],
)
def test_what_is_no_secret_is_refused_with_its_place(text: str, message: str) -> None:
    """A form that is not known is an error when the file is read, and so is every other tag."""
    with pytest.raises(InputError) as caught:
        yaml.loads(f"token: {text}\n", file="vars.yml", secrets=SecretStore())
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.where == "vars.yml:1:8"
    assert problem.hint


def test_a_secret_is_no_key() -> None:
    """What a key is called would be in every message."""
    with pytest.raises(InputError, match="a key cannot be a secret"):
        yaml.loads("? !secret {env: A}\n: 1\n", file="vars.yml", secrets=SecretStore())


def test_secrets_are_for_inventories() -> None:
    """A file that has no use for secrets, such as a playbook, refuses their tags."""
    with pytest.raises(InputError, match="the tag !secret is not allowed here"):
        yaml.loads("a: !secret {env: A}\n", file="play.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{env: MISSING}", "the environment variable MISSING of a secret is not set"),
        ("{file: missing}", "the file of a secret cannot be read"),
        ("{env: BROKEN}", "the environment variable BROKEN of a secret is not UTF-8"),
        ("{env: SHORT}", "a secret of less than 4 characters"),
    ],
)
def test_a_secret_that_cannot_be_found_out_is_an_error_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """The place is that of the tag, the hint is the next step."""
    with pytest.raises(InputError, match=message) as caught:
        secret_of(Opening().host(tmp_path, f"a: !secret {text}"), "a").reveal()
    assert caught.value.where.endswith("hosts.yml:4:8")
    assert caught.value.hint


def test_expressions_pass_secrets_on_and_compute_with_them_when_they_are_used(tmp_path: Path) -> None:
    """As in Ansible, ``name: "{{ vault_name }}"`` is the value itself; what is computed from a secret is one too."""
    opening = Opening()
    host = opening.host(
        tmp_path,
        "t: !secret {env: OTHER}\ndb: {host: db1, password: !secret {env: TOKEN}}\nalias: '{{ t }}'\n"
        + SERVICE
        + "    "
        "environment:\n      A: '{{ t }}'\n      B: 'Bearer {{ alias }}'\n      C: '{{ db.host }}'\n"
        "      D: '{{ db.password | upper }}'\n      E: '{{ hostvars[inventory_hostname].db.password }}'\n"
        "      F: !secret {command: [show]}\n      G: '{{ t | length > 3 }}-'\n",
    )
    environment = host.services[0].environment
    assert opening.ran == []
    assert opening.redactor.text(VALUE) == VALUE
    assert environment["C"] == "db1"
    found = {name: value.reveal() for name, value in environment.items() if isinstance(value, Secret)}
    assert found == {
        "A": "another value",
        "B": "Bearer another value",
        "D": VALUE.upper(),
        "E": VALUE,
        "F": "printed",
        "G": "True-",
    }
    assert opening.redactor.text(VALUE.upper()) == SHOWN


def test_a_failing_expression_does_not_quote_the_secret(tmp_path: Path) -> None:
    """What Python says about a value would quote it."""
    host = Opening().host(tmp_path, "t: !secret {env: OTHER}\n" + SERVICE + "    environment: {A: '{{ t + 1 }}x'}\n")
    value = host.services[0].environment["A"]
    assert isinstance(value, Secret)
    with pytest.raises(InputError, match="gives no value with the secrets in it") as caught:
        value.reveal()
    assert "another" not in repr(caught.value.__dict__)


@pytest.mark.parametrize("key", ["image", "bind", "user", "runtime", "memory", "template"])
def test_only_the_environment_of_a_service_may_be_secret(tmp_path: Path, key: str) -> None:
    """What every plan has to name cannot be a secret, and the error says where secrets may stand."""
    lines = [line for line in SERVICE.splitlines() if not line.startswith(f"    {key}:")]
    with pytest.raises(InputError, match="a secret cannot stand here") as caught:
        Opening().host(tmp_path, "\n".join([*lines, f"    {key}: !secret {{env: TOKEN}}"]))
    assert f"services.ranking.{key}" in caught.value.problems[0].message


def test_how_a_host_is_reached_is_no_secret(tmp_path: Path) -> None:
    """Addresses stand in every message."""
    with pytest.raises(InputError, match="ansible_host: <secret> cannot be used"):
        Opening().host(tmp_path, "ansible_host: !secret {env: TOKEN}")


def test_templates_see_the_value_and_only_what_they_use_is_opened(tmp_path: Path) -> None:
    """A template works with the value, inside lists and mappings too; a secret it does not use stays closed."""
    opening = Opening()
    host = opening.host(
        tmp_path,
        "t: !secret {env: OTHER}\ndb: {host: db1, passwords: [!secret {env: TOKEN}]}\n"
        "unused: !secret {command: [show]}",
    )
    (tmp_path / "a.j2").write_text("{{ host.t ~ '!' }} {{ host.db.host }} {{ host.db.passwords[0] | length }}")
    used = Redactor()
    text = TemplateSet(tmp_path).render("a.j2", {"host": for_templates(host.variables, used)})
    assert text == f"another value! db1 {len(VALUE)}"
    assert opening.ran == []
    assert used.text(text) == f"{SHOWN}! db1 {len(VALUE)}"


def test_a_store_that_does_not_reveal_finds_nothing_out(tmp_path: Path) -> None:
    """A command that only checks works with ``<secret>`` in place of every value."""
    opening = Opening(reveals=False)
    host = opening.host(tmp_path, "a: !secret {command: [show]}\nb: !secret {env: MISSING}\nc: !secret {file: missing}")
    assert [secret_of(host, name).reveal() for name in "abc"] == [SHOWN] * 3
    assert opening.ran == []


def test_a_secret_is_shown_to_nobody() -> None:
    """Text, repr, format and JSON are ``<secret>``; it is not pickled, and a copy is the thing itself."""
    secret = Secret(lambda: VALUE, note=lambda _: None, where="")
    secret.reveal()
    assert {str(secret), repr(secret), f"{secret}", json.loads(json.dumps(secret, default=str))} == {SHOWN}
    assert copy.deepcopy([secret])[0] is secret
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(secret)


def test_a_fingerprint_tells_a_change_and_nothing_else() -> None:
    """It stays while the value stays, and two secrets of one value have nothing in common without the salt."""
    one, same, other = (Secret(lambda value=value: value, note=lambda _: None, where="") for value in
                        ("1234", "1234", "1235"))  # fmt: skip
    recorded = one.fingerprint()
    assert one.fingerprint() == recorded
    assert same.fingerprint(recorded) == recorded
    assert same.fingerprint() != recorded
    assert other.fingerprint(recorded) != recorded
    for odd in (None, "", "secret:zz:zz", {"a": 1}, recorded[:-1]):
        assert other.fingerprint(odd) == other.fingerprint()


FORMS = {
    "plain": VALUE,
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "urlsafe base64": base64.urlsafe_b64encode(VALUE.encode()).decode(),
    "base64 in something longer": base64.b64encode(f"user:{VALUE}:more".encode()).decode(),
    "base64 after one more character": base64.b64encode(f"users:{VALUE}".encode()).decode(),
    "url": quote(VALUE, safe=""),
    "url path": quote(VALUE),
    "form": quote_plus(VALUE),
    "lower-case url": re.sub("%..", lambda found: found[0].lower(), quote(VALUE)),
    "JSON": json.dumps(VALUE),
    "JSON as it is": json.dumps(VALUE, ensure_ascii=False),
    "Python": repr(VALUE),
    "Python's bytes": repr(VALUE.encode()),
    "JSON in JSON": json.dumps(json.dumps(VALUE)),
    "HTML": html.escape(VALUE),
    "hexadecimal": VALUE.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_value_is_taken_out(form: str) -> None:
    """Of a value, whatever encoder it went through, nothing that could be decoded is left."""
    redactor = Redactor([VALUE])
    clean = redactor.text(f"before {FORMS[form]} after")
    assert SHOWN in clean
    assert "sesame" not in clean
    assert base64.b64encode(b"sesame")[:6].decode() not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")


@pytest.mark.parametrize("width", [64, 76])
def test_base64_in_lines_is_taken_out(width: int) -> None:
    """The tools that encode files end a line every so often."""
    value = "".join(map(str, range(100)))
    encoded = base64.b64encode(value.encode()).decode()
    lines = [encoded[start : start + width] for start in range(0, len(encoded), width)]
    assert set(Redactor([value]).text("\n".join(lines)).replace("=", "").split()) == {SHOWN}


def test_a_value_in_the_json_of_docker_is_taken_out() -> None:
    """Go escapes the signs of HTML in JSON."""
    assert Redactor(["a<b>&c"]).text(r'{"message":"a\u003cb\u003e\u0026c"}') == f'{{"message":"{SHOWN}"}}'


def test_a_value_that_is_no_utf_8_is_taken_out() -> None:
    """A password may be typed on any terminal."""
    assert Redactor(["abc\udcffdef"]).text("x abc\udcffdef") == f"x {SHOWN}"


@pytest.mark.parametrize("most", range(4, 40))
def test_a_text_is_never_cut_within_a_word(most: int) -> None:
    """Half of a secret would be recognised by nobody; blanks are kept as they are."""
    text = "the token is sesame-open  for\n all of us"
    head, tail = shortened(text, most), end_of(text, most)
    for cut in (head, tail):
        assert set(cut.split()) <= {*text.split(), "..."}
        assert len(cut) <= max(most, len("...")) + len(" ...")
    assert (head == text) is (tail == text) is (most >= len(text))
    assert text.startswith(head.removesuffix("...").rstrip())
    assert text.endswith(tail.removeprefix("...").lstrip())


def test_each_line_of_a_key_is_taken_out() -> None:
    """A program may print a part of a value of several lines."""
    redactor = Redactor(["-----BEGIN KEY-----\nfirst line\nab\nlast line\n"])
    assert redactor.text("x first line y") == f"x {SHOWN} y"
    assert redactor.text("    last line") == f"    {SHOWN}"
    assert redactor.text("ab") == "ab"


def test_the_longer_of_two_values_goes_first() -> None:
    """Nothing is left of a value that begins with another one."""
    assert Redactor(["pass", "password"]).text("password pass") == f"{SHOWN} {SHOWN}"


def test_values_of_less_than_four_characters_are_refused() -> None:
    """They stand in ordinary words."""
    with pytest.raises(ValueError, match="shorter than 4"):
        Redactor().add("abc")


@given(st.text(min_size=4), st.text(), st.text())
def test_json_stays_json_and_loses_the_value(value: str, before: str, after: str) -> None:
    """Whatever the value is, ``true`` or ``": `` among them, a redacted document is one still."""
    redactor = Redactor([value])
    document = {"a": f"{before}{value}{after}", "b": [True, None, 12345, 1.5], f"/{value}": {"c": "x"}}
    for text in (json.dumps(document), json.dumps(document, indent=2, ensure_ascii=False)):
        found = json.loads(redactor.json(text))
        assert SHOWN in found["a"]
        assert f"/{value}" not in found or value in SHOWN


def test_a_number_that_is_a_secret_is_taken_out_of_json() -> None:
    """A secret of digits may stand as a number; a longer number that holds its digits is another number."""
    redactor = Redactor(["1234"])
    assert redactor.json('{"a": 1234, "b": 12345, "c": "x1234"}') == f'{{"a": "{SHOWN}", "b": 12345, "c": "x{SHOWN}"}}'
    assert redactor.value({"a": 1234, "b": 12345}) == {"a": SHOWN, "b": 12345}


@pytest.mark.parametrize(
    "name", ["ansible_api_token", "ansible_galaxy_key", "ansible_ssh_pass", "hosted", "services_key"]
)
def test_what_only_begins_like_a_connection_variable_is_secret(name: str) -> None:
    """Of an encrypted file all is secret but the names that have a meaning here."""
    sealed = SecretStore().sealed(yaml.loads(f"{name}: sesame\n", file="vault.yml"))
    assert isinstance(sealed, MapNode)
    assert sealed.plain() != {name: "sesame"}


@pytest.mark.parametrize(
    "name",
    [
        "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_user", "ansible_ssh_user", "ansible_become",
        "ansible_ssh_private_key_file", "ansible_private_key_file", "ansible_become_user", "ansible_become_method",
        "ansible_connection", "ansible_ssh_common_args", "ansible_host_key_checking", "fleetdeploy_known_hosts",
    ],
)  # fmt: skip
def test_how_a_host_is_reached_stays_readable_in_an_encrypted_file(name: str) -> None:
    """Plans and messages have to name it."""
    assert is_connection_variable(name)
    sealed = SecretStore().sealed(yaml.loads(f"{name}: sesame\n", file="vault.yml"))
    assert sealed.plain() == {name: "sesame"}
