"""Every number that the documents state, measured again: `python -m benchmarks.NAME` writes results/NAME.json."""
