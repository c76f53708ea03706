"""A secret that does not show itself: not when printed, logged, compared in an error, or encoded."""

import hmac

import msgspec

MASK = "********"


class Secret(msgspec.Struct, frozen=True, dict=True, eq=False):
    """A value that only `reveal()` gives out. Printing, formatting and msgspec all write `********`."""

    masked: str = MASK

    @classmethod
    def of(cls, value: str) -> "Secret":
        """The secret that holds `value`."""
        secret = cls()
        secret.__dict__["_value"] = value
        return secret

    def reveal(self) -> str:
        """The value itself; call it only where it is handed to its user."""
        value = self.__dict__["_value"]
        if not isinstance(value, str):
            raise TypeError("make secrets with Secret.of(value)")
        return value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __rich_repr__(self) -> "list[tuple[str, str]]":
        return [("masked", MASK)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: pass settings by argument or read them again")
