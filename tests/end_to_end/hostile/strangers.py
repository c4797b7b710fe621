"""What a page in the browser of somebody on this machine may do."""

from __future__ import annotations

import json

from tests.end_to_end.hostile.target import Seen, Target

JSON = {"Content-Type": "application/json"}
REGISTRATION = {
    "material": "nickel",
    "geometry": {"kind": "edge_crack", "W": 0.1},
    "crack_length": 0.002,
    "crack_limit": 0.03,
}


def attack(target: Target) -> Seen:
    """Another name for this machine (DNS rebinding), another origin, forms."""
    seen, port = Seen(), target.address[1]
    put, name = json.dumps(REGISTRATION).encode(), "/api/v1/components/evil/part"
    again = "/api/v1/dead-letters/1/resubmit"
    tries = {
        "PUT as evil.example": ("PUT", f"{name}-1", put, {"Host": f"evil.example:{port}", **JSON}),
        "GET as evil.example": ("GET", "/api/v1/components", None, {"Host": "evil.example"}),
        "PUT from another origin": (
            "PUT", f"{name}-2", put, {"Origin": "http://evil.example", **JSON}
        ),
        "PUT from another port": (
            "PUT", f"{name}-3", put, {"Origin": f"http://127.0.0.1:{port + 1}", **JSON}
        ),
        "PUT from a file": ("PUT", f"{name}-4", put, {"Origin": "null", **JSON}),
        "PUT as a form": ("PUT", f"{name}-5", put, {"Content-Type": "text/plain"}),
        "resubmit by a form": (
            "POST", again, b"", {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        ),
        "resubmit across sites": ("POST", again, b"", {"Sec-Fetch-Site": "cross-site"}),
    }  # fmt: skip
    with target.watched() as watch:
        said = {what: target.ask(p, m, b, h)[0] for what, (m, p, b, h) in tries.items()}
        own = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin", **JSON}
        mine = target.ask(f"{name}-own", "PUT", put, own)[0]
    seen.others, seen.faults = watch.sentence(), watch.faults()
    seen.told = ", ".join(f"{what} {status}" for what, status in said.items())
    seen.faults += [f"{what}: {s}" for what, s in said.items() if s not in (400, 403, 415, 421)]
    if mine != 201:
        seen.faults.append(f"the dashboard's own PUT: {mine}")
    return seen
