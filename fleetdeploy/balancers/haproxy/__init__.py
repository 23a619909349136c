"""HAProxy 2.0 and newer; from 2.4 on it remembers who keeps a server out."""

from fleetdeploy.balancers.haproxy.client import KIND, HAProxy, make

__all__ = ["KIND", "HAProxy", "make"]
