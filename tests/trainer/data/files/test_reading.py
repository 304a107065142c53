"""Ratings and catalogue together: what is usable, what is reported, and what is an error."""

import gzip
from collections import Counter

import pytest

from trainer.data.exchange.importer import import_ratings
from trainer.data.files.formats import RATINGS
from trainer.data.files.reading import How, is_table, read_catalogue, read_tables
from trainer.data.sources import SourceError, apart, read_export, read_files

HEAD = "userId,isbn,myRate\n"
BOOKS = "isbn,title,authors\n080442957X,A Title,Ann Lee\n0439023483,B Title,Bo Roe\n"


@pytest.fixture
def tables(tmp_path):
    """Writes tables and reads them."""

    def made(ratings, books=None, **how):
        path, catalogue = tmp_path / "ratings.csv", tmp_path / "books.csv"
        path.write_text(ratings)
        if books is not None:
            catalogue.write_text(books)
        return read_tables(path, catalogue if books is not None else None, How(**how))

    return made


def shelves(tables):
    return tables.usable[["userId", "isbn", "myRate"]].to_numpy().tolist()


def test_every_repair_is_counted_and_every_drop_has_its_first_row_and_reason(tables):
    read = tables(
        HEAD
        + '="ann",="0439023483",5\nbob,9780439023481.0,"4,5"\ncy,9.780439023481E+12,\ndi,9.78E+12,3\n'
        + "ed,0439023483,6\ned,,3\ned,0439023483,3.3\ned,0439023483,3.75\ned,0439023483,4\n"
        + "".join(f"r{n},i,4\n" for n in range(12))
    )
    assert shelves(read)[:4] == [
        ["ann", "0439023483", 5], ["bob", "9780439023481", 4.5], ["cy", "9780439023481", 0], ["ed", "0439023483", 4],
    ]  # fmt: skip
    assert read.report.mended == {
        "formula": 2, "trailing_zero": 1, "decimal_comma": 1, "scientific": 1, "blank": 1, "rounded": 1,
    }  # fmt: skip
    assert read.report.dropped == {
        "digits_lost": 1, "rating_out_of_range": 1, "isbn_missing": 1, "rating_not_half": 1, "duplicate": 1,
    }  # fmt: skip
    lines = {reason: line for reason, (line, _) in read.report.first.items()}
    assert lines == {
        "digits_lost": 5, "rating_out_of_range": 6, "isbn_missing": 7, "rating_not_half": 8, "duplicate": 10,
    }  # fmt: skip
    warning = next(read.report.warnings())
    assert "5 of 21 rows are dropped" in warning
    assert "digits_lost 1 (line 5: a spreadsheet has rounded the number: give its column the format Text" in warning
    assert "rating_out_of_range 1 (line 6: myRate is between 0 and 5)" in warning


@pytest.mark.parametrize(("bad", "is_warned"), [(1, False), (2, True)])
def test_more_than_a_tenth_dropped_is_a_warning(tables, bad, is_warned):
    read = tables(HEAD + "u,,4\n" * bad + "".join(f"u,i{n},4\n" for n in range(10 - bad)))
    assert any("rows are dropped: isbn_missing" in line for line in read.report.warnings()) == is_warned
    assert read.report.dropped == {"isbn_missing": bad}


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ("ann,9.78044E+12,5\nbob,9.78E+12,4\n", "in 2 rows; dropped: digits_lost 2 (line 2: "),
        ("ann,,5\nann,i,four\n", "isbn_missing 1 (line 2: "),
        (",i,5\n", "user_missing 1 (line 2: "),
        ("a.b,i,5\n", "user_invalid 1 (line 2: "),
        ("ann,i,0_4\nbob,i,1_0.5\n", "rating_not_number 2 (line 2: "),
        ("ann,i,9\n", "rating_out_of_range 1 (line 2: "),
        (",,\n,,\n", "user_missing 2 (line 2: "),
    ],
)
def test_nothing_usable_is_an_error_with_the_counts(tables, rows, reasons):
    with pytest.raises(SourceError, match=r"no usable rating") as raised:
        tables(HEAD + rows)
    assert reasons in str(raised.value)


