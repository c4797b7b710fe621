"""Where there are no tokens: only this machine asks, and no page of somebody else in its browser.

A browser on this machine may be led here by any page: under another name (DNS rebinding), which
`Host` tells, or from another origin, which `Origin` and `Sec-Fetch-Site` tell. What is no browser
sends neither of the latter two.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from sensors.refusal import shown
from twin.api.problems import ProblemError

READING = ("GET", "HEAD", "OPTIONS")


class Neighbours:
    """The names under which the service may be asked."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(name.lower().strip("[]") for name in names) | {"localhost"}

    def refusal(self, scope: Scope) -> ProblemError | None:
        """Why a request is none of this machine's own, if so."""
        hosts = _headers(scope, b"host")
        for host in hosts:
            if not self._is_ours(host):
                return ProblemError(
                    "misdirected",
                    f"Host is {shown(host)}, and without tokens only names of loopback are "
                    "answered to: set http.allowed_hosts, or http.tokens_file",
                )
        for origin in _headers(scope, b"origin"):
            if not hosts or _authority(origin) != hosts[0].lower():
                return ProblemError(
                    "foreign", f"Origin is {shown(origin)}: only this service's own pages may ask"
                )
        return _led_here(scope)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or ip_address(name).is_loopback
        except ValueError:
            return False


def _led_here(scope: Scope) -> ProblemError | None:
    """A request that a browser makes for another page; a link that somebody follows is none."""
    if _headers(scope, b"sec-fetch-site") not in (["cross-site"], ["same-site"]):
        return None
    if scope["method"] in READING and _headers(scope, b"sec-fetch-mode") == ["navigate"]:
        return None
    return ProblemError("foreign", "another site's page asks: only this service's own may")


def _authority(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [str(value, "latin-1").strip() for key, value in scope["headers"] if key == name]
