"""With which credentials the gRPC port and the UNIX socket are opened.

See BuildServerCredentials in tensorflow_serving/model_servers/server.cc.
"""

import grpc

from fleetdeploy.lab.modelserver import log, messages
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.lab.modelserver.text_proto import read_text_proto


def server_credentials(flags: Flags) -> grpc.ServerCredentials | None:
    """Credentials for one address, or None where it is opened without any.

    An SSLConfig that cannot be read or parsed ends the process by SIGABRT. Whether its keys are any good shows only
    when an address is opened with them. Raises INVALID_ARGUMENT for ALTS, which is not imitated: it works nowhere but
    in Google's cloud.
    """
    if flags.use_alts_credentials:
        log.info("Using ALTS credentials")
        log.error("The stand-in does not imitate ALTS.")
        raise StatusError(Code.INVALID_ARGUMENT, "Failed to BuildAndStart gRPC server")
    if not flags.ssl_config_file:
        log.info("Using InsecureServerCredentials")
        return None
    try:
        config = read_text_proto(flags.ssl_config_file, messages.SSLConfig())
    except StatusError as problem:
        log.abort(f"Check failed: the SSLConfig file is not OK ({problem})")
    log.info("Using SSL credentials")
    certificate = config.server_cert.encode()
    authorities = config.custom_ca.encode() or None
    if config.client_verify and authorities is None:
        # Clients must show a certificate, and no authority is known that could have signed it: none gets in. Python's
        # gRPC insists on an authority; the server's own certificate has signed nobody's.
        authorities = certificate
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), certificate)],
        root_certificates=authorities,
        require_client_auth=config.client_verify,
    )
