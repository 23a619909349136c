"""The host's balancer: it answers, knows the host in every pool, obeys, and sends requests."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.domain.observed import Absent, Traffic, Unknown
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, unknown, warn


def look(facts: HostFacts) -> Iterator[Finding]:
    """By the balancer's own report."""
    wish = facts.host.balancer
    if wish is None:
        return
    if isinstance(facts.members, Unknown):
        yield unknown(
            f"the balancer {wish.host} cannot be asked",
            why=facts.members.reason,
            fix=f"ssh {wish.host} 'ls -l {wish.socket}; systemctl status {wish.kind}'",
        )
        return
    members = known(facts.members) or ()
    pools = {member.pool: member for member in members}
    lacking = [pool for pool in wish.all_pools if pool not in pools]
    if lacking:
        yield bad(
            f"the balancer {wish.host} has no server {wish.server} in {', '.join(lacking)}",
            why="the host can be neither drained nor put back",
            fix=f"add it to the backend on {wish.host}, or mend `balancer.server` and `balancer.pools`",
        )
    new = all(isinstance(seen.release, Absent) for seen in facts.observed.services.values())
    for traffic in (Traffic.DOWN, Traffic.MAINTENANCE, Traffic.DRAINED, Traffic.DRAINING):
        out = [member.pool for member in members if member.traffic is traffic]
        if out and new and traffic is Traffic.DOWN:
            yield fine(f"the balancer {wish.host} waits for its first release in {', '.join(out)}")
        elif out:
            yield warn(
                f"the balancer {wish.host} sends it nothing ({traffic.value}) in {', '.join(out)}",
                why="the fleet has less capacity",
                fix="fleetdeploy status {fleet}{host}",
            )
    if members and all(member.traffic is Traffic.UP for member in members) and not lacking:
        yield fine(f"the balancer {wish.host} sends it requests in {', '.join(wish.all_pools)}")
    if isinstance(facts.balancer_obeys, Unknown):
        yield unknown(
            f"whether the balancer {wish.host} may be told to drain is not known",
            why=facts.balancer_obeys.reason,
            fix=f"look for `level admin` at {wish.socket} in the configuration on {wish.host}",
        )
    elif not known(facts.balancer_obeys):
        yield bad(
            f"the balancer's socket {wish.socket} on {wish.host} may only be asked, not told",
            why="no host can be drained",
            fix=f"stats socket {wish.socket} mode 660 level admin  (in its configuration, section global; reload it)",
        )
    else:
        yield fine(f"the balancer {wish.host} may be told to drain")


CHECK = Check(Group.FLEET, "what the balancer does", look, "fleetdeploy status {fleet}{host}")
