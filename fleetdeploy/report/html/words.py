"""Small words of the page: names for parts of it, and symbols that say without colour what colours say."""

from __future__ import annotations

from types import MappingProxyType

SYMBOLS = MappingProxyType(
    {
        "ok": "✓",
        "changed": "✓",
        "reverted": "↩",
        "failed": "✕",
        "unreachable": "✕",
        "skipped": "–",
        "unfinished": "…",
        "waiting": "…",
        "good": "✓",
        "partly": "!",
        "bad": "✕",
        "unknown": "?",
    }
)


def host_id(at: int) -> str:
    """What a host's part of the page is called: names may hold what no link may."""
    return f"host-{at}"