@pytest.mark.parametrize(
    ("stars", "scale"), [([0, 2, 3, 5, 6, 7, 8, 9, 10], 10), ([7, 8, 9], 10), ([3, 14, 20], 20), ([40, 70, 95.5], 100)]
)
def test_stars_of_another_scale_are_an_error_that_names_it_and_the_option_maps_them(tables, stars, scale):
    rows = HEAD + "".join(f"ann,i{n},{star}\n" for n, star in enumerate(stars))
    with pytest.raises(SourceError, match=f"up to {scale}: dropping them would keep the low ones.*--scale {scale}"):
        tables(rows)
    mapped = tables(rows, scale=scale).usable["myRate"].tolist()
    assert mapped == sorted(mapped)
    assert len(mapped) == len(stars)
    assert max(mapped) <= 5
    kept = [float(star) for star in stars if star <= 5]
    if kept:  # who says that they are of 5 gets those
        assert tables(rows, scale=5).usable["myRate"].tolist() == kept


def test_books_without_a_title_are_counted_with_examples(tables):
    rows = HEAD + "".join(f"u,i{n},4\n" for n in range(5)) + "u,080442957X,5\n"
    read = tables(rows, BOOKS + "i4,,No Title\n")
    assert read.report.untitled == ("i0", "i1", "i2", "i3", "i4")
    assert any("(5 ISBNs: i0, i1, i2, …)" in line for line in read.report.warnings())
    assert tables(rows).report.untitled == ("080442957X", "i0", "i1", "i2", "i3", "i4")
    assert any("give it with --books" in line for line in tables(rows).report.warnings())


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ("080442957x", "080442957X"), ("439023483", "0439023483"), ("0-8044-2957-X", "080442957X"),
        ("9780439023481", "0439023483"), ("978-0-8044-2957-3", "080442957X"), ("80442957X", "080442957X"),
    ],
)  # fmt: skip
def test_the_same_book_spelt_otherwise_is_reported_and_mapped_only_if_asked(tables, given, own):
    rows = f"{HEAD}ann,{given},5\nbob,{own},3\n"
    read = tables(rows, BOOKS)
    assert shelves(read) == [["ann", given, 5], ["bob", own, 3]]
    assert read.report.otherwise == {given: own}
    assert any(f"{given} is {own}" in line and "--match-isbns" in line for line in read.report.warnings())
    read = tables(rows, BOOKS, matches=True)
    assert shelves(read) == [["ann", own, 5], ["bob", own, 3]]
    assert read.report.untitled == ()
    assert list(read.report.warnings()) == []
    assert any(f"{given} is {own}" in line for line in read.report.told())


def test_one_readers_two_spellings_become_one_entry(tables):
    read = tables(HEAD + "ann,0439023483,3\nann,439023483,5\n", BOOKS, matches=True)
    assert shelves(read) == [["ann", "0439023483", 5]]
    assert read.report.dropped == {"duplicate": 1}


@pytest.mark.parametrize("column", ["authors", "author", "Author", "Book-Author"])
def test_the_authors_column_has_several_names(tables, column):
    books = tables(HEAD + "u,a,4\n", f"isbn,Title,{column}\na,T,Ann Lee\n").books
    assert books[["isbn", "title", "authors"]].to_numpy().tolist() == [["a", "T", "Ann Lee"]]


def test_author_fills_what_authors_leaves_empty(tables):
    books = tables(HEAD + "u,a,4\n", "isbn,title,authors,author\na,T,,Ann\nb,T,Bo,\nc,T,Cy,Di\n").books
    assert books["authors"].tolist() == ["Ann", "Bo", "Cy"]


def test_the_catalogue_is_mended_as_the_ratings_are(tables):
    read = tables(HEAD + '"u",="0439023483",4\n', 'isbn;title\n"=""0439023483""";T\n9,78E+12;Lost\n')
    assert read.books["isbn"].tolist() == ["0439023483"]
    assert read.report.mended == {"formula": 2}
    assert read.report.dropped == {"book:digits_lost": 1}
    assert list(read.report.warnings()) == []


def test_a_rejected_book_is_named_by_its_row_whatever_is_above_it(tmp_path):
    (tmp_path / "ratings.csv").write_text(HEAD + "u,a,4\n")
    (tmp_path / "books.csv").write_text("isbn,title\n9.78E+12,Lost\na,T\nb/c,Bad\n")
    _, report = import_ratings(tmp_path / "ratings.csv", tmp_path / "books.csv", 1)
    assert {reason: line for reason, (line, _) in report.first.items()} == {
        "book:digits_lost": 2,
        "book:isbn_invalid": 4,
    }


def test_a_catalogue_alone_is_read_in_the_same_way(tmp_path):
    path = tmp_path / "Books.CSV"
    path.write_text('isbn;title;author\n="0439023483";T;Ann Lee\n', encoding="utf-16")
    assert read_catalogue(path)[["isbn", "title", "authors"]].to_numpy().tolist() == [["0439023483", "T", "Ann Lee"]]


