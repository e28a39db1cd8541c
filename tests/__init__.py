"""The test suite: the same tree as the package."""
