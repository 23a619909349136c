"""HAProxy on the lab's load balancer host: REST and gRPC to every GPU host, steered through its admin socket."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

from fleetdeploy.lab.state import HostRecord

ADMIN_SOCKET = "/run/haproxy/admin.sock"
REST_PORT = 8501
GRPC_PORT = 8500
STATS_PORT = 8404
POOLS = ("ranking_rest", "ranking_grpc")

_GLOBAL = f"""\
global
  log stdout format raw local0 notice
  user haproxy
  group haproxy
  stats socket {ADMIN_SOCKET} mode 660 level admin expose-fd listeners
  stats timeout 1m

defaults
  mode http
  log global
  option dontlognull
  timeout connect 2s
  timeout client 5m
  timeout server 5m
  timeout http-request 10s
  # A connection that could not be made is tried again, elsewhere if need be: no request has been sent yet. A request
  # that was sent and failed is never repeated: whoever drains too late must see the error.
  retries 3
  option redispatch 1
  retry-on conn-failure
"""


def haproxy_config(hosts: Iterable[HostRecord]) -> str:
    """The configuration: one server per host, named as the host, in a REST and in a gRPC backend.

    A host is UP when something on its REST port answers HTTP with any status but 5xx: a host without a container
    refuses the connection, and a server that hangs runs into the check's timeout. Which models it serves is the
    deployer's question, not the balancer's. The gRPC servers follow the REST servers in health and in drain, as
    TF Serving's own gRPC health service is off unless a flag turns it on.
    """
    hosts = list(hosts)
    rest = "".join(f"  server {host.name} {host.address}:{REST_PORT} check\n" for host in hosts)
    grpc = "".join(
        f"  server {host.name} {host.address}:{GRPC_PORT} proto h2 track {POOLS[0]}/{host.name}\n" for host in hosts
    )
    return f"""{_GLOBAL}
frontend rest
  bind :{REST_PORT}
  default_backend {POOLS[0]}

frontend grpc
  bind :{GRPC_PORT} proto h2
  default_backend {POOLS[1]}

frontend stats
  bind :{STATS_PORT}
  stats enable
  stats uri /
  stats refresh 2s

backend {POOLS[0]}
  balance roundrobin
  option httpchk
  http-check send meth GET uri / ver HTTP/1.1 hdr Host {POOLS[0]}
  http-check expect status 100-499
  default-server inter 500ms fastinter 500ms downinter 500ms rise 2 fall 2 weight 100
{rest}
backend {POOLS[1]}
  balance roundrobin
  default-server weight 100
{grpc}"""


def ask(admin_socket: Path, command: str, *, timeout_s: float = 5) -> str:
    """Send one command to HAProxy's admin socket and return the whole answer, without the empty line that ends it.

    :raises OSError: nobody answers there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout_s)
        channel.connect(str(admin_socket))
        channel.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: channel.recv(65536), b"")).decode().rstrip("\n")
