"""What the rooms of the server pass to each other: one version of one model, in memory or not."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class ServableId(NamedTuple):
    """One version of one model."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version}}}"


class Feed(NamedTuple):
    """One input of a request."""

    alias: str
    """Name in the signature."""
    name: str
    """Name of the tensor in the graph, `operation:index`."""
    proto: Any
    """TensorProto."""


class Model(Protocol):
    """A loaded version: what it can be asked, and how."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
        ...

    def run(
        self, feeds: Sequence[Feed], fetches: Sequence[str], *, answers: Sequence[Any], timeout_ms: int | None
    ) -> None:
        """Run the model: `fetches` are tensor names, each of `answers` is an empty TensorProto for one of them.

        `timeout_ms` of None waits as long as it takes. Raises StatusError with the runtime's own code and text.
        """

    def close(self) -> None:
        """Free the model's memory; no run may be in progress."""


class Servable(NamedTuple):
    """A version in memory."""

    id: ServableId
    model: Model


class ModelLoader(Protocol):
    """Makes models of version directories."""

    def load(self, servable: ServableId, path: str) -> Model:
        """Load the version at `path`. Raises StatusError."""
        ...
