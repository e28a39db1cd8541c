"""The runtime of exported libraries besides the native library, in the low-level dialect."""
