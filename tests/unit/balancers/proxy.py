"""HAProxy's runtime socket, played by an object that answers as HAProxy 2.6 was seen to."""

from __future__ import annotations

from collections.abc import Callable

from fleetdeploy.balancers.haproxy import HAProxy
from fleetdeploy.domain.observed import Traffic

POOLS = ("rest", "grpc")
UNKNOWN = "Unknown command, but maybe one of the following ones is a better match:\n  get map <acl> <value>\n\n"


class Proxy:
    """Two pools of two servers; those of ``grpc`` follow those of ``rest`` in health."""

    def __init__(self) -> None:
        self.admin = {(pool, server): "ready" for pool in POOLS for server in ("h1", "h2")}
        self.down: set[str] = set()
        self.sessions: dict[tuple[str, str], list[int]] = {}
        self.refuse = ""
        self.deaf = False
        self.commands: list[str] = []
        self.notes: dict[str, str] = {}
        self.keeps_notes = True

    def part(self, command: str) -> str:
        """One of several commands in a line."""
        if not command.startswith(("experimental-mode", "set var")):
            return self.exchange(command)
        if not self.keeps_notes:
            return UNKNOWN
        if command.startswith("set var"):
            _, _, name, value = command.split()
            self.notes[name] = value.removeprefix("str(").removesuffix(")")
        return "\n"

    def noted(self, name: str) -> str:
        if not self.keeps_notes:
            return UNKNOWN
        return f"{name}: type=str value=<{self.notes[name]}>\n" if name in self.notes else "Variable not found.\n\n"

    def exchange(self, command: str) -> str:
        if command == "show stat":
            return self.stat()
        if command == "show servers state":
            return self.state()
        if command.startswith("get var "):
            return "".join(self.noted(part.split()[-1]) for part in command.split("; "))
        if command.startswith("experimental-mode on; set var "):
            return "".join(map(self.part, command.split("; ")))
        self.commands.append(command)
        if self.refuse:
            return f"{self.refuse}\n\n"
        pool, server = command.split()[2].split("/")
        if not self.deaf:
            self.admin[pool, server] = command.rsplit(maxsplit=1)[-1]
        return "\n"

    def stat(self) -> str:
        rows = ["# pxname,svname,qcur,scur,status,weight,addr,"]
        for (pool, server), admin in self.admin.items():
            left = self.sessions.get((pool, server), [0])
            count = left.pop(0) if len(left) > 1 else left[0]
            status = {"ready": "UP", "drain": "DRAIN", "maint": "MAINT"}[admin]
            if server in self.down and admin != "maint":
                status = "DOWN"
            rows.append(f"{pool},{server},0,{count},{status},100,10.0.0.1:8501,")
        rows += [f"{pool},BACKEND,0,0,UP,200,," for pool in POOLS]
        return "\n".join(rows) + "\n\n"

    def state(self) -> str:
        rows = ["1", "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight"]
        for (pool, server), admin in self.admin.items():
            rows.append(f"3 {pool} 1 {server} 10.0.0.1 2 {8 if admin == 'drain' else 0} 100")
        return "\n".join(rows) + "\n\n"


def traffic(balancer: HAProxy, server: str) -> list[Traffic]:
    return [member.traffic for member in balancer.members(POOLS) if member.server == server]


def way_of(balancer: HAProxy, way: str) -> Callable[..., None]:
    """``drain``, ``keep_out`` or ``undrain``, called alike."""
    if way == "keep_out":
        return lambda *args, **keys: balancer.keep_out(*args, run="r1", **keys)
    found: Callable[..., None] = getattr(balancer, way)
    return found
