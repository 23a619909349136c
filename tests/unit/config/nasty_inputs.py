"""Inputs that are meant to hang, to fill the memory or to find an exception that nobody thought of.

Run as a program it reads each of them in a process of its own, which may take :data:`MEMORY_BYTES` more than it has and
:data:`CPU_S`, and prints a JSON object: by name, ``result``, ``refused: ...`` or what went wrong.
"""

# ruff: noqa: E501  rows of words
from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fleetdeploy.cli.binding import extra_vars
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.config.playbook.conditions import ConditionReader
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.playbook.selection import Selection, narrowed
from fleetdeploy.config.secrets.passwords import PasswordFile, Passwords
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.playbook import When
from fleetdeploy.errors import FleetdeployError

MEMORY_BYTES = 256 * 1024 * 1024
CPU_S = 30
"""Generous: what is caught is what would take hours."""
DEEP = 1_000_000
LINE = 10_000_000
MANY = 250_000
SERVICE = (
    "image: 'a:1', ports: {grpc: 1, rest: 2}, bind: 10.0.0.1, models: {m: {source: m, versions: [7], golden: none}}"
)

Read = Callable[[Path, bytes], object]


def _inventory(name: str) -> Read:
    def read(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return load_inventory([folder / name], secrets=_store(folder))

    return read


def _store(folder: Path) -> SecretStore:
    (folder / "password").write_text("secret\n")
    return SecretStore(passwords=Passwords([PasswordFile(folder / "password")]), environ={"T": "token"})


def _variables(folder: Path, content: bytes) -> object:
    (folder / "hosts.yml").write_text("all: {hosts: {h1: }}\n")
    (folder / "group_vars").mkdir()
    (folder / "group_vars" / "all.yml").write_bytes(content)
    return load_inventory([folder / "hosts.yml"], secrets=_store(folder))


def _program(folder: Path, content: bytes) -> object:
    path = folder / "inventory.py"
    path.write_text("#!/bin/false\n")
    path.chmod(0o755)
    text = content.decode("utf-8", "replace")
    return load_inventory([path], run_script=lambda _, __: text, secrets=_store(folder))


def _playbook(folder: Path, content: bytes) -> object:
    (folder / "book.yml").write_bytes(content)
    book = load_playbook(folder / "book.yml", task_names=("drain", "verify", "run"), project=folder)
    return narrowed(book, Selection(tags=("a",)))


def _condition(folder: Path, content: bytes) -> object:
    reader, when = ConditionReader(), When(content.decode("utf-8", "surrogateescape"))
    host = Host("h1", Connection("h1"), {"n": 1, "text": "x" * 8000, "list": list(range(3000))})
    problem = reader.problem(when)
    if problem is not None:
        raise FleetdeployError(problem.message)
    return reader.holds(when, host)


def _template(folder: Path, content: bytes) -> object:
    (folder / "t.j2").write_bytes(content)
    return TemplateSet(folder).render("t.j2", {"n": 1, "text": "x" * 8000, "list": list(range(3000))})


def _pattern(folder: Path, content: bytes) -> object:
    (folder / "hosts.yml").write_text("web: {hosts: {'h[1:50]': }}\ndb: {hosts: {h1: }}\n")
    (folder / "list").write_bytes(content)
    inventory = load_inventory([folder / "hosts.yml"])
    pattern = content.decode("utf-8", "surrogateescape")
    return select(inventory, f"@{folder}/list" if len(pattern) > 1000 else pattern)


def _extra(folder: Path, content: bytes) -> object:
    return extra_vars.parse([content.decode("utf-8", "surrogateescape")], secrets=_store(folder))


def _hosts(folder: Path, content: bytes) -> object:
    return load_inventory([Path(content.decode("utf-8", "surrogateescape"))])


READERS: Mapping[str, Read] = {
    "yaml": _inventory("hosts.yml"),
    "ini": _inventory("hosts.ini"),
    "unnamed": _inventory("hosts"),
    "json": _inventory("hosts.json"),
    "variables": _variables,
    "program": _program,
    "playbook": _playbook,
    "condition": _condition,
    "template": _template,
    "pattern": _pattern,
    "extra": _extra,
    "hosts": _hosts,
}
FILES = (
    "yaml",
    "ini",
    "unnamed",
    "json",
    "variables",
    "program",
    "playbook",
    "template",
    "pattern",
    "extra",
    "condition",
)
LANGUAGES = tuple(kind for kind in FILES if kind not in {"unnamed", "json", "variables"})
"""Of those that are read alike, one."""


def _laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _bytes() -> Iterator[tuple[str, str, bytes]]:
    """What is wrong as bytes or as text, for every reader of files."""
    wrong = {
        "nothing": b"",
        "a NUL": b"\0",
        "NULs": b"\0" * 100_000,
        "a NUL inside": b"all:\n  hosts:\n    h\0: \n",
        "a BOM": b"\xef\xbb\xbfall: {hosts: {h1: }}\n",
        "two BOMs": b"\xef\xbb\xbf\xef\xbb\xbfall: {hosts: {h1: }}\n",
        "UTF-16": "all: {hosts: {h1: }}\n".encode("utf-16"),
        "UTF-32": "all: {hosts: {h1: }}\n".encode("utf-32"),
        "a lone surrogate": "all: {hosts: {'h\ud800': }}\n".encode("utf-8", "surrogatepass"),
        "an escaped surrogate": b'{"all": {"hosts": {"h1": {"x": "\\ud800"}}, "vars": {"\\udfff": "\\ud800\\ud800"}}}',
        "CRLF": b"all:\r\n  hosts:\r\n    h1:\r\n",
        "CR": b"all:\r  hosts:\r    h1:\r",
        "mixed tabs": b"all:\n\thosts:\n  \t h1:\n \t \t  x: 1\n",
        "other separators": "all:\u2028  hosts:\u2029\u0085 h1:\x0b\x0c".encode(),
        "right to left": "all: {hosts: {'\u202eh1': }}\n".encode(),
        "every byte": bytes(range(256)) * 100,
        "every character": "".join(
            map(chr, itertools.chain(range(32, 0xD800, 7), range(0xE000, 0x10FFFF, 97)))
        ).encode(),
        "one long line": b"a" * LINE,
        "many lines": b"a\n" * (MANY),
        "many blanks": b" " * MANY,
        "many newlines": b"\n" * MANY,
        "many comments": b"# x\n" * (MANY),
        "many quotes": b"'" * MANY,
        "many double quotes": b'"' * (MANY),
        "many backslashes": b"\\" * MANY,
        "many colons": b": " * (MANY),
        "many dashes": b"- " * MANY,
        "many question marks": b"? " * MANY,
        "many exclamation marks": b"! " * MANY,
        "many anchors": b"&a " * MANY,
        "many stars": b"* " * MANY,
        "many bars": b"|\n" * MANY,
        "many brackets": b"[" * DEEP,
        "many closed brackets": b"[" * DEEP + b"]" * DEEP,
        "many braces": b"{" * DEEP,
        "many pairs": b'{"a":' * (MANY) + b"1" + b"}" * (MANY),
        "many parentheses": b"(" * MANY + b")" * MANY,
        "many expressions": b"{{ " * MANY,
        "many statements": b"{% if x %}" * 10_000,
        "many dots": b"a." * MANY,
        "many commas": b"a," * (MANY),
        "many equal signs": b"a=" * MANY,
        "many percent signs": b"%" * MANY,
        "a huge number": b"9" * 100_000,
        "a huge negative number": b"-" + b"9" * 100_000,
        "a huge hexadecimal number": b"0x" + b"f" * 100_000,
        "a huge binary number": b"0b" + b"1" * 100_000,
        "a huge octal number": b"0" + b"7" * 100_000,
        "a huge number in base 60": b"1" + b":59" * 30_000,
        "a huge float": b"1." + b"9" * 100_000 + b"e999999999",
        "numbers with underscores": b"1" + b"_" * 100_000,
        "a date": b"9999-99-99",
        "another date": b"2026-02-30 25:61:61.999999999999 +99:99",
        "a tag": b"!!python/object/apply:os.system ['id']",
        "a long tag": b"!" + b"a" * MANY + b" x",
        "a binary": b"!!binary '%%%'",
        "a vault": b"$ANSIBLE_VAULT;1.1;AES256\n" + b"61" * MANY,
        "a vault of lines": b"$ANSIBLE_VAULT;1.1;AES256\n" + b"61\n" * MANY,
        "a vault with nothing": b"$ANSIBLE_VAULT;1.1;AES256\n",
        "a vault that is no vault": b"$ANSIBLE_VAULT;9;ROT13\nxx",
    }
    for name, content in wrong.items():
        for kind in FILES if len(content) < 1000 else LANGUAGES:
            yield kind, name, content


def _trees() -> Iterator[tuple[str, str, str]]:
    """What is wrong as YAML or JSON, of each kind."""
    numbers = (
        "9" * 10_001,
        "0x" + "f" * 10_001,
        "0b" + "1" * 99_999,
        "1" + ":59" * 9999,
        "1e999",
        ".nan",
        "-.inf",
        "0o9",
    )
    for number in numbers:
        label = f"the number {number[:8]}"
        yield "yaml", label, f"all: {{hosts: {{h1: {{ansible_port: {number}, {number}: x}}}}}}\n"
        yield "yaml", f"{label} as keys", f"all: {{hosts: {{{number}: }}, vars: {{gpus: {{count: {number}}}}}}}\n"
        yield (
            "yaml",
            f"{label} in a service",
            f"all: {{hosts: {{h1: }}, vars: {{services: {{s: {{{SERVICE}, user: {number}}}}}}}}}\n",
        )
        yield (
            "ini",
            label,
            f"h1 ansible_port={number} x={number}\nh2:{number}\n[a:vars]\nansible_group_priority={number}\n",
        )
        yield (
            "program",
            label,
            f'{{"web": {{"hosts": ["h1"], "vars": {{"ansible_port": {number}}}}}, "_meta": {{"hostvars": {{}}}}}}',
        )
        yield (
            "playbook",
            label,
            f"- {{hosts: all, serial: {number}, soak: {number}, max_unavailable: {number}, tasks: [drain]}}\n",
        )
        yield "condition", label, f"n == {number}"
        yield "extra", label, f"{{a: {number}}}"
        yield "pattern", label, f"web[{number}]"
        yield "hosts", label, f"h1:{number},h2"
        yield "template", label, f"{{{{ {number} }}}}"
    for levels in (9, 200):
        yield "yaml", f"billions of laughs ({levels})", _laughs(levels)
        yield "variables", f"billions of laughs ({levels})", _laughs(levels)
        yield "playbook", f"billions of laughs ({levels})", _laughs(levels)
        yield "extra", f"billions of laughs ({levels})", "{" + _laughs(levels).replace("\n", ", ") + "}"
    merges = "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}" for n in range(1, 2000))
    yield "variables", "merges", f"a0: &a0 {{x: 1}}\n{merges}\n"
    yield "variables", "an alias of itself", "a: &a [*a, *a]\nb: &b {<<: *b}\n"
    yield "variables", "many anchors of many keys", "".join(f"a{n}: &b{n} {n}\n" for n in range(60_000))
    yield "variables", "many keys", "".join(f"a{n}: 1\n" for n in range(100_000))
    yield "variables", "a key again and again", "a: 1\n" * 100_000
    yield "variables", "many lists", "a:\n" + "- [1]\n" * 200_000
    yield "variables", "a list of lists", "a: " + "[" * 60 + "]" * 60 + "\n"
    yield "variables", "deep indentation", "".join(" " * n + f"a{n}:\n" for n in range(2000))
    yield "variables", "nearly reserved", "".join(f"service{n}: 1\n" for n in range(20_000))
    yield "variables", "many secrets", "a:\n" + "- !secret {env: T}\n" * 20_000
    yield (
        "variables",
        "odd secrets",
        "a: !secret\nb: !secret []\nc: !secret {file: [1]}\nd: !vault\ne: !vault {}\nf: !secret {a: 1}\n",
    )
    yield "variables", "secrets in secrets", "a: " + "!secret {file: " * 5000 + "x" + "}" * 5000 + "\n"
    yield (
        "variables",
        "bad blocks",
        'a: !vault "$ANSIBLE_VAULT;1.1;AES256 6\\ud800"\nb: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  zz\n',
    )
    yield "variables", "a template of itself", 'ansible_host: "{{ ansible_host }}"\n'
    steps = "".join(f'a{n}: "{{{{ a{n + 1} }}}}{{{{ a{n + 1} }}}}"\n' for n in range(2000))
    yield "variables", "templates of templates", f'ansible_host: "{{{{ a0 }}}}"\n{steps}a2000: x\n'
    yield "variables", "many templates", "gpus: {count: 1, x: [" + "'{{ n }}', " * 50_000 + "]}\n"
    yield "variables", "brackets in a template", f'ansible_host: "{{{{ {"(" * 400}1{")" * 400} }}}}"\n'
    yield (
        "variables",
        "odd templates",
        "ansible_host: '{{}}'\nansible_user: '{{ }'\nansible_port: '{{ \\ud800 }}'\nansible_x: '{{{{{{'\n",
    )
    yield "extra", "bytes that are not UTF-8", '{"a": "\udc80"}'
    yield "yaml", "a cycle of groups", "".join(f"g{n}: {{children: {{g{(n + 1) % 3000}: }}}}\n" for n in range(3000))
    yield (
        "yaml",
        "a chain of groups",
        "".join(f"g{n}: {{children: {{g{n + 1}: }}}}\n" for n in range(3000)) + "g3000: {hosts: {h: }}\n",
    )
    yield "yaml", "groups in groups", "all: {children: {" + "g: {children: {" * 3000
    ladder = "".join(
        f"a{n}: {{children: {{a{n + 1}: , b{n + 1}: }}}}\nb{n}: {{children: {{a{n + 1}: , b{n + 1}: }}}}\n"
        for n in range(200)
    )
    yield "yaml", "a ladder of groups", f"{ladder}a200: {{hosts: {{h: }}}}\n"
    yield "yaml", "many hosts", "all: {hosts: {" + ", ".join(f"h{n}: " for n in range(20_000)) + "}}\n"
    ranges = ("[1:999999999]", "[0:99999999999999999999]", "[1:20000][1:20000]", "[a:z][a:z][a:z][a:z][a:z]", "[1:9:0]",
              "[:]", "[9:1]", "[a:9]", "[001:9]", "[1:2" * 5000, "[1:2]" * 5000, "[é:ö]", "[١:٣]", "[1:2:99999999999]")  # fmt: skip
    for text in ranges:
        label = f"the range {text[:20]} {len(text)}"
        yield "yaml", label, f"all: {{hosts: {{'h{text}': }}}}\n"
        yield "ini", label, f"h{text}\n"
        yield "pattern", label, f"web{text}"
        yield "hosts", label, f"h{text},"
    yield (
        "yaml",
        "twenty thousand hosts, again and again",
        "all:\n hosts:\n" + "".join(f"  h{n}x[1:19999]:\n" for n in range(60)),
    )
    yield "ini", "many sections", "".join(f"[g{n}]\nh{n}\n" for n in range(100_000))
    yield "ini", "a section again and again", "[g]\nh\n" * 100_000
    yield "ini", "many children", "".join(f"[g{n}:children]\ng{n + 1}\n" for n in range(30_000))
    yield "ini", "a cycle of children", "".join(f"[g{n}:children]\ng{(n + 1) % 3000}\n" for n in range(3000))
    yield "ini", "many variables", "[g:vars]\n" + "".join(f"a{n}=1\n" for n in range(100_000)) + "[g]\nh\n"
    yield "ini", "many words", "h " + " ".join(f"a{n}=1" for n in range(100_000)) + "\n"
    yield "ini", "a deep literal", "[g:vars]\na=" + "[" * 30_000 + "]" * 30_000 + "\n[g]\nh\n"
    yield "ini", "a deep sum", "[g:vars]\na=" + "-" * 60_000 + "1\nb=" + "1+" * 30_000 + "1j\n[g]\nh\n"
    yield (
        "ini",
        "odd literals",
        "[g:vars]\na={1}\nb=b'x'\nc=...\nd=1j\ne={[]: 1}\nf={{}}\ng='\\ud800'\nh='\\N{x}'\ni=(1,\n[g]\nh\n",
    )
    yield "ini", "bad sections", "[\n]\n[]\n[:]\n[a:]\n[a:b:c]\n[[a]]\n[a\n[all:children]\nall\n[a]b\n"
    yield "program", "deep", '{"a": ' * 100_000 + "1" + "}" * 100_000
    yield "program", "deep lists", '{"a": {"vars": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}}"
    yield "program", "not a mapping", "[" + "1," * 100_000 + "1]"
    yield "program", "constants", '{"a": {"vars": {"x": NaN, "y": -Infinity}}}'
    yield (
        "program",
        "odd groups",
        '{"a": 1, "b": null, "c": [[]], "d": {"hosts": {}}, "": [], "all": {"children": ["all"]}}',
    )
    yield (
        "program",
        "many groups",
        json.dumps({f"g{n}": [f"h{n}"] for n in range(20_000)} | {"_meta": {"hostvars": {}}}),
    )
    yield (
        "program",
        "odd vaults",
        '{"a": {"hosts": ["h"], "vars": {"x": {"__ansible_vault": "x"}}}, "_meta": {"hostvars": {}}}',
    )
    yield "program", "names that are not text", '{"a": {"hosts": [1, null, [], {}], "children": [1, {}]}, "_meta": 1}'
    yield "playbook", "itself", "- import_playbook: book.yml\n- {hosts: all, tasks: [{include_tasks: book.yml}]}\n"
    yield (
        "playbook",
        "odd includes",
        '- import_playbook: [1]\n- import_playbook: "a\\0b"\n- import_playbook: /etc/passwd\n- {hosts: all, tasks: [{include_tasks: '
        + "x" * 5000
        + "}]}\n",
    )
    yield "playbook", "blocks in blocks", "- hosts: all\n  tasks: " + "[{block: " * 30 + "[drain]" + "}]" * 30 + "\n"
    yield "playbook", "many plays", "- {hosts: all, tasks: [drain]}\n" * 20_000
    yield (
        "playbook",
        "many tasks",
        "- hosts: all\n  tasks:\n" + "  - {name: a, tags: [a, b], drain: , when: n == 1}\n" * 10_000,
    )
    yield (
        "playbook",
        "many conditions",
        "- hosts: all\n  tasks:\n" + "".join(f"  - {{drain: , when: n == {n}}}\n" for n in range(1500)),
    )
    yield (
        "playbook",
        "odd conditions",
        "- hosts: all\n  tasks:\n" + "".join(f"  - {{drain: , when: {text!r}}}\n" for text in CONDITIONS),
    )
    yield (
        "playbook",
        "many tags",
        "- {hosts: all, tags: [" + ", ".join(f"t{n}" for n in range(50_000)) + "], tasks: [drain]}\n",
    )
    for text in CONDITIONS:
        yield "condition", f"the condition {text[:30]} {len(text)}", text
        yield "template", f"the condition {text[:30]} {len(text)}", "{{ " + text + " }}"
    for text in PATTERNS:
        yield "pattern", f"the pattern {text[:30]} {len(text)}", text
        yield "hosts", f"the pattern {text[:30]} {len(text)}", text + ","


