"""Ansible Vault's blocks and files, opened as Ansible opens them, and passwords as Ansible takes them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.secrets.passwords import PasswordFile, Passwords
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.secrets.vault import parse
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import InputError
from fleetdeploy.remote.secret_command import SecretCommands

PROGRAM = Path(sys.executable).with_name("ansible-vault")
VALUE = "a väluable sentence"
BLOCK_1_1 = """\
$ANSIBLE_VAULT;1.1;AES256
36323032643863336139666262616665623365363532363838336335643563343434316166316336
6536666462313033343865643762333035366133333536390a623631353564323138353065323966
63353438623465626132313366303733313736383037623635396433643266663462613735383565
6636656639653439360a353238376134333765336337383932393561356534613866623532343038
3266
"""
"""``a: 1`` and ``b: hello``, as Ansible encrypted it with the password ``pw1``."""


def opened(text: str, *files: PasswordFile) -> str:
    passwords = Passwords(files, run=SecretCommands())
    return passwords.open(parse(text), where="here:1:1", note=lambda _: None)


def encrypted(folder: Path, text: str, *arguments: str) -> str:
    """A payload that Ansible makes."""
    path = folder / "plain"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, str(PROGRAM), "encrypt", "--output", "-", *arguments, str(path)]
    environment = {"HOME": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=folder).stdout


def password(folder: Path, text: str = "pw1\n", name: str = "password") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_payload_that_ansible_made_is_opened(tmp_path: Path) -> None:
    """The format is read without Ansible, byte for byte."""
    assert opened(BLOCK_1_1, PasswordFile(password(tmp_path))) == "a: 1\nb: hello\n"


@pytest.mark.programs
@pytest.mark.parametrize("text", ["x", VALUE, "exactly sixteen.", "two\nlines\n", "y" * 5000])
def test_whatever_ansible_encrypts_is_opened(tmp_path: Path, text: str) -> None:
    """Texts of any length come back as they were, with and without an id."""
    path = password(tmp_path)
    for arguments in (("--vault-password-file", str(path)), ("--vault-id", f"prod@{path}")):
        payload = encrypted(tmp_path, text, *arguments)
        assert opened(payload, PasswordFile(path)) == text
        assert parse(payload).vault_id == ("prod" if arguments[0] == "--vault-id" else "")


@pytest.mark.programs
def test_the_password_of_the_id_is_tried_first_and_others_after_it(tmp_path: Path) -> None:
    """As Ansible does unless told otherwise, an id is a hint and not a demand."""
    right, wrong = password(tmp_path), password(tmp_path, "other\n", "wrong")
    payload = encrypted(tmp_path, VALUE, "--vault-id", f"prod@{right}")
    assert opened(payload, PasswordFile(wrong, "prod"), PasswordFile(right, "dev")) == VALUE
    # The file of another id would be an error if it were read.
    assert opened(payload, PasswordFile(tmp_path / "missing", "dev"), PasswordFile(right, "prod")) == VALUE


@pytest.mark.parametrize("text", ["pw1", "pw1\n", "  pw1 \n\n"])
def test_blanks_around_a_password_do_not_count(tmp_path: Path, text: str) -> None:
    """As in Ansible, a password file may end with a newline or not."""
    assert opened(BLOCK_1_1, PasswordFile(password(tmp_path, text)))


@pytest.mark.programs
def test_an_executable_password_file_is_run(tmp_path: Path) -> None:
    """A program prints the password; one that is called NAME-client is told the id."""
    for name, script in (
        ("plain.sh", "test $# = 0 && echo pw1"),
        ("my-client.sh", 'test "$*" = "--vault-id dev" && echo pw1'),
    ):
        path = password(tmp_path, f"#!/bin/sh\n{script}\n", name)
        path.chmod(0o700)
        assert opened(BLOCK_1_1, PasswordFile.named(f"dev@{path}"))


def test_an_id_stands_before_the_file(tmp_path: Path) -> None:
    """``ID@FILE`` names an id, unless a file has just that name."""
    assert PasswordFile.named("dev@some/file") == PasswordFile(Path("some/file"), "dev")
    assert PasswordFile.named("some/file") == PasswordFile(Path("some/file"))
    odd = tmp_path / "a@b"
    odd.write_text("pw1")
    assert PasswordFile.named(str(odd)) == PasswordFile(odd)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other\n", "no vault password fits"),
        ("\n", "the vault password is empty"),
    ],
)
def test_a_password_that_does_not_do_is_an_error_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    """A wrong or empty password is said to be one, and is not repeated."""
    with pytest.raises(InputError, match=message) as caught:
        opened(BLOCK_1_1, PasswordFile(password(tmp_path, text)))
    assert caught.value.where
    assert caught.value.hint
    assert "other" not in str(caught.value)


def test_no_password_is_an_error_with_the_next_step() -> None:
    """Whoever gave no password is told the options that give one."""
    with pytest.raises(InputError, match="no password is given") as caught:
        opened(BLOCK_1_1)
    assert "--vault-password-file" in caught.value.hint
    assert caught.value.where == "here:1:1"


@pytest.mark.parametrize(
    "damaged",
    [
        BLOCK_1_1.replace("\n3266", ""),
        BLOCK_1_1.replace("0a62", "0a6"),
        BLOCK_1_1.replace("3632", "zz32"),
        BLOCK_1_1.replace("1.1;AES256", "1.1;AES"),
        BLOCK_1_1.replace("1.1", "2.0"),
        "$ANSIBLE_VAULT;1.1;AES256\n",
        "",
    ],
)
def test_a_damaged_payload_is_refused_before_any_password_is_needed(damaged: str) -> None:
    """Missing and changed lines are found by the format, and nothing of them is repeated."""
    with pytest.raises(Refused) as caught:
        parse(damaged)
    assert caught.value.hint
    assert "3632" not in str(caught.value)


def test_a_changed_digit_is_not_opened(tmp_path: Path) -> None:
    """What was changed inside the hexadecimal text fails the check of the HMAC."""
    changed = BLOCK_1_1.replace("353238376134", "353238376135")
    assert changed != BLOCK_1_1
    with pytest.raises(InputError, match="no vault password fits"):
        opened(changed, PasswordFile(password(tmp_path)))


def test_inline_blocks_and_whole_files_are_read_as_they_are(tmp_path: Path) -> None:
    """A block is a secret that is opened when used; a whole file needs the password to be read."""
    block = "".join(f"      {line}\n" for line in BLOCK_1_1.splitlines())
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts: {{gpu1: }}\n  vars:\n    token: !vault |\n{block}")
    host = load_inventory([tmp_path / "hosts.yml"]).hosts["gpu1"]
    token = host.variables["token"]
    assert isinstance(token, Secret)
    assert str(token) == repr(token) == "<secret>"
    with pytest.raises(InputError, match=r"no password is given") as caught:
        token.reveal()
    assert caught.value.where.endswith("hosts.yml:4:12")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(BLOCK_1_1)
    with pytest.raises(InputError, match=r"no password is given"):
        load_inventory([tmp_path / "hosts.yml"])
    store = SecretStore(passwords=Passwords([PasswordFile(password(tmp_path))]))
    variables = load_inventory([tmp_path / "hosts.yml"], secrets=store).hosts["gpu1"].variables
    assert isinstance(variables["b"], Secret)
    assert variables["b"].reveal() == "hello"
    assert isinstance(variables["token"], Secret)
    assert variables["token"].reveal() == "a: 1\nb: hello\n"


def test_a_program_may_print_vault_blocks(tmp_path: Path) -> None:
    """An executable inventory writes them as ``ansible-inventory`` does, and they are as secret as in a file."""
    program = tmp_path / "hosts.py"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    printed: dict[str, Any] = {
        "web": {"hosts": ["gpu1"], "vars": {"token": {"__ansible_vault": BLOCK_1_1}, "list": [{"a": {"b": 1}}]}}
    }
    printed["_meta"] = {"hostvars": {"gpu1": {"own": [{"__ansible_vault": BLOCK_1_1}]}}}
    store = SecretStore(passwords=Passwords([PasswordFile(password(tmp_path))]))

    def load() -> Mapping[str, object]:
        inventory = load_inventory([program], run_script=lambda *_: json.dumps(printed), secrets=store)
        return inventory.hosts["gpu1"].variables

    found = load()
    assert isinstance(found["token"], Secret)
    assert found["token"].reveal() == "a: 1\nb: hello\n"
    assert str(found["own"]) == "[<secret>]"
    assert found["list"] == [{"a": {"b": 1}}]
    printed["_meta"]["hostvars"]["gpu1"]["own"] = {"__ansible_vault": "nothing"}
    with pytest.raises(InputError, match="not an Ansible Vault payload") as caught:
        load()
    assert caught.value.where.endswith("hosts.py:$._meta.hostvars.gpu1.own")


@pytest.mark.programs
def test_an_encrypted_file_hides_what_may_be_secret_and_nothing_else(tmp_path: Path) -> None:
    """Addresses and services are named in every plan; all other texts and numbers of the file are secrets."""
    path = password(tmp_path)
    text = "ansible_user: deploy\nansible_port: 22\npin: 123456\nflag: true\nnothing:\nlist: [one-secret]\nshort: ab\n"
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(encrypted(tmp_path, text, "--vault-password-file", str(path)))
    (tmp_path / "hosts.yml").write_text("all: {hosts: {gpu1: }}\n")
    store = SecretStore(passwords=Passwords([PasswordFile(path)]))
    host = load_inventory([tmp_path / "hosts.yml"], secrets=store).hosts["gpu1"]
    assert (host.connection.user, host.connection.port) == ("deploy", 22)
    found = host.variables
    assert (found["flag"], found["nothing"]) == (True, None)
    assert isinstance(found["pin"], Secret)
    assert found["pin"].reveal() == "123456"
    assert str(found["list"]) == "[<secret>]"
    assert isinstance(found["short"], Secret)
    with pytest.raises(InputError, match="less than 4 characters"):
        found["short"].reveal()


@pytest.mark.programs
def test_what_is_wrong_inside_an_encrypted_file_is_not_quoted(tmp_path: Path) -> None:
    """The place of the mistake is named, and nothing of the file."""
    path = password(tmp_path)
    (tmp_path / "group_vars").mkdir()
    broken = encrypted(tmp_path, "token: one\ntoken-of-mine: {\n", "--vault-password-file", str(path))
    (tmp_path / "group_vars" / "all.yml").write_text(broken)
    (tmp_path / "hosts.yml").write_text("all: {hosts: {gpu1: }}\n")
    store = SecretStore(passwords=Passwords([PasswordFile(path)]))
    with pytest.raises(InputError, match="not valid here") as caught:
        load_inventory([tmp_path / "hosts.yml"], secrets=store)
    assert "mine" not in "".join(map(str, caught.value.problems))
    assert caught.value.__context__ is None or "mine" not in str(caught.value.__context__)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_password_file_that_others_can_read(mode: int, tmp_path: Path) -> None:
    """It opens every secret, and is refused with what to type; the password is not told."""
    file = tmp_path / "password"
    file.write_text("the password itself")
    file.chmod(mode)
    with pytest.raises(InputError) as caught:
        PasswordFile(file).read(None)
    (problem,) = caught.value.problems
    assert problem.message.startswith("the vault password can be read by other users")
    assert problem.hint == f"chmod 600 {file}"
    assert "itself" not in str(caught.value)
    file.chmod(0o600)
    assert PasswordFile(file).read(None) == "the password itself"
