"""Names of requests for logs and support: unique among processes, without a system call for each."""

import itertools
import secrets

_process = secrets.token_hex(5).encode()
_numbers = itertools.count()


def new_request_id() -> bytes:
    """Ten random digits of this process and a running number, in hexadecimal."""
    return b"%s%06x" % (_process, next(_numbers))
