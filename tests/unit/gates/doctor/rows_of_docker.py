"""What is wrong with Docker."""

from __future__ import annotations

import json

from fleetdeploy.domain.checkup import Health, HostFacts
from fleetdeploy.domain.observed import Present, Unknown

from .hosts import INFO, SAID, Rows, saying, seen

BAD, WARN, UNKNOWN = Health.BAD, Health.WARN, Health.UNKNOWN
NO_DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = (
    "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/json": dial unix /var/run/docker.sock: connect: '
    "permission denied"
)
TCP_WARNING = (
    "WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n         Access to the remote API is "
    "equivalent to root access on the host."
)


def docker(**fields: object) -> HostFacts:
    return saying(docker_info=json.dumps({**INFO, **fields}))


def engine(reason: str) -> HostFacts:
    return seen(docker=Unknown(reason), containers=Unknown(reason))


ROWS: Rows = {
    "no docker": ("docker_engine", engine("docker: not found on the host"), [(BAD, "Docker is not installed")]),
    "docker stopped": (
        "docker_engine",
        engine(NO_DAEMON),
        [(BAD, "the Docker engine does not run, or does not listen on its socket")],
    ),
    "docker is another's": (
        "docker_engine",
        engine("error during connect: Get http://docker:80/_ping: EOF. Is the docker daemon running?"),
        [(BAD, "the Docker engine does not run, or does not listen on its socket")],
    ),
    "not in the group": ("docker_engine", engine(DENIED), [(BAD, "this user may not use Docker")]),
    "docker hangs": (
        "docker_engine",
        engine("docker: no answer within 10 s"),
        [(UNKNOWN, "whether Docker answers cannot be told")],
    ),
    "docker of 2018": (
        "docker_engine",
        saying(docker_version=json.dumps({"Version": "18.09.1", "ApiVersion": "1.39"})),
        [(BAD, "Docker 18.09.1 speaks API 1.39, 1.40 is needed")],
    ),
    "no live-restore": (
        "docker_settings",
        docker(LiveRestoreEnabled=False),
        [(WARN, "a restart of Docker ends every server of the host (live-restore is off)")],
    ),
    "vfs": ("docker_settings", docker(Driver="vfs"), [(WARN, "Docker keeps images by the driver vfs")]),
    "endless logs": (
        "docker_settings",
        saying(dockerd="dockerd \n--\n{}"),
        [(WARN, "container logs grow without end (json-file has no max-size)")],
    ),
    "endless logs, no file": (
        "docker_settings",
        saying(dockerd="dockerd \n--"),
        [(WARN, "container logs grow without end (json-file has no max-size)")],
    ),
    "logs of the words": ("docker_settings", saying(dockerd="dockerd --log-opt max-size=9m \n--\n"), []),
    "journald": ("docker_settings", saying(docker(LoggingDriver="journald"), dockerd="dockerd \n--\n{}"), []),
    "tcp by words": (
        "docker_tcp",
        saying(dockerd="dockerd -H fd:// -H tcp://0.0.0.0:2375 \n--\n{}"),
        [(BAD, "Docker listens on tcp://0.0.0.0:2375")],
    ),
    "tcp by file": (
        "docker_tcp",
        saying(dockerd='dockerd \n--\n{"hosts": ["unix:///var/run/docker.sock", "tcp://10.0.0.4:2375"]}'),
        [(BAD, "Docker listens on tcp://10.0.0.4:2375")],
    ),
    "tcp on the loop": (
        "docker_tcp",
        saying(dockerd="dockerd -H tcp://127.0.0.1:2375 \n--\n"),
        [(BAD, "Docker listens on tcp://127.0.0.1:2375")],
    ),
    "tcp with certificates": (
        "docker_tcp",
        saying(dockerd="dockerd --tlsverify -H tcp://0.0.0.0:2376 \n--\n"),
        [(WARN, "Docker listens on tcp://0.0.0.0:2376, for clients with a certificate")],
    ),
    "tcp by port": (
        "docker_tcp",
        seen(listening=Present((22, 2375))),
        [(BAD, "Docker listens on tcp://...:2375")],
    ),
    "tcp by its warning": (
        "docker_tcp",
        seen(docker(Warnings=[TCP_WARNING]), listening=Present((22, 2376))),
        [(BAD, "Docker listens on tcp://...:2376")],
    ),
    "docker's disk": (
        "docker_room",
        saying(docker_root=SAID["docker_root"].replace(" 800000000 ", " 5000000 ")),
        [(WARN, "4.8 GiB are free on /, where Docker keeps images")],
    ),
    "docker's disk full": (
        "docker_room",
        saying(docker_root=SAID["docker_root"].replace(" 800000000 ", " 0 ")),
        [(BAD, "0.0 GiB are free on /, where Docker keeps images")],
    ),
}
