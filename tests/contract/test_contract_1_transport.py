"""Section 1.2 of the contract: TLS on the gRPC port, and the UNIX socket."""

import contextlib
import datetime as dt
import ipaddress
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from contract_server import AVAILABLE, ModelServer, ModelStore, Start, model_spec, refused, wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleetdeploy.tfserving import stubs

CALL_S = 10.0


@dataclass(frozen=True)
class Identity:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def identity(name: str, signer: Identity | None = None) -> Identity:
    """A certificate for 127.0.0.1 and localhost; without a signer it is an authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(tz=dt.timezone.utc)
    places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .sign(signer.key if signer else key, hashes.SHA256())
    )
    return Identity(key, certificate)


@pytest.fixture(scope="module")
def authority() -> Identity:
    """Who signed the server's certificate."""
    return identity("authority")


@pytest.fixture(scope="module")
def clients() -> Identity:
    """Who signs the clients' certificates."""
    return identity("authority of clients")


@pytest.fixture
def flags(models: ModelStore) -> tuple[str, ...]:
    """Flags for one model with one version."""
    models.place("affine", 1)
    return ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")


def ssl_config(path: Path, server: Identity, *, authority: Identity | None = None, verify: bool = False) -> Path:
    """Write an SSLConfig file."""
    fields = {"server_key": server.key_pem, "server_cert": server.pem}
    if authority:
        fields["custom_ca"] = authority.pem
    lines = [f'{name}: "{pem.decode()}"'.replace("\n", "\\n") for name, pem in fields.items()]
    path.write_text("\n".join([*lines, f"client_verify: {str(verify).lower()}"]))
    return path


@contextlib.contextmanager
def secure(target: str, authority: Identity, client: Identity | None = None) -> Iterator[grpc.Channel]:
    """A channel with TLS that trusts the authority."""
    credentials = grpc.ssl_channel_credentials(
        authority.pem, client.key_pem if client else None, client.pem if client else None
    )
    options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(target, credentials, options) as channel:
        yield channel


def states(channel: grpc.Channel, *, wait: bool = True) -> dict[int, int]:
    """GetModelStatus of the model."""
    module = stubs.get_model_status_pb2
    stub = channel.unary_unary(
        "/tensorflow.serving.ModelService/GetModelStatus",
        request_serializer=module.GetModelStatusRequest.SerializeToString,
        response_deserializer=module.GetModelStatusResponse.FromString,
    )
    answer = stub(module.GetModelStatusRequest(model_spec=model_spec("affine")), timeout=CALL_S, wait_for_ready=wait)
    return {entry.version: entry.state for entry in answer.model_version_status}


def test_ssl_config_file_makes_the_port_tls(
    start: Start, flags: tuple[str, ...], authority: Identity, tmp_path: Path
) -> None:
    """With --ssl_config_file the gRPC port speaks TLS with the certificate of the file."""
    config = ssl_config(tmp_path / "ssl.pbtxt", identity("server", authority))
    server = start(*flags, f"--ssl_config_file={config}").ready()
    with secure(f"127.0.0.1:{server.port}", authority) as channel:
        assert states(channel) == {1: AVAILABLE}


def test_tls_port_takes_no_plain_text(
    start: Start, flags: tuple[str, ...], authority: Identity, tmp_path: Path
) -> None:
    """A client without TLS gets nowhere on a port with TLS, while REST stays plain."""
    config = ssl_config(tmp_path / "ssl.pbtxt", identity("server", authority))
    server = start(*flags, f"--ssl_config_file={config}").ready()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, refused("UNAVAILABLE"):
        states(channel, wait=False)
    assert server.http("GET", "/v1/models/affine").status == 200


def test_client_of_another_authority_does_not_trust_the_server(
    start: Start, flags: tuple[str, ...], authority: Identity, tmp_path: Path
) -> None:
    """A client that trusts another authority refuses the server's certificate."""
    config = ssl_config(tmp_path / "ssl.pbtxt", identity("server", authority))
    server = start(*flags, f"--ssl_config_file={config}").ready()
    with secure(f"127.0.0.1:{server.port}", identity("other")) as channel, refused("UNAVAILABLE"):
        states(channel, wait=False)


