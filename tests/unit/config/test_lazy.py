"""Variables that hold expressions are rendered where they decide something, and are errors where they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import InputError

HEAD = "web: {hosts: {h1.lan: {n: 1}, h2: {n: 2, rack: r2}}, children: {edge: {hosts: {h2: }}}, vars: {"


def hosts(path: Path, variables: str) -> dict[str, Host]:
    file = path / "hosts.yml"
    file.write_text(f"{HEAD}{variables}}}}}\n")
    return dict(load_inventory([file]).hosts)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ('ansible_host: "{{ inventory_hostname }}.example.net"', "h2.example.net"),
        ('ansible_host: "{{ inventory_hostname_short }}-{{ n }}"', "h2-2"),
        ('ansible_host: "{{ base }}.x", base: "{{ inventory_hostname }}"', "h2.x"),
        ("ansible_host: \"{{ rack | default('none') }}\"", "r2"),
        ("ansible_host: \"{{ group_names | join('-') }}\"", "edge-web"),
        ("ansible_host: \"{{ groups['edge'][0] }}.{{ groups.web | length }}\"", "h2.2"),
        ("ansible_host: \"{{ hostvars[inventory_hostname].n }}.{{ hostvars['h1.lan']['n'] }}\"", "2.1"),
        ("ansible_host: \"{{ net.prefix ~ '.' ~ (n + 10) }}\", net: {prefix: 10.0.0}", "10.0.0.12"),
        ("ansible_host: \"{{ 'a' if n == 2 else 'b' }}\"", "a"),
    ],
)
def test_connection_variables(variables: str, address: str, tmp_path: Path) -> None:
    """An expression sees its host's variables and Ansible's special ones, and other variables' expressions in turn."""
    assert hosts(tmp_path, variables)["h2"].connection.address == address


def test_a_whole_expression_keeps_its_type(tmp_path: Path) -> None:
    """A value that is one expression is a number if the expression is one, also inside a reserved variable."""
    found = hosts(tmp_path, 'ansible_port: "{{ 2200 + n }}", gpus: {count: "{{ n * 4 }}"}')
    assert [host.connection.port for host in found.values()] == [2201, 2202]
    assert [host.gpus.count for host in found.values() if host.gpus] == [4, 8]


def test_variables_that_nothing_uses_stay_as_they_are(tmp_path: Path) -> None:
    """An expression in an ordinary variable is carried as text, as ``ansible-inventory`` lists it."""
    found = hosts(tmp_path, 'motd: "{{ nobody_knows }}", ansible_host: "{{ n }}.x"')
    assert found["h2"].variables["motd"] == "{{ nobody_knows }}"
    assert found["h2"].variables["ansible_host"] == "{{ n }}.x"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ('ansible_host: "{{ rack }}"', "ansible_host: '{{ rack }}': 'rack' is undefined"),
        ('ansible_host: "x{{ net.nope }}", net: {a: 1}', "has no attribute 'nope'"),
        ("ansible_host: \"{{ hostvars['h9'].n }}\"", "has no attribute 'h9'"),
        ('ansible_host: "{{ a }}", a: "{{ b }}", b: "{{ a }}"', "variables that need each other: a -> b -> a"),
        ('ansible_host: "{{ ansible_host }}"', "need each other: ansible_host -> ansible_host"),
        ('ansible_host: "{{ hostvars[inventory_hostname].ansible_host }}"', "need each other"),
        ('ansible_host: "{% if true %}a{% endif %}{{ n }}"', "statements and comments are not rendered"),
        ("ansible_host: \"{{ lookup('pipe', 'id') }}\"", "'lookup' is undefined"),
        ('ansible_host: "{{ n.__class__ }}"', "is unsafe"),
        ("ansible_host: \"{{ 'a' * 999999999 }}\"", "`*` is for small numbers here"),
        ('ansible_host: "{{ 9 ** 9999999 }}"', "`**` is for small numbers here"),
        ('ansible_host: "{{ n | shuffle }}"', "No filter named 'shuffle'"),
        ('ansible_host: "{{ n"', "unexpected end of template"),
        ('ansible_host: "{{ [1] }}"', "ansible_host: a list cannot be used"),
        ('ansible_host: "{{ n }} ; id"', "ansible_host: '2 ; id' cannot be used"),
        ('gpus: {count: "{{ many }}"}', "gpus: '{{ many }}': 'many' is undefined"),
    ],
)
def test_refused(variables: str, message: str, tmp_path: Path) -> None:
    """What is undefined, needs itself, or is more than an expression is an error at the place of the value."""
    with pytest.raises(InputError) as caught:
        hosts(tmp_path, variables)
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems
    assert all(problem.where.startswith(f"{tmp_path}/hosts.yml:1:") for problem in caught.value.problems)


def ladder(expression: str, *, levels: int = 25) -> str:
    """Variables that each need the next one twice."""
    steps = [f'a{level}: "{expression.format(next=f"a{level + 1}")}"' for level in range(levels)]
    return ", ".join(['ansible_host: "{{ a0 }}"', *steps, f"a{levels}: x"])


@pytest.mark.parametrize(
    "expression", ["{{{{ {next} ~ {next} }}}}", "{{{{ {next} }}}}{{{{ {next} }}}}", "{{{{ [{next}, {next}] }}}}"]
)
def test_what_grows_without_end(expression: str, tmp_path: Path) -> None:
    """A few variables that double each other are stopped before they fill the memory."""
    with pytest.raises(InputError) as caught:
        hosts(tmp_path, ladder(expression))
    assert any("more than 8192 characters or items" in problem.message for problem in caught.value.problems)


def test_variables_that_share_others(tmp_path: Path) -> None:
    """Each variable is rendered once for a host, however many others need it."""
    steps = [f'a{n}: "{{{{ b{n + 1} and a{n + 1} }}}}", b{n}: "{{{{ a{n + 1} and b{n + 1} }}}}"' for n in range(25)]
    found = hosts(tmp_path, ", ".join(['ansible_host: "{{ a0 }}"', *steps, "a25: x, b25: x"]))
    assert found["h2"].connection.address == "x"
