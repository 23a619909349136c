"""Files that a playbook names: relative to the file that names them, and never outside the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.playbook.conditions import ConditionReader
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import ListNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.text_file import read_text
from fleetdeploy.domain.playbook import When
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import InputError, Problem

MOST_FILES = 100


@dataclass(frozen=True)
class Inherited:
    """What an entry gets from the play and from the files around it; ``trail`` are those files, outermost first."""

    trail: tuple[Path, ...]
    tags: tuple[str, ...] = ()
    when: tuple[When, ...] = ()
    environment: Mapping[str, str | Secret] = field(default_factory=dict)

    def and_also(
        self,
        tags: tuple[str, ...],
        when: tuple[When, ...] = (),
        environment: Mapping[str, str | Secret] | None = None,
    ) -> Inherited:
        """With what stands nearer to the tasks: in an environment, it wins."""
        return Inherited(
            self.trail,
            tuple(dict.fromkeys((*self.tags, *tags))),
            (*self.when, *when),
            {**self.environment, **(environment or {})},
        )


@dataclass
class Reading:
    """One playbook being read: what belongs to it, and everything that is wrong so far."""

    root: Path
    task_names: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    conditions: ConditionReader = field(default_factory=ConditionReader)
    files: int = 0
    secrets: Secrets | None = None

    def load(self, path: Path, *, what: str) -> Node:
        """A file in which single values may be secret. Raises InputError, also where all of it is encrypted."""
        text = read_text(path, what=what)
        return yaml.loads(text, file=str(path), secrets=None if text.startswith(yaml.VAULT_HEADER) else self.secrets)

    def when(self, texts: tuple[str, ...], node: Node | None) -> tuple[When, ...]:
        """Conditions with their places; one that cannot be read is a problem."""
        places = [item.origin for item in node.items] if isinstance(node, ListNode) else [node.origin] if node else []
        found = [When(text, origin) for text, origin in zip(texts, places, strict=True)]
        self.problems += filter(None, map(self.conditions.problem, found))
        return tuple(found)

    def include(self, name: Node, around: Inherited, *, what: str) -> tuple[ListNode, Inherited] | None:
        """The list in the file ``name``, and what its entries inherit; None, and a problem, where there is none."""
        path = self._path(name, around.trail)
        if path is None:
            return None
        self.files += 1
        try:
            node = self.load(path, what=what)
        except InputError as error:
            self.problems += error.problems
            return None
        if not isinstance(node, ListNode) or not node.items:
            got = "an empty list" if isinstance(node, ListNode) else shown(node)
            self.problems.append(
                Problem(f"a {what} is a list, got {got}", str(node.origin), "start each entry with `- `")
            )
            return None
        return node, replace(around, trail=(*around.trail, path))

    def _path(self, name: Node, trail: tuple[Path, ...]) -> Path | None:
        try:
            return self._followed(name, trail)
        except Refused as error:
            self.problems.append(Problem(error.message, str(name.origin), error.hint))
        except (OSError, RuntimeError, ValueError) as error:
            hint = "see that the file can be read"
            self.problems.append(Problem(f"{shown(name)} cannot be followed: {error}", str(name.origin), hint))
        return None

    def _followed(self, name: Node, trail: tuple[Path, ...]) -> Path:
        text = name.value if isinstance(name, Scalar) else None
        if not isinstance(text, str) or not text:
            raise Refused(f"expected the name of a file, got {shown(name)}", "write it relative to this file")
        if "{{" in text:
            raise Refused(f"{text!r} is a template", "write the file's name itself")
        path = trail[-1].parent / text
        real = path.resolve()
        if Path(text).is_absolute() or not real.is_relative_to(self.root):
            hint = f"only files below {self.root} are read, named relative to the file that names them"
            raise Refused(f"{text!r} leaves the project", hint)
        if not real.is_file():
            raise Refused(f"{text!r}: no such file", f"looked for {path}")
        if real in {item.resolve() for item in trail}:
            names = " -> ".join(item.name for item in (*trail, path))
            raise Refused(f"files that include each other: {names}", "take one of them out")
        if self.files >= MOST_FILES:
            raise Refused(f"more than {MOST_FILES} files are included", "write less, or fewer files")
        return path
