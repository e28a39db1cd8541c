"""Names of an archive's entries, and the version of its format."""

FORMAT = 1
MANIFEST = "manifest.json"
EXTRA = "extra/"
