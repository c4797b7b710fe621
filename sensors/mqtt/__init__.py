"""MQTT: what comes from the broker, what goes to it, and the session that it keeps."""
