"""All benchmarks, one after another."""

from benchmarks import answers, prepare, training

for benchmark in (answers, training, prepare):
    benchmark.main()
