"""Where a webhook may go: https and public addresses, so that nobody reaches through us into the network we run in.

The address is looked at again at every attempt, as it was resolved for that very connection: a name that points
somewhere else later gains nothing.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import msgspec

from tollhouse.kernel.errors import InvalidRequest

LONGEST_URL = 2_000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Reach(msgspec.Struct, frozen=True):
    """What this installation allows: plain http (in development), private addresses (there, or by setting)."""

    plain_http: bool = False
    private: bool = False


class AddressRefused(OSError):
    """A connection was about to be made to an address that is not public."""


def checked_url(url: str, reach: Reach) -> str:
    """The endpoint's address. Raises InvalidRequest `invalid_hook_url` with what is allowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("it is no address", "write an address such as https://api.example.com/hooks/tollhouse") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise _invalid(f"it is longer than {LONGEST_URL} characters or holds strange ones", "write it in ASCII")
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise _invalid("it is no address", "write an address such as https://api.example.com/hooks/tollhouse")
    if parts.scheme == "http" and not reach.plain_http:
        raise _invalid("it is not encrypted", "write https://; plain http is for development only")
    if parts.username is not None or parts.password is not None:
        raise _invalid("it holds a name or password", "leave them out: the signature proves who sends")
    if parts.fragment:
        raise _invalid("it holds a fragment", "leave out what begins at #")
    if not reach.private and (parts.hostname == "localhost" or _is_private_literal(parts.hostname)):
        raise _invalid("it is a private address", "name a public host, or set HOOKS_ALLOW_PRIVATE=true")
    return url


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large; one inside another (mapped, 6to4, NAT64) counts as itself.

    Raises ValueError for what is no IP address.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast and not found.is_reserved


def resolved(host: str, port: int, reach: Reach) -> list[tuple[str, int, int]]:
    """(address, family, protocol) of a host, as the system resolves it. Raises AddressRefused when none of them may be
    reached, OSError when there is none. Blocks: for a thread.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    addresses = [(str(place[0]), int(family), protocol) for family, _, protocol, _, place in found]
    allowed = [entry for entry in addresses if reach.private or is_public(entry[0])]
    if not allowed:
        raise AddressRefused(f"{host} is at a private address ({addresses[0][0]})")
    return allowed


def _invalid(what: str, fix: str) -> InvalidRequest:
    return InvalidRequest(f"the endpoint's address cannot be used: {what}", code="invalid_hook_url", fix=fix)
