"""Makes nodes of YAML's events, each with its place, and notes everything that is wrong with them.

PyYAML's own composer keeps the last of two equal keys in silence and follows aliases without a limit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NoReturn

from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.yaml_errors import (
    UNQUOTED_TEMPLATE,
    Unfinished,
)
from fleetdeploy.config.syntax.yaml_scalars import (
    CORE_TAGS,
    MERGE_TAG,
    SECRET_TAG,
    SECRET_TAGS,
    implicit_tag,
    scalar_value,
    short_tag,
)
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import Problem

MAX_NODES = 500_000
MAX_DEPTH = 64


class TooMuch(Exception):
    """Composing was given up; the problem is noted."""


class Composer:
    """Makes nodes of PyYAML's events and notes everything that is wrong with them."""

    def __init__(self, file: str, secrets: Secrets | None) -> None:
        self.file = file
        self.secrets = secrets
        self.problems: list[Problem] = []
        self.unfinished = Unfinished()
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._open: set[str] = set()
        self._nodes = 0
        self._events: Iterator[Event] = iter(())

    def document(self, events: Iterator[Event]) -> Node:
        """The one document that the events tell. Raises TooMuch where it is given up."""
        self._events = events
        root: Node = Scalar(None, "", Origin(self.file))
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self._problem(event, "a second document starts here", "one document a file: remove this `---`")
                    break
                root = self._node(next(events), 1)
        return root

    def _place(self, event: Event) -> Origin:
        mark = event.start_mark
        if mark is None:
            return Origin(self.file)
        return Origin(self.file, mark.line + 1, mark.column + 1)

    def _problem(self, event: Event, message: str, hint: str = "") -> None:
        self.problems.append(Problem(message, str(self._place(event)), hint))

    def _give_up(self, event: Event, message: str, hint: str) -> NoReturn:
        self._problem(event, message, hint)
        raise TooMuch

    def _count(self, event: Event, nodes: int = 1) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._give_up(event, f"more than {MAX_NODES:,} values", "anchors that repeat themselves? write less")

    def _node(self, event: Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._give_up(event, f"nested more than {MAX_DEPTH} levels deep", "flatten it")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._count(event)
        before = self._nodes
        assert isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent))
        anchor = event.anchor
        if anchor is not None:
            if anchor in self._anchors or anchor in self._open:
                self._problem(event, f"the anchor &{anchor} is defined twice", "give the second one another name")
            self._open.add(anchor)
        node: Node
        if event.tag in SECRET_TAGS and self.secrets is not None:
            node = self._secret(event, depth, self.secrets)
        elif isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (node, self._nodes - before + 1)
        return node

    def _alias(self, event: AliasEvent) -> Node:
        name = event.anchor
        if name in self._anchors:
            node, nodes = self._anchors[name]
            self._count(event, nodes)
            return node
        if name in self._open:
            self._problem(event, f"*{name} stands inside &{name}: it would contain itself")
        else:
            self._problem(
                event,
                f"*{name} refers to an anchor that is not defined above",
                f"define &{name} first, or quote the value if a text with * is meant",
            )
        return Scalar(None, "", self._place(event))

    def _scalar(self, event: ScalarEvent) -> Scalar:
        origin = self._place(event)
        plain = not event.style  # libyaml says "", the pure parser None
        start, end = event.start_mark, event.end_mark
        if event.style in {"'", '"'} and start and end and end.line > start.line:
            self.unfinished.long_quote = origin
        tag = event.tag
        if tag is None:
            tag = implicit_tag(event.value) if plain else "tag:yaml.org,2002:str"
        elif tag == "!":
            tag = "tag:yaml.org,2002:str"
        else:
            self._check_tag(event, tag)
        try:
            value = scalar_value(tag, event.value)
        except (ValueError, KeyError, IndexError, OverflowError):
            self._problem(
                event,
                f"{event.value[:60]!r} looks like {short_tag(tag)} but cannot be one",
                "put it in quotes if text is meant",
            )
            value = event.value
        return Scalar(value, event.value, origin, quoted=not plain)

    def _secret(
        self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent, depth: int, secrets: Secrets
    ) -> Scalar:
        """``!vault`` with a block, ``!secret`` with a mapping; neither its value nor its text is kept in the node."""
        origin = self._place(event)
        body: Node
        if isinstance(event, ScalarEvent):
            body = Scalar(event.value, event.value, origin, quoted=True)
        elif isinstance(event, SequenceStartEvent):
            body = self._sequence(event, depth)
        else:
            body = self._mapping(event, depth)
        value: object = None
        try:
            if event.tag == SECRET_TAG:
                value = secrets.referred(body, origin)
            elif isinstance(event, ScalarEvent):
                value = secrets.vaulted(event.value, origin)
            else:
                raise Refused("`!vault` stands before a block of text", "write `!vault |`, below it the payload")
        except Refused as error:
            self._problem(event, error.message, error.hint)
        return Scalar(value, SHOWN, origin, quoted=True)

    def _check_tag(self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent, tag: str) -> None:
        if tag in SECRET_TAGS and self.secrets is None:
            self._problem(
                event, f"the tag {tag} is not allowed here", "secrets belong into the inventory and its variables files"
            )
        elif tag not in CORE_TAGS and tag not in SECRET_TAGS:
            allowed = ", ".join(sorted(short_tag(item) for item in CORE_TAGS | SECRET_TAGS))
            self._problem(
                event,
                f"the tag {short_tag(tag)} is not allowed",
                f"allowed tags: {allowed}; quote the value if a text with ! is meant",
            )

    def _sequence(self, event: SequenceStartEvent, depth: int) -> ListNode:
        if event.tag not in {None, "!"}:
            self._check_tag(event, str(event.tag))
        if event.flow_style:
            self.unfinished.brackets.append(("[", self._place(event)))
        items: list[Node] = []
        while not isinstance(inner := next(self._events), SequenceEndEvent):
            items.append(self._node(inner, depth + 1))
        if event.flow_style:
            self.unfinished.brackets.pop()
        return ListNode(tuple(items), self._place(event))

    def _mapping(self, event: MappingStartEvent, depth: int) -> MapNode:
        if event.tag not in {None, "!"}:
            self._check_tag(event, str(event.tag))
        if event.flow_style:
            self.unfinished.brackets.append(("{", self._place(event)))
        entries: dict[Hashable, Entry] = {}
        merged: dict[Hashable, Entry] = {}
        merge_key: Scalar | None = None
        while not isinstance(inner := next(self._events), MappingEndEvent):
            key = self._node(inner, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._bad_key(event, inner, key)
            elif not key.quoted and implicit_tag(key.raw) == MERGE_TAG:
                if merge_key is not None:
                    self._problem(inner, "`<<` is given twice", "merge several with `<<: [*first, *second]`")
                merge_key = key
                merged = self._merged(key, value)
            elif isinstance(key.value, Secret):
                self._problem(inner, "a key cannot be a secret", "write the key itself")
            elif key.is_null:
                self._problem(inner, "a key is missing before `:`", "write the key, or quote it if null is meant")
            elif key.value in entries:
                first = entries[key.value].key.origin
                self._problem(
                    inner, f"the key {key.raw!r} is given twice, first at line {first.line}", "keep one of the two"
                )
            else:
                entries[key.value] = Entry(key, value)
        if event.flow_style:
            self.unfinished.brackets.pop()
        return MapNode({**merged, **entries}, self._place(event))

    def _bad_key(self, mapping: MappingStartEvent, event: Event, key: Node) -> None:
        if isinstance(key, MapNode) and mapping.flow_style:
            self._problem(mapping, UNQUOTED_TEMPLATE, 'put the whole value in quotes: "{{ name }}"')
        else:
            self._problem(event, "a key must be one word or text, not a list or a mapping", "quote the key")

    def _merged(self, key: Scalar, value: Node) -> dict[Hashable, Entry]:
        """The entries ``<<`` brings in; of several mappings the first one that has a key wins (YAML merge type)."""
        sources: Sequence[Node] = value.items if isinstance(value, ListNode) else (value,)
        result: dict[Hashable, Entry] = {}
        for source in reversed(sources):
            if isinstance(source, MapNode):
                result.update(source.entries)
            else:
                self.problems.append(Problem("`<<` merges mappings only", str(key.origin), "write `<<: *anchor`"))
        return result
