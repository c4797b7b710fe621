"""What was read and waits for its acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass, field

from sensors.mqtt.packets import Message


@dataclass(slots=True)
class InflightWindow:
    """What was read and not yet acknowledged, over all connections; it bounds the memory."""

    max_messages: int
    max_bytes: int
    messages: int = 0
    bytes: int = 0  # of payloads, and of what comes with them
    queue: list[Message] = field(default_factory=list)  # read, not yet handed out

    @property
    def full(self) -> bool:
        """Whether nothing more may be read for now."""
        return self.messages >= self.max_messages or self.bytes >= self.max_bytes

    def release(self, messages: int, size: int) -> None:
        """Forget messages that the caller is done with."""
        self.messages -= messages
        self.bytes -= size
