"""The page of metrics of a host's model server, asked for over a channel to its REST port."""

from __future__ import annotations

from http.client import HTTPException, HTTPResponse
from typing import Any

import paramiko

from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.errors import NotHealthy
from fleetdeploy.remote.ssh.channels import OneDeadline
from fleetdeploy.tfserving import metrics, monitoring_config

_CAP_BYTES = 8 * 1024 * 1024
_REQUEST = f"GET {monitoring_config.PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def read_metrics(channel: paramiko.Channel, *, host: str, deadline_s: float) -> ServerLoad:
    """What the server has counted; the channel is closed. Raises NotHealthy where it does not tell within
    ``deadline_s``.
    """
    stream: Any = OneDeadline(channel)
    stream.settimeout(deadline_s)
    try:
        stream.sendall(_REQUEST)
        # Not by HTTPConnection, which closes its socket before a last answer is read: a channel gives nothing after.
        answer = HTTPResponse(stream, method="GET")
        answer.begin()
        if answer.status != 200:
            raise NotHealthy(f"no metrics: {answer.status} {answer.reason}", where=host)
        page = answer.read(_CAP_BYTES)
        if answer.length:  # half a page would look like a server that began anew
            raise NotHealthy(f"no metrics: the page ends {answer.length} bytes early", where=host)
        return metrics.read(page.decode("utf-8", "replace"))
    except (OSError, EOFError, HTTPException, ValueError) as error:
        raise NotHealthy(f"no metrics: {error or 'no answer'}", where=host) from error
    finally:
        channel.close()
