"""Who may do what: the two tables that the tests check the security rules against, and their page ``docs/access.md``.

``python -m tests.rules.matrix`` writes the tables into that page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "access.md"
BEGIN, END = "<!-- tables: python -m tests.rules.matrix -->", "<!-- end of the tables -->"

CALLERS = {
    "A": "anonymous", "O": "owner", "R": "another reader", "C": "admin claim", "P": "operator claim", "B": "backend",
}  # fmt: skip
"""Callers by letter. The owner's id is ``ana``, the other reader's ``ben``."""

# A cell names all callers who are allowed. `create`: set a missing node. `update`: overwrite an existing node, and
# change one child in place; only the former for nodes with many people's children (marked in tests/rules/world.py).
ACCESS = """
node                                      read   create  update  delete
/                                         B      B       B       B
/User_Book                                B      B       B       B
/User_Book/{owner's entry}                OB     OB      OB      OB
/User_Book/{another's entry}              RB     RB      RB      RB
/Books                                    B      B       B       B
/Books/{key}                              ORCPB  ORCPB   ORCPB   ORCPB
/archive                                  ORCPB  CB      CB      CB
/archive/{key}                            ORCPB  CB      CB      CB
/Similar_Books                            B      B       B       B
/Similar_Books/{key}                      ORCPB  B       B       B
/Users                                    B      B       B       B
/Users/{owner}                            OB     OB      OB      OB
/Users/{owner}/recommendations            OB     B       B       OB
/Users/{owner}/recommendations/{part}     OB     B       B       B
/Users/{owner}/dismissed                  OB     B       B       B
/Users/{owner}/dismissals                 OB     B       B       B
/Users/{owner}/seen                       OB     B       B       B
/Users/{another}                          RB     RB      RB      RB
/Users/{another}/recommendations          RB     B       B       RB
/Users/{another}/recommendations/{part}   RB     B       B       B
/Users/{another}/dismissed                RB     B       B       B
/Users/{another}/dismissals               RB     B       B       B
/More_Lists                               B      B       B       B
/More_Lists/{owner}                       OB     B       B       B
/More_Lists/{another}                     RB     B       B       B
/Shared_Lists                             ORCPB  B       B       B
/Shared_Lists/trending                    ORCPB  B       B       B
/Recommender                              PB     B       B       B
/Recommender/model                        ORCPB  B       B       B
/Recommender/lease                        PB     B       B       B
/Recommender/changes                      PB     B       B       B
/Recommender/changes/{owner's entry}      PB     B       B       B
/Recommender/dirty                        PB     B       B       B
/Recommender/dirty/{owner}                PB     B       B       B
/Recommender/rejected                     PB     B       B       B
/Recommender/rejected/{owner's entry}     PB     B       B       B
/Recommender/status                       PB     B       B       B
/Recommender/readers                      PB     B       B       B
/Recommender/readers/{owner}              PB     B       B       B
/Recommender/shelvings                    PB     B       B       B
/Recommender/shelvings/{owner}            PB     B       B       B
/Recommender/writes                       PB     B       B       B
/Recommender/trend                        PB     B       B       B
/Recommender/paused                       PB     B       B       B
/Recommender/events                       PB     B       B       B
/Recommender/paused/{owner}               PB     B       B       B
/{any other node}                         B      B       B       B
"""

# A lowercase letter: allowed, but the rules have no index for this order, so the answer is an error.
QUERIES = """
node                            query                                   who
/                               orderBy="$key"                          B
/                               shallow=true                            B
/User_Book                      orderBy="userId" equalTo="ana"          OB
/User_Book                      orderBy="userId" equalTo="ben"          RB
/User_Book                      orderBy="userId"                        B
/User_Book                      orderBy="userId" startAt="ana"          B
/User_Book                      orderBy="userId" limitToFirst=1         B
/User_Book                      orderBy="bookId" equalTo="-Nbook1"      ORCPB
/User_Book                      orderBy="bookId"                        B
/User_Book                      orderBy="bookId" startAt="-"            B
/User_Book                      orderBy="isbn" equalTo="09780000000001" b
/User_Book                      orderBy="$key" equalTo="-Nana"          B
/User_Book                      orderBy="$key"                          B
/User_Book                      shallow=true                            B
/Books                          orderBy="$key" equalTo="-Nbook1"        ORCPB
/Books                          orderBy="$key"                          B
/Books                          orderBy="isbn" equalTo="09780000000001" b
/Books                          shallow=true                            B
/archive                        orderBy="isbn" equalTo="09780000000001" ORCPB
/archive                        orderBy="title" startAt="T"             ORCPB
/archive                        orderBy="author" limitToLast=1          ORCPB
/archive                        orderBy="genre"                         ORCPB
/archive                        orderBy="pages"                         orcpb
/archive                        orderBy="$key"                          ORCPB
/archive                        shallow=true                            ORCPB
/Similar_Books                  orderBy="$key" equalTo="0978"           B
/Similar_Books                  shallow=true                            B
/Users                          orderBy="$key" equalTo="ana"            B
/Users                          orderBy="id" equalTo="ana"              b
/Users                          orderBy="$key" limitToFirst=1           B
/Users                          shallow=true                            B
/Users/{owner}                  orderBy="$key"                          OB
/Users/{owner}                  shallow=true                            OB
/Users/{owner}/recommendations  orderBy="$key" equalTo="listId"         OB
/Users/{owner}/recommendations  shallow=true                            OB
/More_Lists                     orderBy="$key" equalTo="ana"            B
/More_Lists                     shallow=true                            B
/More_Lists/{owner}             orderBy="$key"                          OB
/Shared_Lists                   shallow=true                            ORCPB
/Recommender                    orderBy="$key"                          PB
/Recommender                    shallow=true                            PB
/Recommender/model              orderBy="$key"                          ORCPB
/Recommender/changes            orderBy="at" limitToFirst=1             PB
/Recommender/dirty              orderBy="at" limitToFirst=1             PB
/Recommender/dirty              orderBy="$key" equalTo="ana"            PB
/Recommender/rejected           orderBy="at" limitToLast=1              PB
/Recommender/rejected           orderBy="$key" equalTo="-Nana"          PB
/Recommender/readers            orderBy="$key" equalTo="ana"            PB
/Recommender/shelvings          orderBy="$key" limitToFirst=1           PB
/Recommender/paused             orderBy="$key" limitToFirst=1           PB
/Recommender/status             shallow=true                            PB
/{any other node}               orderBy="$key"                          B
"""


def rows(table: str) -> list[list[str]]:
    """Return a table's rows without the heading, which determines where columns start."""
    heading, *lines = table.strip().splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", heading)]
    ends = [*starts[1:], None]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines]


def cells() -> list[tuple[str, str, str]]:
    """Return (node, operation, who) for every cell of the first table."""
    operations = ACCESS.split()[1:5]
    return [
        (node, operation, who) for node, *whos in rows(ACCESS) for operation, who in zip(operations, whos, strict=True)
    ]


def in_words(who: str) -> str:
    """Return a cell in words."""
    signed_in = "ORCP"
    names = "signed-in, backend" if who.upper() == f"{signed_in}B" else ", ".join(CALLERS[c] for c in who.upper())
    return names + (" (no index)" if who.islower() else "")


def markdown() -> str:
    """Return both tables as Markdown."""
    lines = ["| node | read | create | update | delete |", "|---|---|---|---|---|"]
    lines += [f"| `{node}` | {' | '.join(map(in_words, whos))} |" for node, *whos in rows(ACCESS)]
    lines += ["", "| node | query | who |", "|---|---|---|"]
    lines += [f"| `{node}` | `{query}` | {in_words(who)} |" for node, query, who in rows(QUERIES)]
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the text of the page with the current tables."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def main() -> int:
    """Update the page."""
    PAGE.write_text(page(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
