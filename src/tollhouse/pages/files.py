"""A file as the pages give it: saved under its name, kept by no cache, never shown inside a page."""

from litestar import Response

PRIVATE = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}


def pdf(name: str, content: bytes) -> Response[bytes]:
    """`name` holds ASCII letters, digits, hyphens and dots only."""
    headers = {**PRIVATE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/pdf", headers=headers)