GOODREADS = (
    "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,Publisher,Binding,"
    "Number of Pages,Year Published,Original Publication Year,Date Read,Date Added,Bookshelves,"
    "Bookshelves with positions,Exclusive Shelf,My Review,Spoiler,Private Notes,Read Count,Owned Copies\n"
    '1,"Games, 1",Ann Lee,"Lee, Ann",,"=""0439023483""","=""9780439023481""",5,4.3,P,Paperback,374,2010,2008,'
    "2023/02/01,2023/01/31,,,read,,,,1,0\n"
    '2,Only 13,Bo Roe,"Roe, Bo",Cy,"=""""","=""9780804429573""",0,3.9,P,Hardcover,1,2001,,,2022/12/24,to-read,'
    "to-read (#1),to-read,,,,0,0\n"
    '3,Kindle,Di Fox,"Fox, Di",,"=""""","=""""",4,4.0,P,Kindle Edition,1,2001,1999,,2022/12/25,,,read,,,,1,0\n'
)
STORYGRAPH = (
    "Title,Authors,Contributors,ISBN/UID,Format,Read Status,Date Added,Last Date Read,Dates Read,Read Count,Moods,Pace,"
    "Character- or Plot-Driven?,Strong Character Development?,Loveable Characters?,Diverse Characters?,"
    "Flawed Characters?,Star Rating,Review,Content Warnings,Content Warning Description,Tags,Owned?\n"
    "Games,Ann Lee,,9780439023481,paperback,read,2023/01/31,2023/02/01,2023/01/31-2023/02/01,1,sad,,,,,,,4.75,,,,,No\n"
    'Only 13,"Bo Roe, Cy",,9780804429573,hardcover,to-read,2022-12-24,,,0,,,,,,,,,,,,,No\n'
    "No ISBN,Di Fox,,,digital,read,2022/12/25,,,1,,,,,,,,4.0,,,,,No\n"
)
JAN_31, DEC_24 = 1_675_123_200_000, 1_671_840_000_000


@pytest.mark.parametrize(
    ("export", "first", "stars", "authors"),
    [(GOODREADS, "0439023483", 5, "Bo Roe"), (STORYGRAPH, "9780439023481", 5, "Bo Roe, Cy")],
    ids=["Goodreads", "StoryGraph"],
)
def test_a_readers_library_is_shelf_and_catalogue(tables, export, first, stars, authors):
    read = tables(export, user_id="ann")
    assert shelves(read) == [["ann", first, stars], ["ann", "9780804429573", 0]]
    assert read.usable["at"].tolist() == [JAN_31, DEC_24]
    assert read.books["isbn"].tolist() == [first, "9780804429573"]
    assert read.books["authors"].tolist() == ["Ann Lee", authors]
    assert read.report.dropped == {"isbn_missing": 1}
    assert read.report.untitled == ()
    assert read.report.mended["formula"] == (3 if export is GOODREADS else 0)


@pytest.mark.parametrize(
    ("isbn", "isbn13", "used", "kinds"),
    [
        ("4.39E+08", "9780439023481", "9780439023481", {"other_isbn": 1}),
        ("4.39E+08", "9.780439023481E+12", "9780439023481", {"other_isbn": 1, "scientific": 1}),
        ("4.39023483E+08", "9.78E+12", "439023483", {"scientific": 1}),
        ("0439023483", "9.78E+12", "0439023483", {}),
        ("", "9780439023481", "9780439023481", {}),
        ('"=""4.39E+08"""', '"=""9780439023481"""', "9780439023481", {"other_isbn": 1, "formula": 1}),
        ("4.39E+08", "9.78E+12", None, {}),
        ("4.39E+08", "", None, {}),
        ("", "9.78E+12", None, {}),
    ],
)
def test_a_library_row_whose_isbn_has_lost_digits_is_known_by_the_other(tables, isbn, isbn13, used, kinds):
    read = tables(f"Title,Author,ISBN,ISBN13,My Rating\nGames,Ann,{isbn},{isbn13},5\nB,Bo,i,,4\n")
    assert shelves(read) == ([["reader", used, 5]] if used else []) + [["reader", "i", 4]]
    assert read.books["isbn"].tolist() == ([used] if used else []) + ["i"]
    assert read.report.mended == kinds
    assert read.report.dropped == ({} if used else {"digits_lost": 1})


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("export", [GOODREADS, STORYGRAPH], ids=["Goodreads", "StoryGraph"])
def test_a_library_is_known_whatever_the_case_of_its_columns(tables, export, case):
    head, _, rest = export.partition("\n")
    read, same = tables(f"{case(head)}\n{rest}"), tables(export)
    assert read.usable.to_numpy().tolist() == same.usable.to_numpy().tolist()
    columns = ["isbn", "title", "authors"]
    assert read.books[columns].to_numpy().tolist() == same.books[columns].to_numpy().tolist()


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_the_case_of_optional_columns_does_not_matter(tables, case):
    ratings = f"userId;isbn;myRate;{case('at')}\nu;a;4,5;7\n"
    books = f"isbn;{case('title;author;genre;description;publishedYear;image_url')}\na;T;A;G;D;2001;I\n"
    read = tables(ratings, books)
    assert read.usable.to_numpy().tolist() == [["u", "a", 4.5, 7]]
    own = ["isbn", "title", "authors", "genre", "description", "year", "image_url"]
    assert read.books[own].to_numpy().tolist() == [["a", "T", "A", "G", "D", "2001", "I"]]


