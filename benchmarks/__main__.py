"""All benchmarks, one after another."""

from benchmarks import answers, evaluating, prepare, training

for benchmark in (answers, evaluating, training, prepare):
    benchmark.main()