def test_client_verify_asks_for_a_certificate(
    start: Start, flags: tuple[str, ...], authority: Identity, clients: Identity, tmp_path: Path
) -> None:
    """With client_verify only a client with a certificate of custom_ca is served."""
    config = ssl_config(tmp_path / "ssl.pbtxt", identity("server", authority), authority=clients, verify=True)
    server = start(*flags, f"--ssl_config_file={config}").ready()
    target = f"127.0.0.1:{server.port}"
    with secure(target, authority, identity("client", clients)) as channel:
        assert states(channel) == {1: AVAILABLE}
    for stranger in (None, identity("client", authority)):
        with secure(target, authority, stranger) as channel, refused("UNAVAILABLE"):
            states(channel, wait=False)


def test_client_verify_without_an_authority_lets_nobody_in(
    start: Start, flags: tuple[str, ...], authority: Identity, clients: Identity, tmp_path: Path
) -> None:
    """With client_verify and no custom_ca the server starts, and no client's certificate satisfies it."""
    config = ssl_config(tmp_path / "ssl.pbtxt", identity("server", authority), verify=True)
    server = start(*flags, f"--ssl_config_file={config}").ready()
    with (
        secure(f"127.0.0.1:{server.port}", authority, identity("client", clients)) as channel,
        refused("UNAVAILABLE"),
    ):
        states(channel, wait=False)


def test_unix_socket_has_the_same_credentials(
    start: Start, flags: tuple[str, ...], authority: Identity, tmp_path: Path
) -> None:
    """The UNIX socket of a server with TLS speaks TLS as well."""
    config = ssl_config(tmp_path / "ssl.pbtxt", identity("server", authority))
    path = tmp_path / "grpc.sock"
    start(*flags, f"--ssl_config_file={config}", f"--grpc_socket_path={path}").ready()
    with secure(f"unix:{path}", authority) as channel:
        assert states(channel) == {1: AVAILABLE}
    with grpc.insecure_channel(f"unix:{path}") as channel, refused("UNAVAILABLE"):
        states(channel, wait=False)


@pytest.mark.parametrize("text", [None, "", "server_key: 7", "no_such_field: true"])
def test_unreadable_ssl_config_aborts(start: Start, flags: tuple[str, ...], tmp_path: Path, text: str | None) -> None:
    """An SSL config file that is missing, empty or does not parse ends the process by SIGABRT."""
    config = tmp_path / "ssl.pbtxt"
    if text is not None:
        config.write_text(text)
    server = start(*flags, f"--ssl_config_file={config}")
    assert ended_by(server, signal.SIGABRT)
    assert "Failed to start server" not in server.output


def ended_by(server: ModelServer, number: signal.Signals) -> bool:
    """Wait for the end of the process, and say whether this signal was its cause; a container adds 128 to it."""
    return server.exit_status() in {-number, 128 + number}


def test_unusable_key_exits_255(start: Start, flags: tuple[str, ...], tmp_path: Path) -> None:
    """An SSL config that parses and holds no usable key ends the server as an address in use does."""
    config = tmp_path / "ssl.pbtxt"
    config.write_text('server_key: "none" server_cert: "none"')
    server = start(*flags, f"--ssl_config_file={config}")
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: Failed to BuildAndStart gRPC server" in server.output


def test_ssl_and_alts_exclude_each_other(start: Start, flags: tuple[str, ...]) -> None:
    """ALTS and an SSL config file together are refused before anything is loaded."""
    server = start(*flags, "--use_alts_credentials", "--ssl_config_file=/no/such/file")
    assert server.exit_status() == 255
    assert "INVALID_ARGUMENT: Either use_alts_credentials must be false or ssl_config_file" in server.output


def test_unix_socket_alone_is_enough(start: Start, flags: tuple[str, ...], tmp_path: Path) -> None:
    """With --port=0 and a socket path the server answers on the socket, and no TCP port for gRPC is open."""
    path = tmp_path / "grpc.sock"
    server = start(*flags, f"--grpc_socket_path={path}", "--port=0")
    with grpc.insecure_channel(f"unix:{path}") as channel:
        assert states(channel) == {1: AVAILABLE}
    assert not server.listens(server.port)
    assert f"UNIX socket {path}" in server.log


def test_unix_socket_may_be_a_relative_path(start: Start, flags: tuple[str, ...]) -> None:
    """A relative socket path counts from the server's working directory."""
    server = start(*flags, "--grpc_socket_path=near.sock").ready()
    wait_for(lambda: "UNIX socket near.sock" in server.log, "the marker of the socket")