def test_of_columns_that_differ_in_case_the_one_with_the_known_name_counts(tables):
    assert shelves(tables("USERID,userId,Isbn,isbn,myrate,myRate\nx,u,y,a,1,4\n")) == [["u", "a", 4]]
    export = "Title,TITLE,isbn13,ISBN13,My Rating,my rating,ISBN\nT,X,1,9780439023481,4,1,\n"
    assert shelves(tables(export)) == [["reader", "9780439023481", 4]]


@pytest.mark.parametrize("more", ["isbn", "myRate", "userId", "at", " ISBN "])
def test_a_librarys_other_columns_do_not_count(tables, more):
    lines = GOODREADS.splitlines()
    export = "\n".join(line + ("," + more if line is lines[0] else ",1") for line in lines)
    read = tables(export, user_id="ann")
    assert shelves(read) == [["ann", "0439023483", 5], ["ann", "9780804429573", 0]]
    assert read.usable["at"].tolist() == [JAN_31, DEC_24]


def test_a_library_is_read_with_another_catalogue_and_its_spelling(tables):
    read = tables(STORYGRAPH, BOOKS, matches=True)
    assert shelves(read) == [["reader", "0439023483", 5], ["reader", "080442957X", 0]]
    assert read.books["title"].tolist() == ["A Title", "B Title"]


@pytest.mark.parametrize(
    "names", [("ratings.csv", "books.csv"), ("Ratings.CSV", "BOOKS.csv.gz"), ("ratings.csv.gz", "books.tsv")]
)
def test_a_folder_of_goodbooks_has_names_in_any_case(tmp_path, names):
    ratings, books = (
        "user_id,book_id,rating\n1,2,5\n1,3,4\n",
        "book_id,isbn,title,authors\n2,439023483,Games,Ann\n3,,No,X\n",
    )
    for name, content in zip(names, (ratings, books), strict=True):
        text = content.replace(",", "\t") if name.endswith(".tsv") else content
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert is_table(tmp_path)
    read = read_tables(tmp_path, None)
    assert shelves(read) == [["1", "0439023483", 5]]
    assert read.report.dropped == {"isbn_missing": 1}


@pytest.mark.parametrize(
    ("isbn", "kind"),
    [
        ("439023483.0", "trailing_zero"), ("4.39023483E+08", "scientific"), ('"439,023,483"', "thousands"),
        ("'439023483", "apostrophe"), ('"=""439023483"""', "formula"), (" 439023483 ", "spaces"), ("439023483", None),
        ("0439023483.0", "trailing_zero"),
    ],
)  # fmt: skip
def test_a_folder_of_goodbooks_that_a_spreadsheet_has_saved_keeps_its_leading_zeros(tmp_path, isbn, kind):
    (tmp_path / "ratings.csv").write_text("user_id,book_id,rating\n1,2.0,5\n1,3.0,4\n1,4.0,3\n")
    (tmp_path / "books.csv").write_text(f"book_id,isbn,title\n2,{isbn},Games\n3,9.78E+12,Lost\n4,,No\n")
    read = read_tables(tmp_path, None)
    assert shelves(read) == [["1", "0439023483", 5]]
    assert read.books["isbn"].tolist() == ["0439023483", ""]
    assert read.report.mended - Counter({"trailing_zero": 3}) == Counter([kind] if kind else [])
    assert read.report.dropped == {"digits_lost": 1, "book:digits_lost": 1, "isbn_missing": 1}


