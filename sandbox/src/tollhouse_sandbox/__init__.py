"""The outside world of Tollhouse in one process, for demos and tests."""
