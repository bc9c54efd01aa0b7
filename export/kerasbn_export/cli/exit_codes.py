"""Exit codes that are not an answer, and what is said with them."""

USAGE, FAILED, INTERRUPTED = 2, 3, 130
INTERRUPTION = "interrupted; nothing half-written is left"
