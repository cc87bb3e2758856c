"""Experiments: a file per topic, a function each, from a budget to findings; claims.json says which tests what."""
