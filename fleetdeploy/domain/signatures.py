"""What callers of a model rely on: the signatures of a version, and how those of two versions differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a signature. A dimension of any size is None; ``shape`` is None where even the rank is open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """``float32 [?, 8]``, and ``string [...]`` where the rank is open."""
        if self.shape is None:
            return f"{self.dtype} [...]"
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """A signature's inputs and outputs by the names that requests use; inputs in ``defaults`` may be left out."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method_name: str = ""
    defaults: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KnownSignatures:
    """The signatures of one version on the controller, or in ``problem`` why they cannot be told.

    ``graph_bytes`` is the size of its ``saved_model.pb``: where a host's is another, it is not the same version.
    """

    signatures: Mapping[str, Signature] = field(default_factory=dict)
    graph_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True)
class SignatureChange:
    """One difference. ``what`` is such as ``input 'x'``, empty for the signature itself.

    ``before`` or ``after`` is empty where there is nothing on that side; ``why`` says what the change is in words.
    """

    signature: str
    what: str
    before: str
    after: str
    why: str
    breaking: bool

    def __str__(self) -> str:
        # Somebody else's names: what a terminal would obey is shown as an escape.
        name = self.signature if self.signature.isprintable() else ascii(self.signature)
        subject = f"{name} {self.what}".rstrip()
        sides = [side for side in (self.before, self.after) if side]
        return f"{subject}: {' -> '.join(sides)} ({self.why})" if sides else f"{subject}: {self.why}"


@dataclass(frozen=True)
class SignatureComparison:
    """A version that callers of a model get now, held against one that they get afterwards.

    Callers that name no version get the newest one, callers that name a label what it points to. ``label`` has the
    labels that move from ``served`` to ``new``, with commas between several; empty where none does. ``served`` is None
    where it could not be told what is served; ``unknown`` then, and where signatures could not be compared, says why.
    ``allowed`` is whether the user has agreed to changes that break callers.
    """

    service: str
    model: str
    served: int | None
    new: int
    changes: tuple[SignatureChange, ...] = ()
    allowed: bool = False
    unknown: str = ""
    label: str = ""

    @property
    def labelled(self) -> str:
        """``label stable``, ``labels canary, stable``; empty where no label moves."""
        word = "labels" if ", " in self.label else "label"
        return f"{word} {self.label}" if self.label else ""

    @property
    def breaking(self) -> tuple[SignatureChange, ...]:
        """The changes after which callers of the served version fail."""
        return tuple(change for change in self.changes if change.breaking)
