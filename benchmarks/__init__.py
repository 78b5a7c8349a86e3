"""Speed and memory, measured side by side in one run; each benchmark prints JSON and leaves it in ``results/``."""
