"""Where the page is served, and which Host headers mean it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_OWN = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is reached.

    Attributes:
        host: as it was asked for, such as 127.0.0.1, ::1 or a name.
        port: the port.
        loopback: whether only this machine can reach it.

    """

    host: str
    port: int
    loopback: bool

    @property
    def name(self) -> str:
        """The host as an address on the web has it.

        >>> Address("::1", 8017, loopback=True).name
        '[::1]'
        """
        return f"[{self.host}]" if ":" in self.host else self.host.lower()

    @property
    def url(self) -> str:
        """The page's address.

        >>> Address("127.0.0.1", 8017, loopback=True).url
        'http://127.0.0.1:8017/'
        """
        return f"http://{self.name}:{self.port}/"

    def is_meant_by(self, header: str) -> bool:
        """Return whether a Host header names this server.

        A page from elsewhere can let its own name point to this machine (DNS rebinding); its
        scripts then ask under that name, which is neither one of this server's own nor an address
        in figures. Other machines know this one by addresses that it need not know itself, so
        where they may ask, any address in figures will do.

        >>> here = Address("127.0.0.1", 8017, loopback=True)
        >>> [here.is_meant_by(host) for host in ("localhost:8017", "evil.example:8017")]
        [True, False]
        """
        host, port = header.lower(), ""
        if ":" in host and not host.endswith("]"):
            host, _, port = host.rpartition(":")
        if (port or "80") != str(self.port):
            return False
        return host in (*_OWN, self.name) or (not self.loopback and _is_address(host))


def _is_address(host: str) -> bool:
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        version = ipaddress.ip_address(host[1:-1] if bracketed else host).version
    except ValueError:
        return False
    return bracketed == (version == 6)
