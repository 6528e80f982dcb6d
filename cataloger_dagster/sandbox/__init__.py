"""Sessions: a live Python in a sandbox, over Docker or a local child process."""
