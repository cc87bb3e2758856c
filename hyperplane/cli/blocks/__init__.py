"""What several verbs share: options, and what they draw on the terminal."""
