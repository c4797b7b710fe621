"""From bytes to SI: topics, codecs, units, sources, replay and the simulated plant."""
