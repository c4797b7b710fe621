"""Names under which the service itself writes into the journal.

An observation's key is component, source, boot and number. A sensor that used one of these names
would take keys that the service is going to need, so that it is refused at the door. Registrations
have a name that no sensor can have on the wire: journals of earlier releases may hold sensors that
called themselves "twin", as registrations were called then.
"""

from __future__ import annotations

from sensors.refusal import malformed, shown

REGISTRATION = "@twin"
REGISTRATION_BEFORE = "twin"  # in journals of earlier releases
HTTP = "http"  # inspections that come by HTTP
IMAGE = "image"  # what is read from images
CONFIRMATION = "confirmation"  # that somebody believes an inspection

RESERVED = frozenset({REGISTRATION, REGISTRATION_BEFORE, HTTP, IMAGE, CONFIRMATION})


def check_source(source: str) -> None:
    """Raises MalformedError for a sensor with a name of the service's own."""
    if source in RESERVED:
        raise malformed(
            "value", f"source {shown(source)} is what the twin itself writes as: name it otherwise"
        )