CONDITIONS = (
    "", " ", "(", ")", "}}", "%}", "n", "n ==", "== n", "not" * 200, "not " * 250 + "n", "(" * 500 + "n" + ")" * 500,
    "-" * 1000 + "1", "n" + ".a" * 500, "n" + "[0]" * 340, "1" + "+1" * 500, "n if " * 200 + "n", "[" * 500 + "]" * 500,
    "{" * 500, "'" * 1000, '"\\ud800" == n', "'\\N{LATIN}'", "'\\x'", "'\\ud800' in text", "9" * 1000 + " > 1", "1e999 == n",
    "1_0_0 == n", "0x" + "f" * 1000 + " == n", "text * text", "'x' * 999999999 == text", "9 ** 9 ** 9 == 1",
    "text | replace('', text) | replace('', text) | length > 1", "list | join(text) | length > 1", "n is nothing", "n | nothing",
    "n.__class__", "n.__class__.__mro__ == 1", "self", "loop", "super()", "caller()", "varargs", "n is sameas n", "n()", "text()",
    "text.format(1)", "range(99999999) == 1", "lipsum(n=99999)", "cycler", "namespace(a=1)", "dict(a=1)", "n # x", "{# #}",
    "n\n==\n1", "n\0", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "á == 1", "ﬁ == 1", "٣ == 3", "n == ³", "lambda: 1",
    "text[::-1] == text", "text[:9999999999] == 1", "list[0:0:0]", "not in", "is", "and and", "true is true", "list == list == list",
    "None", "none", "inf", "n is divisibleby 0", "n / 0", "n % 0", "n // 0", "n | int(base=99)", "text | int", "n | round(99999999)",
    "n | round(-99999999)", "list | sum(start='') == 1", "list | max(attribute='a.b')", "list | sort(attribute='0') | length == 1",
    "text | float", "text | title == 1", "[n] | first", "[] | first", "[] | last", "[] | max", "list | unique(attribute='x')",
)  # fmt: skip
PATTERNS = (
    "", " ", ",", ":", "::", "!", "&", "!!all", "all:!", "all:&", "~", "~(", "~[", "~*", "~" + "(" * 5000, "~(a+)+$", "~(h|h)*x", "~" + "a?" * 30,
    "~h{99999999999}", "~(?P<n>h)(?P<n>h)", "~\\", "~(?<=h*)", "web[", "web]", "web[]", "web[-]", "web[a]", "web[1:2:3]", "web[-99999999999]",
    "web[0:" + "9" * 20 + "]", "*" * 200, "*a" * 100, "[" * 500, "[!", "h[!-]", "?" * 500, "@", "@/", "@/dev/null/x", "@\0", "@" + "a" * 5000,
    "gpu:memory>=", "gpu:memory>=9999999999999999999999GiB", "gpu:", "all:gpu:count>=1", "h1\n", "\0", "\udcff", "h1:h2:" * 5000,
    ",".join(["all"] * 5000), "all:!" * 100, "~.*" * 20, "a" * 100_000, "\u202e", "é", "web[٣]", "~(?i:H1)(?a)", "~(?s)h.(?-s:x)",
)  # fmt: skip


def cases() -> Iterator[tuple[str, str, bytes]]:
    """Kind, name and content of every input; names are unique in a kind."""
    yield from _bytes()
    for kind, name, text in _trees():
        yield kind, name, text.encode("utf-8", "surrogateescape")


def _read(kind: str, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            READERS[kind](Path(folder), content)
        except FleetdeployError as error:
            return f"refused: {error}"[:400]
        except BaseException:  # noqa: BLE001  anything else is what is looked for
            return traceback.format_exc(limit=-6)[-1500:]
    return "result"


def _in_a_process(kind: str, content: bytes) -> str:
    """What reading gives, in a child with limits of its own."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        with os.fdopen(theirs, "wb") as stream:
            stream.write(_read(kind, content).encode("utf-8", "backslashreplace"))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as stream:
        said = stream.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGXCPU:
        return f"took more than {CPU_S} s"
    return said if status == 0 else f"ended with {status}: {said}"


def main(part: int, parts: int) -> None:
    chosen = list(cases())[part::parts]
    sys.stdout.write(json.dumps({f"{kind}: {name}": _in_a_process(kind, content) for kind, name, content in chosen}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
