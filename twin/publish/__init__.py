"""What goes out: changes of state over MQTT, metrics of components."""
