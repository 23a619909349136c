"""Ansible Vault's format, read only. See Ansible's guide "Encrypting content with Ansible Vault" on its format.

A payload is a header line (``$ANSIBLE_VAULT;1.1;AES256``, or ``1.2`` with an id behind it), then hexadecimal text of
which the bytes are three more lines of hexadecimal text: salt, HMAC-SHA256 and ciphertext. PBKDF2 makes of password
and salt the key of the cipher, that of the HMAC, and the first counter of AES-256 in CTR mode; the plain text is padded
as PKCS#7 says.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from fleetdeploy.config.syntax.refusal import Refused

HEADER = "$ANSIBLE_VAULT;"
_HEADER = re.compile(r"\$ANSIBLE_VAULT;(?P<version>1\.[12]);(?P<cipher>[A-Z0-9]+)(?:;(?P<id>[^;\s]+))?")
_ITERATIONS = 10_000
_KEY_BYTES = 32
_COUNTER_BYTES = 16
_MOST_BYTES = 16 * 1024 * 1024
_RESTORE = "take it again from where it was made; every line of it counts"


@dataclass(frozen=True)
class Envelope:
    """An encrypted payload. ``vault_id`` names the password it was made with, empty where no id is given."""

    vault_id: str
    salt: bytes
    digest: bytes
    ciphertext: bytes

    def opened(self, password: bytes) -> bytes | None:
        """The plain text, or None when this is not the password (or the payload was changed)."""
        keys = hashlib.pbkdf2_hmac("sha256", password, self.salt, _ITERATIONS, 2 * _KEY_BYTES + _COUNTER_BYTES)
        cipher_key, digest_key, counter = keys[:_KEY_BYTES], keys[_KEY_BYTES : 2 * _KEY_BYTES], keys[2 * _KEY_BYTES :]
        if not hmac.compare_digest(hmac.new(digest_key, self.ciphertext, hashlib.sha256).digest(), self.digest):
            return None
        return _unpadded(_decrypted(self.ciphertext, cipher_key, counter))


def parse(text: str) -> Envelope:
    """The envelope in ``text``. Raises Refused for what is not one; the message holds nothing of the payload."""
    lines = text.split()
    found = _HEADER.fullmatch(lines[0]) if lines else None
    if found is None or len(text) > _MOST_BYTES:
        raise Refused(
            "not an Ansible Vault payload that can be read",
            f"expected {HEADER}1.1;AES256 or {HEADER}1.2;AES256;ID, then lines of hexadecimal digits",
        )
    if found["cipher"] != "AES256":
        raise Refused(f"the vault's cipher {found['cipher']} is not read", "encrypt it again with a present Ansible")
    try:
        # With any whitespace, as a block's lines are indented.
        parts = binascii.unhexlify("".join(lines[1:])).split(b"\n")
        salt, digest, ciphertext = (binascii.unhexlify(part) for part in parts)
    except (ValueError, binascii.Error):
        raise Refused("the vault payload is damaged: lines are missing or changed", _RESTORE) from None
    if len(digest) != hashlib.sha256().digest_size or not ciphertext or len(ciphertext) % 16:
        raise Refused("the vault payload is damaged: lines are missing or changed", _RESTORE)
    return Envelope(found["id"] or "", salt, digest, ciphertext)


def _decrypted(ciphertext: bytes, key: bytes, counter: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415  20 ms, seldom needed

    decryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()


def _unpadded(padded: bytes) -> bytes | None:
    count = padded[-1]
    fine = 1 <= count <= 16 and padded.endswith(bytes([count]) * count)
    return padded[:-count] if fine else None
