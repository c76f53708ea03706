"""Side-by-side benchmarks: `python -m bench` (or `make bench`) measures everything in one run and writes RESULTS.md."""
