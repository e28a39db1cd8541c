"""Runs of torch's OpInfo database through scriptmode."""
