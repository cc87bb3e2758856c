"""What several tasks share: how their figures look."""
