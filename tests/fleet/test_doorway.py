"""The doorway's relay: what one side does, the other side sees."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from fleetdeploy.lab import doorway


@contextlib.contextmanager
def relayed() -> Iterator[tuple[asyncio.AbstractEventLoop, socket.socket, socket.socket]]:
    """A client and a server socket, with the doorway's relay between them running in ``loop``."""
    loop = asyncio.new_event_loop()
    with contextlib.ExitStack() as open_sockets:
        front, back = (open_sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        client = open_sockets.enter_context(socket.create_connection(front.getsockname()))
        inside = open_sockets.enter_context(front.accept()[0])
        inside.setblocking(False)
        task = loop.create_task(doorway.relay(inside, back.getsockname()))
        loop.run_until_complete(asyncio.sleep(0))
        server = open_sockets.enter_context(back.accept()[0])
        for end in (client, server):
            end.setblocking(False)
        try:
            yield loop, client, server
        finally:
            client.close()
            server.close()
            loop.run_until_complete(asyncio.wait_for(task, 10))
            loop.close()


async def _receive_all(end: socket.socket) -> bytes:
    loop, received = asyncio.get_running_loop(), b""
    while part := await loop.sock_recv(end, 65536):
        received += part
    return received


def test_the_relay_passes_a_half_close_on() -> None:
    """A client that has said all still hears all: the end of one direction does not end the other."""
    question = os.urandom(1_000_000)

    async def talk(client: socket.socket, server: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()

        async def serve() -> None:
            await loop.sock_sendall(server, (await _receive_all(server))[::-1])
            server.shutdown(socket.SHUT_WR)

        serving = asyncio.create_task(serve())
        await loop.sock_sendall(client, question)
        client.shutdown(socket.SHUT_WR)
        answer = await _receive_all(client)
        await serving
        return answer

    with relayed() as (loop, client, server):
        answer = loop.run_until_complete(asyncio.wait_for(talk(client, server), 20))
    assert answer == question[::-1]


def test_the_relay_passes_a_reset_on() -> None:
    """A server that resets its connection resets the client's too, not ends it as if all had been said."""
    with relayed() as (loop, client, server):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        with pytest.raises(ConnectionResetError):
            loop.run_until_complete(asyncio.wait_for(_receive_all(client), 10))


def test_a_door_whose_port_is_taken_opens_20000_higher() -> None:
    """Where a server of this machine holds a port on all addresses, the door opens at that port plus 20000."""
    with _server_on_all_addresses() as taken:
        port = taken.getsockname()[1]
        with doorway.listen("127.77.255.1", port) as door:
            assert door.getsockname() == ("127.77.255.1", port + 20000)


def _server_on_all_addresses() -> socket.socket:
    """A server on a port so low that 20000 more is a port too."""
    for port in range(20000, 21000):
        with contextlib.suppress(OSError):
            return socket.create_server(("0.0.0.0", port))
    raise AssertionError("no port from 20000 to 20999 is free")
