"""The run folder: written and read piece by piece, compared with others, and told to people in a report."""
