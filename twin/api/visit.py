"""Who makes the request that is being answered, and what is held until the answer is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from twin.api.shares import Shares

SITE_BITS = 64  # of an IPv6 address: whoever has one has all that begin like it


@dataclass(slots=True)
class Visit:
    """One request."""

    client: str = ""  # "token NAME", or an address
    is_known: bool = True  # shows a token, or none is asked for
    _held: ExitStack = field(default_factory=ExitStack)
    _shares: list[Shares] = field(default_factory=list)

    def hold(self, shares: Shares) -> None:
        """Hold a place until the answer is sent, one however often this is called.

        Raises OverloadedError.
        """
        if not any(kept is shares for kept in self._shares):
            self._held.enter_context(shares.place(self.client))
            self._shares.append(shares)

    def end(self) -> None:
        """Give everything back."""
        self._held.close()
        self._shares.clear()


_current: ContextVar[Visit | None] = ContextVar("visit", default=None)


@contextmanager
def visiting(visit: Visit) -> Iterator[Visit]:
    """Let this be the request that is being answered."""
    before = _current.set(visit)
    try:
        yield visit
    finally:
        _current.reset(before)
        visit.end()


@contextmanager
def visit_now() -> Iterator[Visit]:
    """The request that is being answered; where there is none, one that ends with the block."""
    now = _current.get()
    if now is not None:
        yield now
        return
    alone = Visit()
    try:
        yield alone
    finally:
        alone.end()


def is_known() -> bool:
    """Whether who asks may see what is not for strangers."""
    now = _current.get()
    return now is None or now.is_known


def client_of(address: str) -> str:
    """What counts as one client: an address, or the network of an IPv6 address."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    network = int(found) >> (128 - SITE_BITS) << (128 - SITE_BITS)
    return f"{IPv6Address(network)}/{SITE_BITS}"
