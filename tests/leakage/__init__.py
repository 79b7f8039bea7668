"""Sites with planted leaks, and the tests of what looks for leaks."""
