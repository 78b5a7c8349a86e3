"""Models with a recurrence: trained in torch, alive in NumPy."""
