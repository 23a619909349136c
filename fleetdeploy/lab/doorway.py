"""The way into a lab: loopback addresses of this machine that lead to the lab's hosts.

Run as a program, ``python doorway.py CONFIG ANSWER``. It claims a free number K, listens on 127.77.K.x for each host x,
then moves into the switch's network namespace and relays every connection to 10.77.0.x. So any SSH client of this
machine reaches the hosts, with no route, address or packet filter added to the machine.

A port is kept where it can be: 22 of the host is 22 of the loopback address. Where a server of this machine holds the
port on all addresses, it is the port plus 20000 instead. ANSWER says what it became.

Only the standard library is imported, so that the program runs from its file, whatever the Python path is.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SLOTS = range(1, 255)
_PORT_STEP = 20000
_CLONE_NEWNET = 0x40000000
_CONNECT_TIMEOUT_S = 20.0
_CHUNK_BYTES = 64 * 1024
_OUT_OF_BREATH_S = 0.05
"""After a failed accept: without descriptors the next one would fail at once, for as long as nobody hangs up."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Door:
    """One listening socket and where its connections go."""

    host: str
    listener: socket.socket
    target: tuple[str, int]


def claim_slot(network: str) -> tuple[int, socket.socket]:
    """A number no other doorway of this machine has; it is free again when the socket closes, also after SIGKILL."""
    for slot in _SLOTS:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0fleetdeploy-lab-{network}.{slot}")
        except OSError:
            claim.close()
            continue
        return slot, claim
    raise SystemExit(f"all {len(_SLOTS)} loopback networks {network}.K.0/24 are taken by other labs")


def listen(address: str, port: int) -> socket.socket:
    """Listen on ``port``, or on ``port`` + 20000 where another server has it."""
    for candidate in (port, port + _PORT_STEP):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, candidate))
            listener.listen(512)
        except OSError as error:
            listener.close()
            refused = error
            continue
        listener.setblocking(False)
        return listener
    raise SystemExit(f"cannot listen on {address} port {port} or {port + _PORT_STEP}: {refused}")


async def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy one direction to its end, and pass the end on: the other direction may still have much to say."""
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    while count := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(sink, buffer[:count])
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


async def relay(inside: socket.socket, target: tuple[str, int]) -> None:
    """Serve one connection; a reset on either side becomes a reset on the other."""
    loop = asyncio.get_running_loop()
    outside = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    outside.setblocking(False)
    with inside, outside:
        try:
            await asyncio.wait_for(loop.sock_connect(outside, target), _CONNECT_TIMEOUT_S)
            for end in (inside, outside):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _both_ways(inside, outside)
        except (OSError, asyncio.TimeoutError):
            for end in (inside, outside):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


async def _both_ways(inside: socket.socket, outside: socket.socket) -> None:
    directions = [asyncio.create_task(pump(inside, outside)), asyncio.create_task(pump(outside, inside))]
    try:
        await asyncio.gather(*directions)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def serve(door: Door) -> None:
    """Accept for one door for ever."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()
    while True:
        try:
            connection, _ = await loop.sock_accept(door.listener)
        except OSError:  # out of descriptors, or the client has gone again
            await asyncio.sleep(_OUT_OF_BREATH_S)
            continue
        connection.setblocking(False)
        task = asyncio.create_task(relay(connection, door.target))
        running.add(task)
        task.add_done_callback(running.discard)


def open_doors(config: dict[str, Any], slot: int) -> list[Door]:
    """Listen for every port of every host in ``{"network", "namespace", "hosts": [{name, number, target, ports}]}``."""
    doors = []
    for host in config["hosts"]:
        for port in host["ports"]:
            listener = listen(f"{config['network']}.{slot}.{host['number']}", port)
            doors.append(Door(host["name"], listener, (host["target"], port)))
    return doors


def answer(doors: list[Door], slot: int) -> dict[str, Any]:
    """``{"slot": K, "hosts": {name: {"address": ..., "doors": {port: door port}}}}``."""
    hosts: dict[str, Any] = {}
    for door in doors:
        address, port = door.listener.getsockname()
        hosts.setdefault(door.host, {"address": address, "doors": {}})["doors"][door.target[1]] = port
    return {"slot": slot, "hosts": hosts}


def enter_namespace(path: str) -> None:
    """Move this (single) thread; the listening sockets stay in the namespace they were made in."""
    descriptor = os.open(path, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise SystemExit(f"cannot enter {path}: {os.strerror(ctypes.get_errno())}")
    os.close(descriptor)


async def main(config_path: str, answer_path: str) -> None:
    """Open the doors, say so in ``answer_path``, and serve until killed."""
    config = json.loads(Path(config_path).read_text())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    slot, _claim = claim_slot(config["network"])
    doors = open_doors(config, slot)
    enter_namespace(config["namespace"])
    partial = Path(f"{answer_path}.partial")
    partial.write_text(json.dumps(answer(doors, slot)))
    partial.replace(answer_path)
    await asyncio.gather(*(serve(door) for door in doors))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
