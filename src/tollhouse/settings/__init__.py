"""tollhouse.toml and the environment as typed settings; every default and secret is named here."""
