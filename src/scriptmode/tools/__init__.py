"""Looking at what the compiler does."""
