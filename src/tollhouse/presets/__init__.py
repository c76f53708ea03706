"""Complete tollhouse.toml files of four products, to start from: `tollhouse init --preset NAME`."""
