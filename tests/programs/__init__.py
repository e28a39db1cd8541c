"""Programs compared with eager."""
