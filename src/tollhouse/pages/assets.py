"""Static files, read once, served under names that hold a hash of their content: they may be cached for ever."""

import hashlib
from functools import cache
from importlib.resources import files

import msgspec

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Asset(msgspec.Struct, frozen=True):
    """One static file."""

    path: str  # `/static/tollhouse.1a2b3c4d5e6f.css`
    content: bytes
    media_type: str


class Assets(msgspec.Struct, frozen=True):
    """Every static file, by the name that templates use and by the path that browsers ask for."""

    by_name: dict[str, Asset]
    by_path: dict[str, Asset]

    def url(self, name: str) -> str:
        """The path of the file as it is now. Raises KeyError for an unknown one."""
        return self.by_name[name].path


@cache
def load_assets() -> Assets:
    """The files of `pages/static`, hashed."""
    by_name: dict[str, Asset] = {}
    for entry in files("tollhouse.pages").joinpath("static").iterdir():
        stem, _, suffix = entry.name.rpartition(".")
        if suffix in _TYPES:
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            by_name[entry.name] = Asset(f"/static/{stem}.{digest}.{suffix}", content, _TYPES[suffix])
    return Assets(by_name, {asset.path: asset for asset in by_name.values()})
