"""The pure core: what a session is and how it changes, without I/O, clock or randomness."""
