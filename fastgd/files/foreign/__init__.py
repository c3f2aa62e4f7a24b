"""Networks of other libraries, read as plain arrays; nothing of theirs is executed, or even loaded."""
