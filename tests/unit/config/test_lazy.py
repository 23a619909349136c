"""Variables that hold expressions are rendered where they decide something, and are errors where they cannot be."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import yaml

from fleetdeploy.config.inventory import lazy
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.secrets.for_templates import for_templates
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.redaction import SHOWN, Redactor
from fleetdeploy.domain.secret import without_secrets
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
        ('ansible_host: "{{ n }} ; id"', "ansible_host: '1 ; id' cannot be used, and the like on 2 hosts"),
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


def told(path: Path, text: str) -> list[str]:
    """Every problem of an inventory."""
    (path / "hosts.yml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_inventory([path / "hosts.yml"])
    return [problem.message for problem in caught.value.problems]


def test_an_expression_that_fails_on_many_hosts_is_told_once(tmp_path: Path) -> None:
    """Once for a group, with its hosts counted, whatever other variables they have; twice for two reasons."""
    own = "".join(f"    h{number}: {{own{number}: 1}}\n" for number in range(1, 51))
    group = 'web:\n  vars: {ansible_host: "{{ rack }}"}\n  hosts:\n'
    assert told(tmp_path, group + own) == ["ansible_host: '{{ rack }}': 'rack' is undefined, on 50 hosts such as h1"]
    one = own.replace("h9: {", "h9: {rack: {}, ").replace("own", "rack: x, own")
    one = one.replace("rack: {}, rack: x", "rack: '{{ lost }}'")
    assert told(tmp_path, group + one) == ["ansible_host: '{{ lost }}': 'lost' is undefined, on h9"]


def test_a_bad_value_that_an_expression_gives_many_hosts_is_told_once(tmp_path: Path) -> None:
    """One expression that gives each host another bad value is one mistake; two bad values of one host are two."""
    hosts_ = "".join(f"    h{number}: {{n: {number}}}\n" for number in range(1, 51))
    (found,) = told(tmp_path, 'web:\n  vars: {ansible_host: "{{ n }} ; id"}\n  hosts:\n' + hosts_)
    assert found == "ansible_host: '1 ; id' cannot be used, and the like on 50 hosts such as h1"
    found = told(tmp_path, 'web:\n  vars: {gpus: {count: "{{ n }}x"}, ansible_port: "{{ n }}y"}\n  hosts:\n' + hosts_)  # type: ignore[assignment]
    assert len(found) == 2
    assert told(tmp_path, "web: {hosts: {h1: {ansible_port: a, ansible_user: 'b c'}}}\n") == [
        "ansible_port: 'a' cannot be used",
        "ansible_user: 'b c' cannot be used",
    ]


def test_values_of_one_place_that_are_several_mistakes_are_all_told() -> None:
    """Variables of ``-e`` have one place; mistakes in two of them are two, however much alike they read."""
    with pytest.raises(InputError) as caught:
        load_inventory([Path("h1,h2,")], extra_vars={"ansible_hots": "a", "ansible_usr": "b"})
    assert len(caught.value.problems) == 2


TEMPLATE = "{{ host.greeting }}"


def in_template(path: Path, variables: str, text: str = TEMPLATE, **extra: object) -> str:
    """What a template makes of the variables of h2."""
    (path / "t.j2").write_text(text)
    seen = {**hosts(path, variables)["h2"].variables, **extra}
    return TemplateSet(path).render("t.j2", {"host": for_templates(seen, Redactor())})


@pytest.mark.parametrize(
    ("variables", "text", "expected"),
    [
        ('greeting: "hello {{ inventory_hostname }} of {{ rack }}"', TEMPLATE, "hello h2 of r2"),
        ('greeting: "{{ a }}", a: "{{ b }}!", b: "{{ n }}"', TEMPLATE, "2!"),
        ('greeting: "{{ n * 4 }}"', "{{ host.greeting + 1 }}", "9"),
        ('greeting: "{{ [n, 7] }}"', "{{ host.greeting | join('-') }}", "2-7"),
        ('greeting: {deep: ["x", "{{ rack }}"]}', "{{ host.greeting.deep[1] }}{{ host['greeting'].deep[0] }}", "r2x"),
        ('greeting: "{{ {\'a\': rack} }}"', "{{ host.greeting.a }}", "r2"),
        ('greeting: "{{ groups.web | join(\',\') }}"', TEMPLATE, "h1.lan,h2"),
        ("greeting: \"{{ hostvars['h1.lan'].greeting_of_h1 }}\", greeting_of_h1: \"{{ n }}\"", TEMPLATE, "1"),
        ("greeting: \"{{ quote }}\", quote: 'say \"x\" \\'", TEMPLATE, r"say \"x\" \\"),
        ('greeting: "{{ \'{{ n }}\' }}"', TEMPLATE, "{{ n }}"),
        ('greeting: "{{ nobody_knows }}", other: 1', "{{ host.other }}", "1"),
    ],
)  # fmt: skip
def test_ordinary_variables_are_rendered_when_a_template_uses_them(
    variables: str, text: str, expected: str, tmp_path: Path
) -> None:
    """A template sees what an expression gives, with its type, escaped as any value, and looks at no other one."""
    assert in_template(tmp_path, variables, text) == expected


def test_text_from_elsewhere_stays_text(tmp_path: Path) -> None:
    """The same text that was not written in the inventory is not rendered; nor is one that replaces a variable."""
    variables = 'greeting: "{{ n }}"'
    assert in_template(tmp_path, variables, greeting="{{ n }}") == "{{ n }}"
    assert in_template(tmp_path, variables, "{{ host.fact }}{{ host.greeting }}", fact="{{ n }}") == "{{ n }}2"


def test_extra_variables_are_part_of_the_inventory(tmp_path: Path) -> None:
    """An expression of ``-e`` is rendered as one of a file."""
    (tmp_path / "hosts.yml").write_text("web: {hosts: {h1: }, vars: {n: 1}}\n")
    (tmp_path / "t.j2").write_text(TEMPLATE)
    found = load_inventory([tmp_path / "hosts.yml"], extra_vars={"greeting": "{{ n }}!"}).hosts["h1"]
    text = TemplateSet(tmp_path).render("t.j2", {"host": for_templates(found.variables, Redactor())})
    assert text == "1!"


@pytest.mark.parametrize(
    ("variables", "message", "line"),
    [
        ('greeting: "{{ rak }}"', "greeting: '{{ rak }}': 'rak' is undefined", 4),
        ('greeting: "{{ a }}"\n  a: "x{{ b }}"\n  b: "{{ c }}"', "greeting: '{{ c }}': 'c' is undefined", 6),
        ('greeting: "{{ a }}"\n  a: "{{ greeting }}"', "variables that need each other: greeting -> a -> greeting", 5),
        ('greeting: "{{ greeting }}"', "need each other: greeting -> greeting", 4),
        ('greeting: "{% if true %}{{ a }}{% endif %}"', "statements and comments are not rendered", 4),
        ("greeting: \"{{ 'a' * 999999999 }}\"", "`*` is for small numbers here", 4),
    ],
)
def test_expressions_that_a_template_cannot_use(variables: str, message: str, line: int, tmp_path: Path) -> None:
    """The error has the place of the variable that is wrong, and not that of the template."""
    (tmp_path / "hosts.yml").write_text(f"all:\n hosts: {{h1: }}\n vars:\n  {variables}\n")
    (tmp_path / "t.j2").write_text(TEMPLATE)
    found = load_inventory([tmp_path / "hosts.yml"]).hosts["h1"]
    with pytest.raises(InputError) as caught:
        TemplateSet(tmp_path).render("t.j2", {"host": for_templates(found.variables, Redactor())})
    assert message in caught.value.message
    assert caught.value.where.startswith(f"{tmp_path}/hosts.yml:{line}:")


def test_secrets_in_expressions_of_ordinary_variables(tmp_path: Path) -> None:
    """A secret is opened when a template comes to it, whatever was made of it; and is known to the redactor."""
    store = SecretStore(environ={"TOKEN": "open sesame"})
    (tmp_path / "hosts.yml").write_text(
        "all:\n hosts: {h1: }\n vars:\n  token: !secret {env: TOKEN}\n  lost: !secret {env: LOST}\n"
        '  passed: "{{ token }}"\n  made: "{{ token | upper }}+"\n  unused: "{{ lost ~ 1 }}"\n'
        '  bad: "{{ token + 1 }}"\n'
    )
    found = load_inventory([tmp_path / "hosts.yml"], secrets=store).hosts["h1"]
    (tmp_path / "t.j2").write_text("{{ host.passed }} {{ host.made }}")
    (tmp_path / "bad.j2").write_text("{{ host.bad }}")
    used = Redactor()
    templates, context = TemplateSet(tmp_path), {"host": for_templates(found.variables, used)}
    text = templates.render("t.j2", context)
    assert text == "open sesame OPEN SESAME+"
    assert used.text(text) == f"{SHOWN} {SHOWN}"
    with pytest.raises(InputError, match="gives no value with the secrets in it") as caught:
        templates.render("bad.j2", context)
    assert caught.value.where.startswith(f"{tmp_path}/hosts.yml:9:")


def test_listings_show_the_text(tmp_path: Path) -> None:
    """What is listed, copied or written as JSON or YAML is the text as it stands in the inventory."""
    found = hosts(tmp_path, 'greeting: "{{ n }}", deep: ["{{ n }}"]')["h2"].variables
    shown = {key: without_secrets(found[key]) for key in ("greeting", "deep")}
    assert yaml.safe_load(yaml.safe_dump(shown)) == {"greeting": "{{ n }}", "deep": ["{{ n }}"]}
    assert json.loads(json.dumps(found))["greeting"] == "{{ n }}"
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_long_expression_is_not_cut_within_a_word(tmp_path: Path) -> None:
    """What is quoted of it ends at a blank: half of a secret that stands in it too would not be known for one."""
    (found,) = told(
        tmp_path, f"web: {{hosts: {{h1: {{ansible_host: \"{{{{ lost ~ '{'x' * 60} secret-word' }}}}\"}}}}}}\n"
    )
    assert "'lost' is undefined" in found
    assert "secret" not in found


def test_lookups_are_not_run(tmp_path: Path) -> None:
    """Whoever knows them from Ansible is told what there is instead."""
    with pytest.raises(InputError) as caught:
        hosts(tmp_path, "ansible_host: \"{{ lookup('env', 'A') }}\"")
    assert all(problem.hint.startswith("lookups are not run: ") for problem in caught.value.problems)


def test_equal_expressions_are_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an expression depends on nothing of its host, or on what its group gives it, one rendering does for all."""
    ran: list[str] = []
    computed = lazy._plain

    def counting(value: object, depth: int, left: list[int]) -> object:
        if depth == 0:
            ran.append(str(value))
        return computed(value, depth, left)

    monkeypatch.setattr(lazy, "_plain", counting)
    names = "".join(f"    h{number}: {{own: {number}}}\n" for number in range(9))
    (tmp_path / "hosts.yml").write_text(
        'all:\n  vars:\n    shared: "{{ groups[\'all\'] | length }}"\n    ansible_user: "u{{ shared }}"\n'
        '    mixed: "{{ own }}-{{ shared }}"\n    ansible_host: "a{{ mixed }}"\n'
        f"  hosts:\n{names}"
    )
    found = load_inventory([tmp_path / "hosts.yml"]).hosts
    assert [(host.connection.user, host.connection.address) for host in found.values()] == [
        ("u9", f"a{number}-9") for number in range(9)
    ]
    assert ran.count("u9") == 1
    assert len([text for text in ran if text.startswith("a")]) == 9
