"""A model that lives: the log that is the truth, people's states, and a service that answers from both. No web framework."""
