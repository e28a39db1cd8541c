"""Tests of the script front end: programs compiled and run by the reference interpreter."""
