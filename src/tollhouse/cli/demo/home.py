"""The demo's folder: configuration, data and local secrets of each preset, kept from one run to the next."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tollhouse.cli.init import preset_text
from tollhouse.kernel.errors import Conflict, Unavailable
from tollhouse.settings.table import SETTINGS

ADMIN_EMAIL = "admin@example.com"
USER_EMAIL = "user@example.com"


class Secrets(msgspec.Struct, frozen=True):
    """What one preset's demo made for itself. `finished`: the people and their history are there."""

    session_secret: str
    admin_api_key: str
    stripe_secret_key: str
    admin_password: str
    user_password: str
    webhook_secret: str | None = None
    webhook_endpoint: str | None = None
    secret_key: str | None = None
    finished: bool = False


class Home(msgspec.Struct, frozen=True):
    """Where one preset's demo lives. `root` holds what all share: secrets.json and demo.json."""

    root: Path
    preset: str

    @property
    def folder(self) -> Path:
        return self.root / self.preset

    @property
    def config(self) -> Path:
        return self.folder / "tollhouse.toml"

    @property
    def database(self) -> Path:
        return self.folder / "tollhouse.db"

    @property
    def sandbox_data(self) -> Path:
        return self.folder / "sandbox.db"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.database}"


def open_home(root: Path, preset: str) -> Home:
    """The folder, made when missing. Raises NotFound for an unknown preset, Unavailable where it cannot be made."""
    preset_text(preset)
    home = Home(root.absolute(), preset)
    with _writable():
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.folder.mkdir(mode=0o700, exist_ok=True)
    return home


def prepare(home: Home) -> None:
    """Its configuration is there, and what an interrupted first run left behind is not. Call it under the lock."""
    known = _all_secrets(home).get(home.preset)
    with _writable():
        if known is not None and not (known.finished and home.database.exists() and home.sandbox_data.exists()):
            forget(home)
        if not home.config.exists():
            home.config.write_text(preset_text(home.preset), "utf-8")


@contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{error.filename}: {error.strerror}", code="not_writable", fix="name a folder to write to with --dir"
        ) from None


def forget(home: Home) -> None:
    """Removes the data of this preset, and the secrets that only fit these data."""
    for path in (home.database, home.sandbox_data):
        for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            name.unlink(missing_ok=True)
    everything = _all_secrets(home)
    everything.pop(home.preset, None)
    _write_private(home.root / "secrets.json", everything)


@contextmanager
def locked(home: Home) -> Iterator[int]:
    """Only one demo at a time works on these data. The file's descriptor is for the demo's processes: should this one be
    killed, they hold the lock as long as they live. Raises Conflict.
    """
    with (home.folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Conflict(
                f"a demo of {home.preset} is running already on the data in {home.folder}", code="demo_running",
                fix=f"stop it first (kill {' '.join(file.read().split())}), or use data of your own with --dir",
            ) from None  # fmt: skip
        _note(file.fileno(), f"{os.getpid()}\n", afresh=True)
        yield file.fileno()


def note_process(lock: int, process: int) -> None:
    """Writes a process of the demo into the lock, for whoever wants to stop it."""
    _note(lock, f"{process}\n", afresh=False)


def _note(lock: int, text: str, *, afresh: bool) -> None:
    if afresh:
        os.ftruncate(lock, 0)
    os.write(lock, text.encode())


def read_secrets(home: Home) -> Secrets:
    """This preset's secrets, made at the first call."""
    known = _all_secrets(home).get(home.preset)
    return known if known is not None else write_secrets(home, _made())


def write_secrets(home: Home, given: Secrets) -> Secrets:
    """Keeps them in secrets.json, which its owner alone can read."""
    _write_private(home.root / "secrets.json", {**_all_secrets(home), home.preset: given})
    return given


def write_description(home: Home, description: Mapping[str, object]) -> None:
    """demo.json: where the demo that runs now is, and who can sign in."""
    _write_private(home.root / "demo.json", description)


def environment_of(home: Home, known: Secrets, url: str, sandbox_url: str, smtp_port: int) -> dict[str, str]:
    """The environment of the demo's server: this process's own, without any setting of Tollhouse or price in it."""
    names = {setting.variable for setting in SETTINGS}
    names |= {f"{name}_FILE" for name in names}
    kept = {name: v for name, v in os.environ.items() if name not in names and not name.startswith("STRIPE_")}
    return kept | {
        "ENVIRONMENT": "demo",
        "DEMO": "true",
        "TEST_CLOCK": "true",
        "TOLLHOUSE_URL": url,
        "DATABASE_URL": home.database_url,
        "SESSION_SECRET": known.session_secret,
        "ADMIN_API_KEY": known.admin_api_key,
        "STRIPE_SECRET_KEY": known.stripe_secret_key,
        "STRIPE_WEBHOOK_SECRET": known.webhook_secret or "",
        "STRIPE_API_BASE": sandbox_url,
        "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
        "MAIL_FROM": "Demo <demo@example.com>",
        "STRIPE_ALERT_EMAIL": ADMIN_EMAIL,
    }


def write_dotenv(home: Home, environment: Mapping[str, str]) -> None:
    """The settings beside tollhouse.toml, so that `tollhouse verify --config …` and the like work on the demo's data."""
    ours = {setting.variable for setting in SETTINGS} - {"ENVIRONMENT"}
    lines = [f"{name}={value}" for name, value in environment.items() if name in ours]
    _write_private_text(home.folder / ".env", "\n".join(lines) + "\n")


def _made() -> Secrets:
    return Secrets(
        session_secret=secrets.token_urlsafe(48),
        admin_api_key=secrets.token_urlsafe(48),
        stripe_secret_key=f"sk_test_{secrets.token_hex(24)}",
        admin_password=secrets.token_urlsafe(12),
        user_password=secrets.token_urlsafe(12),
    )


def _all_secrets(home: Home) -> dict[str, Secrets]:
    try:
        return msgspec.json.decode((home.root / "secrets.json").read_bytes(), type=dict[str, Secrets])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise Conflict(
            f"{home.root / 'secrets.json'} cannot be read: {error}", code="demo_damaged",
            fix=f"remove {home.root}; the demo makes it again",
        ) from None  # fmt: skip


def _write_private(path: Path, value: object) -> None:
    _write_private_text(path, msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def _write_private_text(path: Path, text: str) -> None:
    """Writes what its owner alone can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
