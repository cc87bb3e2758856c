"""The one training loop, and what it stands on: feed, optimizers, schedules, precision, checkpoints, parallelism."""
