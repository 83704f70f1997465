"""The address of the server, and which Host headers name it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from dataclasses import dataclass

_OWN = ("localhost", "127.0.0.1", "[::1]")
# Addresses kept for documentation (RFC 5737, RFC 3849): a route to them leads out of this machine.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is reached.

    Attributes:
        host: a name or address, such as localhost, 127.0.0.1 or ::1.
        port: the port.
        loopback: whether only this machine can reach it.
        others: more names and addresses of this machine, as they stand in an address on the web.

    """

    host: str
    port: int
    loopback: bool
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All hosts, as they stand in an address on the web.

        >>> Address("::1", 8017, loopback=True).names
        ('[::1]',)
        """
        return (f"[{self.host}]" if ":" in self.host else self.host.lower(), *self.others)

    @property
    def urls(self) -> tuple[str, ...]:
        """The page's addresses; the first is for this machine.

        >>> Address("127.0.0.1", 8017, loopback=True).urls
        ('http://127.0.0.1:8017/',)
        """
        return tuple(f"http://{name}:{self.port}/" for name in self.names)

    def is_meant_by(self, header: str) -> bool:
        """Return whether a Host header names this server.

        A page from elsewhere can let its own name point to this machine (DNS rebinding); its
        scripts then ask under that name, which is neither one of this server's own nor an IP
        address. Other machines may know this one by addresses that it does not know itself, so
        where they may ask, any literal IP address is accepted.

        >>> here = Address("127.0.0.1", 8017, loopback=True)
        >>> [here.is_meant_by(host) for host in ("localhost:8017", "evil.example:8017")]
        [True, False]
        """
        host, port = header.lower(), ""
        if ":" in host and not host.endswith("]"):
            host, _, port = host.rpartition(":")
        if (port or "80") != str(self.port):
            return False
        return host in (*_OWN, *self.names) or (not self.loopback and _is_address(host))


def address_of(host: str, taken: socket.socket) -> Address:
    """Return the address of a socket that was bound to a host.

    All addresses of this machine (0.0.0.0 or ::) are nothing to open: they become the loopback
    one, and those by which others know it.
    """
    found, port = ipaddress.ip_address(taken.getsockname()[0]), taken.getsockname()[1]
    if not found.is_unspecified:
        return Address(host, port, found.is_loopback)
    others = [*_outward(taken.family), socket.gethostname().lower()]
    loopback = "127.0.0.1" if found.version == 4 else "::1"
    return Address(loopback, port, loopback=False, others=tuple(others))


def _outward(family: int) -> list[str]:
    """Return the address that others see this machine at, if there is one; nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE[socket.AddressFamily(family)], 9))
        found = probe.getsockname()[0]
        return [f"[{found}]" if ":" in found else found]
    return []


def _is_address(host: str) -> bool:
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        version = ipaddress.ip_address(host[1:-1] if bracketed else host).version
    except ValueError:
        return False
    return bracketed == (version == 6)