@pytest.mark.parametrize("column", RATINGS["isbn"])
def test_ratings_in_a_folder_name_the_isbn_as_any_table_does(tmp_path, column):
    (tmp_path / "ratings.csv").write_text(f"User-ID;{column};Book-Rating\nu;0439023483;4\n")
    (tmp_path / "books.csv").write_text("ISBN;Book-Title;book_id\n0439023483;Games;0439023483\n")
    assert shelves(read_tables(tmp_path, None)) == [["u", "0439023483", 4]]


@pytest.mark.parametrize(("name", "missing"), [("books.csv", "ratings.csv"), ("ratings.csv", "books.csv")])
def test_a_folder_that_lacks_a_table_is_named(tmp_path, name, missing):
    (tmp_path / name).write_text("user_id,book_id,rating,isbn\n1,2,5,i\n")
    with pytest.raises(SourceError, match=f"there is no {missing} in it"):
        read_tables(tmp_path, None)


def test_json_is_not_a_table_and_says_where_it_belongs(tmp_path):
    (tmp_path / "a.csv").write_text('{"User_Book": {}}')
    (tmp_path / "b").write_text('\ufeff {"User_Book": {}}')
    assert not is_table(tmp_path / "b")
    with pytest.raises(SourceError, match=r"it is JSON.*train --source"):
        read_tables(tmp_path / "a.csv", None)


ENTRY = '{"User_Book":{"-N1":{"userId":"a","bookId":"b","isbn":"0439023483","myRate":4}},"archive":{}}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_an_export_with_a_byte_order_mark_is_read(tmp_path, encoding, is_packed):
    content = ENTRY.encode(encoding)
    path = tmp_path / ("db.json.gz" if is_packed else "db.json")
    path.write_bytes(gzip.compress(content) if is_packed else content)
    assert read_export(path).ratings["isbn"].tolist() == ["0439023483"]


def test_other_tools_files_in_an_export_are_not_its_database(tmp_path):
    folder = tmp_path / "database_export"
    folder.mkdir()
    (folder / "demo.JSON").write_text(ENTRY)
    (folder / ".runtimeconfig.json").write_text("{}")
    assert len(read_export(tmp_path).ratings) == 1


def test_an_export_without_a_usable_entry_is_an_error_with_the_counts(tmp_path):
    path = tmp_path / "db.json"
    path.write_text('{"User_Book":{"a":{"userId":"u","isbn":"i","myRate":9},"b":1},"archive":{}}')
    with pytest.raises(SourceError, match=r"no usable entry in it; rejected: (rating_out_of_range|not_an_object) 1;"):
        read_files(path, None)


def test_untitled_and_otherwise_spelt_books_of_an_export_are_logged(tmp_path, caplog):
    path = tmp_path / "db.json"
    path.write_text(ENTRY.replace('"archive":{}', '"archive":{"-A":{"isbn":"9780439023481","title":"T"}}'))
    read_files(path, None)
    assert "0439023483 is 9780439023481" in caplog.text
    assert "have no title in the catalogue (1 ISBNs: 0439023483)" in caplog.text
    assert "--match-isbns" not in caplog.text


def test_without_times_a_fifth_is_held_out_at_random_by_the_seed(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEAD + "".join(f"u{n % 4},i{n},4\n" for n in range(40)) + "few,i,4\n")
    usable = read_tables(path, None).usable
    one, again, other = apart(usable, 1)[1], apart(usable, 1)[1], apart(usable, 2)[1]
    assert one.to_numpy().tolist() == again.to_numpy().tolist()
    assert set(one["isbn"]) != set(other["isbn"])
    assert one.groupby("userId").size().to_dict() == {"u0": 2, "u1": 2, "u2": 2, "u3": 2}
    assert set(apart(usable, 1)[0]["userId"]) == {"u0", "u1", "u2", "u3", "few"}


def test_with_times_the_newest_fifth_is_held_out_in_whatever_order_the_rows_are(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("userId,isbn,myRate,at\n" + "".join(f"u,i{n},4,{(n * 7) % 10}\n" for n in range(10)))
    assert set(apart(read_tables(path, None).usable, 1)[1]["at"]) == {8, 9}


def test_times_that_cannot_be_read_are_counted(tables):
    read = tables("userId,isbn,myRate,at\nu,a,4,2023-01-31\nu,b,4,1.67E+12\nu,c,4,\nu,d,4,1675123200000\n")
    assert read.usable["at"].tolist() == [-1, -1, -1, JAN_31]
    assert any("2 times in column at are not milliseconds since 1970" in line for line in read.report.warnings())


def test_without_five_entries_nothing_can_be_held_out(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(HEAD + "u,a,4\nu,b,5\n")
    with pytest.raises(SourceError, match="no reader has five entries"):
        apart(read_tables(path, None).usable, 1)
