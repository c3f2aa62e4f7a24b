"""The conductor of the compiled loop; beside it optimizers, schedules, callbacks, progress and history."""
