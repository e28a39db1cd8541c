"""Facts about graphs that passes ask for: effects, aliases, liveness, ownership."""
