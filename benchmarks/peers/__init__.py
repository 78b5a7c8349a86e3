"""Penchant's speed beside other libraries', each in its own environment, all on one log and one thread."""
