"""A reader with the app's rights: signed in through Auth, reading and writing through the security rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from bookrec import paths
from bookrec.server_values import TIMESTAMP, increment
from bookrec.shelf import MAX_SHELF, Shelf, build_shelf, sort_out
from bookrec.usage.dismissed import parse_dismissals
from local.accounts import sign_in
from local.stack import Addresses


class Reader:
    """One signed-in reader.

    Attributes:
        uid: the Firebase user id.
        email: the account's address, to sign in elsewhere too.
        token: the ID token for Firebase's services; it is valid for an hour.
    """

    def __init__(self, addresses: Addresses, email: str, password: str = "a password for the emulator") -> None:
        self._addresses, self.email = addresses, email
        self._session = requests.Session()
        user = sign_in(email, password, addresses.auth)
        self.uid: str = user["localId"]
        self.token: str = user["idToken"]

    def request(self, method: str, path: str, value: object = None, **query: str) -> requests.Response:
        """Send one database request as this reader; a denied one is returned as it is (401)."""
        parameters = {"ns": self._addresses.namespace, "auth": self.token, **query}
        url = f"http://{self._addresses.database}/{path}.json"
        return self._session.request(method, url, params=parameters, json=value, timeout=30)

    def sign_up(self) -> None:
        """Write the profile, as the app does once."""
        profile = {"id": self.uid, "firstname": "Demo", "lastname": "Reader", "mobile": "", "image": ""}
        self.request("PUT", f"Users/{self.uid}", profile).raise_for_status()

    def shelve(self, isbn: str, rating: float) -> str:
        """Add a book to the shelf, 0 for no rating; return the entry's push key."""
        book = self.request("POST", "Books", {"isbn": isbn, "myRate": rating})
        book.raise_for_status()
        entry = {"userId": self.uid, "bookId": book.json()["name"], "isbn": isbn, "myRate": rating}
        answer = self.request("POST", "User_Book", entry)
        answer.raise_for_status()
        return str(answer.json()["name"])

    def rate(self, entry_key: str, rating: float) -> None:
        """Change the stars of an entry in place, as the app does."""
        self.request("PATCH", f"User_Book/{entry_key}", {"myRate": rating}).raise_for_status()

    def replace(self, entry_key: str, isbn: str) -> None:
        """Change the book of an entry."""
        self.request("PATCH", f"User_Book/{entry_key}", {"isbn": isbn}).raise_for_status()

    def remove(self, entry_key: str) -> None:
        """Take a book off the shelf."""
        self.request("DELETE", f"User_Book/{entry_key}").raise_for_status()

    def dismiss(self, isbn: str, *, undo: bool = False) -> None:
        """Say that a book is not wanted, or take that back, as the app does: one update."""
        key, step = paths.book_key(isbn), -1 if undo else 1
        count = {"dismissals/count": increment(step), "dismissals/last": key}
        values = {f"dismissed/{key}": None if undo else dict(TIMESTAMP), **count}
        self.request("PATCH", f"{paths.USERS}/{self.uid}", values).raise_for_status()

    def dismissed(self) -> dict[str, int]:
        """Return when which books were dismissed, by key."""
        answer = self.request("GET", paths.dismissed(self.uid))
        answer.raise_for_status()
        return dict(paths.children(answer.json()))

    def shelf(self) -> Shelf:
        """Return the shelf through the app's own query, with the dismissals."""
        mine = {"orderBy": '"userId"', "equalTo": f'"{self.uid}"', "limitToLast": str(MAX_SHELF)}
        answer = self.request("GET", "User_Book", **mine)
        answer.raise_for_status()
        dismissed = parse_dismissals(self.dismissed(), None).counted(int(time.time() * 1000))
        return build_shelf(self.uid, sort_out(answer.json())[0], dismissed)

    def recommendations(self) -> dict[str, Any] | None:
        """Return the list in the database, or None."""
        answer = self.request("GET", f"Users/{self.uid}/recommendations")
        answer.raise_for_status()
        value: dict[str, Any] | None = answer.json()
        return value

    def wait_for_list(
        self, accept: Callable[[dict[str, Any]], bool] = lambda _: True, patience_s: float = 60.0
    ) -> tuple[dict[str, Any], float]:
        """Wait until the list is the one for the current shelf; return it and the milliseconds that took.

        Raises:
            TimeoutError: naming the list that is there instead.
        """
        began = time.monotonic()
        digest = self.shelf().digest
        recommendations = None
        while time.monotonic() - began < patience_s:
            recommendations = self.recommendations()
            if recommendations and recommendations["basedOn"]["digest"] == digest and accept(recommendations):
                return recommendations, (time.monotonic() - began) * 1000
            time.sleep(0.01)
        seen = {k: recommendations[k] for k in ("modelVersion", "basedOn", "source")} if recommendations else None
        raise TimeoutError(f"no list for the current shelf after {patience_s:.0f} s; the database holds {seen}")
