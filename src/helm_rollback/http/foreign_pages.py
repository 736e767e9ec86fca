"""Keeping pages of other sites out.

That there is no CORS keeps a page from reading answers, not from sending requests: a
browser sends a form or an empty POST for whoever asks it to. It says for whom, in `Origin`
and `Sec-Fetch-Site`. And a name that anybody owns may be pointed at this machine's
loopback: then the page and this service are one site to the browser, but not by the
name in `Host`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from helm_rollback.addresses import is_loopback
from helm_rollback.domain.errors import ForeignPage

_OWN: Final = ("same-origin", "none")
"""`none`: a person typed the address, or the browser does not say. `same-origin` holds behind a proxy, too, where
`Host` is another than the page's."""


def check_sender(request: Request, *, loopback_only: bool) -> None:
    """Raise ForeignPage where a page of another site makes a browser send this request.

    `loopback_only`: the service is listening where it can have no other name than this machine's own.
    """
    host = request.headers.get("host", "")
    if host and loopback_only and not is_loopback(_name(host)):
        raise ForeignPage("Host", host)
    if request.method == "GET":
        return  # does nothing to a release, and a page can not read what comes back
    site, origin = request.headers.get("sec-fetch-site", "none"), request.headers.get("origin")
    if site not in _OWN:
        raise ForeignPage("Sec-Fetch-Site", site)
    if site != "same-origin" and origin is not None and origin.partition("://")[2] != host:
        raise ForeignPage("Origin", origin)


def _name(host: str) -> str:
    """The host of a `Host` header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
