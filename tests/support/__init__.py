"""What tests and benchmarks stand on: servers that they start themselves."""
