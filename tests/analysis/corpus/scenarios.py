"""What is raised for the corpus, and the groups that a person makes of it.

Two tracebacks carry the same label if one person, in one go, would fix one cause and be done with both. The labels
were written before the algorithm was run on them. Each group calls one function of the fake application in ``app/``
with several arguments; arguments may be functions of the fixtures (ports, addresses, files).
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

Arguments = tuple[Any, ...] | dict[str, Any] | Callable[["Fixtures"], tuple[Any, ...]]


class Fixtures(NamedTuple):
    """Servers and files that the calls need."""

    closed: int
    http: str
    garbage: int
    silent: int
    redis: str
    folder: Path


class Group(NamedTuple):
    """A label, and calls that fail for the reason it names."""

    label: str
    function: str
    calls: tuple[Arguments, ...]


def group(label: str, function: str, *calls: Arguments) -> Group:
    """Return a group."""
    return Group(label, function, calls)


def archive(name: str, content: bytes = b"x") -> bytes:
    """Return a ZIP file with one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def damaged(name: str) -> bytes:
    """Return a ZIP file whose member does not match its checksum."""
    return archive(name, b"seats of " + name.encode()).replace(b"seats of", b"seats or")


def lookups() -> Iterator[Group]:
    """Keys, attributes, names, imports."""
    task = "app.tasks.seats"
    yield group("the column seats is missing", f"{task}:read_row", ({"year": 1},), ({},), ({"x": 2},))
    yield group("the column year is missing", f"{task}:read_row", ({"seats": 1},), ({"seats": 180, "tail": "N1"},))
    yield group("a row of an import has no seats", f"{task}:import_planes", ([{}],), ([{"seats": 3, "year": 1}, {}],))
    yield group(
        "flight without a plane", f"{task}:assign", ("UA1545", {}), ("B61", {"AA1": 2}), ("DL0461", {}), (77, {})
    )
    yield group("route is not indexed", f"{task}:assign_route", ({}, "UA", 1545), ({}, "B6", 79), ({}, "DL", 461))
    yield group("airport is not in the table", f"{task}:airport_name", ("JFK",), ("LGA",), ("BQN",))
    yield group("airline is not in the table", f"{task}:airline_name", ("B6",), ("9E",), ("US7",))
    yield group("APP_SMTP_HOST is not set", f"{task}:configure_mail", (0,), (0,))
    yield group("APP_SMTP_PORT is not set", f"{task}:configure_mail", (1,), (1,))
    yield group("no plane: seats asked of None", f"{task}:count_seats", ("N1", []), ("N2", []))
    yield group("no plane: tail asked of None", f"{task}:tail_of", ("N1", []), ("N23", []))
    yield group("planes misspelt as plane", f"{task}:planes_of", ("UA1",), ("UA2",))
    yield group("models has no Airport", f"{task}:airport", ("JFK",), ("LGA",))
    yield group("seat_count is not defined", f"{task}:total", ([1],), ([1, 2],))
    yield group("no flights: found is unbound", f"{task}:last_flight", ([],), ((),))
    yield group("generator stops early", f"{task}:first_of", ([1],), ([1, 2],))
    yield group("flight has no carrier", f"{task}:by_carrier", ([{}], "UA"), ([{"carrier": "UA"}, {}], "DL"))
    yield group("unknown cabin", f"{task}:cabin", ("first",), ("business",), ("premium2",))
    yield group("seat row is missing", f"{task}:seat_letter", ({}, "12A"), ({"1B": {}}, "33F"))
    yield group("geometry package is not installed", "app.services.shell:optional", (0,), (0,))
    yield group("weather package is not installed", "app.services.shell:optional", (1,), (1,))
    yield group("models has no Airline to import", "app.services.shell:from_models", (0,), (0,))
    yield group("models has no Carrier to import", "app.services.shell:from_models", (1,), (1,))
    yield group("plugin delta is not valid Python", "app.services.shell:load_plugin", ("delta",), ("delta",))
    yield group("plugin united is not valid Python", "app.services.shell:load_plugin", ("united",), ("united",))
    yield group(
        "plugin alaska asks for prices that are not there", "app.services.shell:load_plugin", ("alaska",), ("alaska",)
    )
    yield group("key in another script is missing", "app.i18n.meldungen:key", ({},), ({"grosse": 2},))


def values() -> Iterator[Group]:
    """Types, values, numbers, assertions."""
    task = "app.tasks.seats"
    yield group("delay is None", f"{task}:add_delay", (None, 5), (None, 17))
    yield group("delay is a text", f"{task}:add_delay", ("12", 5), ("late", 6))
    yield group("a flight's delay is None", f"{task}:delays", ([{"delay": None}],), ([{"delay": 3}, {"delay": None}],))
    yield group("plane built without seats", f"{task}:build_plane", {"tail": "N1"}, {"tail": "N2"})
    yield group("plane built without tail", f"{task}:build_plane", {"seats": 3}, {"seats": 189})
    yield group(
        "plane built with a model",
        f"{task}:build_plane",
        {"tail": "N1", "seats": 1, "model": 3},
        {"tail": "N2", "seats": 1, "model": 8},
    )
    yield group("unknown status", f"{task}:status_of", ("lost",), ("diverted 2",), ("",), (3,))
    yield group("route has no destination", f"{task}:legs", ("EWR",), ("JFK",))
    yield group("route has a stop", f"{task}:legs", ("EWR-ORD-LAX",), ("JFK-BOS-SFO",), ("A-B-C-D",))
    yield group("plane without seats", f"{task}:load_factor", (12, 0), (150, 0))
    yield group("mean of no delays", f"{task}:mean_delay", ([],), ((),))
    yield group("first of no delays", f"{task}:first_delay", ([],), ([],))
    yield group("gate number out of range", f"{task}:gate", (["A"], 7), ([], 12))
    yield group("overbooked", f"{task}:check_seats", (181, 180), (9, 3))
    yield group("year out of range", f"{task}:check_year", (12,), (3021,))
    yield group(
        "seats are not a number", f"{task}:parse_seats", ("twelve",), ("N/A",), ("",), ("12.5",), ("180 seats",)
    )
    yield group("delay is not a number", f"{task}:parse_delay", ("late",), ("12,5",), ("--",))
    yield group("queue is empty", f"{task}:pop_queue", ([],), ([],))
    yield group("flight is not a text", f"{task}:describe", (12,), (1545,))
    yield group("age is None", f"{task}:check_age", (None,), (None,))
    yield group("notify called without gate", "app.services.shell:notify_all", (0,), (0,))
    yield group("notify called with seat", "app.services.shell:notify_all", (1,), (1,))
    yield group("notify called with too much", "app.services.shell:notify_all", (2,), (2,))
    yield group("service is not ready", "app.services.shell:ready", (False,), (0,))
    yield group("service is not prepared", "app.services.shell:prepared", (False,), (0,))
    yield group(
        "seats are negative",
        "app.services.shell:noted",
        ([{"seats": -1}],),
        ([{"seats": 1}, {"seats": -7}],),
        ([{"seats": -12, "tail": "N7"}],),
    )
    yield group(
        "file with missing seats",
        "app.services.shell:import_file",
        ("day1.csv", ["row 3: no seats", "row 7: no seats"]),
        ("day2.csv", ["row 4: no seats", "row 9: no seats"]),
    )
    yield group(
        "file with a wrong header",
        "app.services.shell:import_file",
        ("day1.csv", ["the header is wrong"]),
        ("day31.csv", ["the header is wrong"]),
    )


def clocks() -> Iterator[Group]:
    """Times, decimals, asyncio, queues."""
    clock = "app.services.clock"
    yield group(
        "departure has another format", f"{clock}:departure", ("2013-01-01",), ("1/2/2013 5:15",), ("",), ("noon",)
    )
    yield group("departure has seconds", f"{clock}:departure", ("2013-01-01 05:15:00",), ("2013-12-31 23:59:59.5",))
    yield group("arrival is not ISO", f"{clock}:arrival", ("yesterday",), ("2013-1-1",), ("01.01.2013",))
    yield group("month out of range", f"{clock}:day", (2013, 13, 1), (2013, 0, 9))
    yield group("day out of range", f"{clock}:day", (2013, 2, 30), (2013, 4, 31))
    yield group("naive and aware times compared", f"{clock}:is_late", (2013,), (2014,))
    yield group("unknown time zone", f"{clock}:zone", ("Europe/Atlantis",), ("Mars/Base",), ("America/Newark",))
    yield group("date overflows", f"{clock}:shift", (datetime(2013, 1, 1), 99999999), (datetime(9999, 1, 1), 4000))
    yield group("timestamp out of range", f"{clock}:moment", (10**15,), (99999999999999,))
    yield group("price is not a number", f"{clock}:price", ("12 EUR",), ("free",))
    yield group("share of nothing", f"{clock}:share", (12, 0), ("99.5", 0))
    yield group("negative distance", f"{clock}:distance", (-1,), (-12.5,))
    yield group("growth overflows", f"{clock}:growth", (1000,), (7e5,))
    yield group("slow call is given up", f"{clock}:wait_for", (0.01,), (0.02,))
    yield group("slow block is given up", f"{clock}:wait_within", (0.01,), (0.02,))
    yield group("stream ends early", f"{clock}:read_exactly", (b"abc", 8), (b"", 16))
    yield group("result asked too early", f"{clock}:result_of_pending", (), ())
    yield group("no job came", f"{clock}:next_job", (0.01,), (0.02,))
    yield group("lock is not held", f"{clock}:unlock", (), ())
    yield group(
        "rows without seats, read together", f"{clock}:together", ([{}],), ([{}, {}, {}],), ([{}, {"seats": 1}, {}],)
    )
    yield group(
        "rows without seats and texts that are no numbers",
        f"{clock}:together",
        ([{}], ["x"]),
        ([{}, {}], ["seven", "y"]),
    )
    yield group(
        "texts that are no numbers, read together", f"{clock}:together", ([], ["x"]), ([], ["seven", "12 a", "y"])
    )
    yield group("rows without seats, collected", f"{clock}:collect", ([{}],), ([{}, {}],))
    yield group(
        "rows with seats, collected",
        f"{clock}:collect",
        ([{"row": 1, "seats": 3}],),
        ([{"row": 4, "seats": 5}, {"row": 6, "seats": 7}],),
    )
    yield group("a group in a group", f"{clock}:nested", (1,), (31,))
    yield group("a group as a cause", f"{clock}:chained_group", (1,), (31,))


def chains() -> Iterator[Group]:
    """Chained errors and databases."""
    store = "app.services.store"
    yield group("seats missing in a reservation", f"{store}:reserve", ({}, "seats"), ({"plane": "N1"}, "seats"))
    yield group("plane missing in a reservation", f"{store}:reserve", ({}, "plane"), ({"seats": 1}, "plane"))
    yield group(
        "seats missing in a booking", f"{store}:release", ({"booking": "b-1"},), ({"booking": "b-22", "plane": 1},)
    )
    yield group(
        "plane missing in a booking",
        f"{store}:release",
        ({"booking": "b-1", "seats": 3},),
        ({"booking": 77, "seats": 9},),
    )
    yield group("booking without seats", f"{store}:hide", ({"booking": "b-1"},), ({"booking": "b-22"},))
    yield group(
        "what is not in the cache is not JSON",
        f"{store}:cached",
        ({}, "ord", "<html>"),
        ({}, "lga", ""),
        ({"x": 1}, "jfk", "oops"),
    )
    yield group("connection closed while seats are missing", f"{store}:update", ({},), ({"plane": 3},))
    yield group(
        "connection closed while seats are no number", f"{store}:update", ({"seats": "x"},), ({"seats": "seven"},)
    )
    yield group("request without a plane", f"{store}:layered", ({"request": 1},), ({"request": "r-77", "seats": 3},))
    yield group(
        "carrier is None, retried",
        f"{store}:retry",
        ({"carrier": None}, 0),
        ({"carrier": None}, 1),
        ({"carrier": None}, 4),
    )
    yield group("booked text is no number", f"{store}:book", ("s1", "x"), ("s2", "seven"), ("night 7", "a b"))
    yield group("flight inserted twice", f"{store}:insert_twice", (1, 1, "N1", "d"), (77, 77, "N2", "e"))
    yield group("tail and day inserted twice", f"{store}:insert_twice", (1, 2, "N1", "d"), (3, 4, "N23", "2013-01-01"))
    yield group("flight inserted without tail", f"{store}:insert_twice", (1, 2, None, "d"), (3, 4, None, "e"))
    yield group(
        "flight number is not an integer", f"{store}:insert_twice", ("UA1", 2, "N1", "d"), ("UA2", 4, "N1", "e")
    )
    yield group("no table flights", f"{store}:select", ("flights", "id"), ("flights", "tail"))
    yield group("no table planes", f"{store}:select", ("planes", "id"), ("planes", "tail"))
    yield group("no column seat", f"{store}:select", ("flight", "seat"), ("flight AS f", "seat"))
    yield group("misspelt statement", f"{store}:run_statement", ("SELEC 1",), ("SELEC * FROM flight",))
    yield group(
        "wrong number of parameters", f"{store}:run_statement", ("SELECT ?", 1, 2), ("SELECT ?, ?", 1), ("SELECT 1", 3)
    )
    yield group("database is closed", f"{store}:closed", (1,), (77,))
    yield group(
        "database is locked", f"{store}:locked", lambda f: (f.folder / "a.db", 1), lambda f: (f.folder / "b.db", 2)
    )
    sql = "app.services.orm"
    yield group(
        "mapped flight added twice",
        f"{sql}:add",
        ({"id": 1, "tail": "N1"}, {"id": 2, "tail": "N1"}),
        ({"id": 7, "tail": "N77"}, {"id": 9, "tail": "N77"}),
    )
    yield group("mapped flight without a tail", f"{sql}:add", ({"id": 1},), ({"id": 2},))
    yield group(
        "mapped flight with a list as its tail",
        f"{sql}:add",
        ({"id": 1, "tail": [1]},),
        ({"id": 2, "tail": ["N1", 3]},),
    )
    yield group("one flight expected, none there", f"{sql}:one", (1,), (99,))
    yield group("one flight expected, several there", f"{sql}:only", ("N", "12"), ("UA", ["1", "2", "3"]))
    yield group(
        "mapped table planes is missing",
        f"{sql}:raw",
        ("SELECT * FROM planes",),
        ("SELECT id FROM planes WHERE id = 3",),
    )
    yield group(
        "mapped column seats is missing",
        f"{sql}:raw",
        ("SELECT seats FROM flight",),
        ("SELECT id, seats FROM flight WHERE id = 3",),
    )
    yield group(
        "value for a parameter is missing",
        f"{sql}:raw",
        ("SELECT * FROM flight WHERE id = :id",),
        ("SELECT tail FROM flight WHERE 3 < :id",),
    )
    yield group("filter by a property that is not mapped", f"{sql}:filter_by", {"seat": 1}, {"seat": 22})
    yield group("flight built with a keyword that is not mapped", f"{sql}:build", {"seat": 1}, {"seat": 3})
    yield group("address of the database cannot be parsed", f"{sql}:engine", ("flights",), ("/data/flights.db",))
    yield group(
        "kind of database is unknown", f"{sql}:engine", ("flightdb://db/1",), ("flightdb://db2.example.com:77/x",)
    )
    yield group("refresh of a flight that is not saved", f"{sql}:refresh", (1,), (2,))
    yield group("session of a flight is closed", f"{sql}:detached", ("N1",), ("N22",))


def feeds() -> Iterator[Group]:
    """Files and formats."""
    feed = "app.services.feeds"
    yield group("answer is not JSON", f"{feed}:parse_flight", ("",), ("<html>",), ("oops",))
    yield group(
        "JSON object with wrong quotes", f"{feed}:parse_flight", ("{'a': 1}",), ("{seats: 3}",), ('\n\n  {a": 1}',)
    )
    yield group("two JSON documents in one", f"{feed}:parse_flight", ("{} {}",), ('{"a": 1}\n{"b": 2}',))
    yield group("JSON is cut off", f"{feed}:parse_flight", ('{"a": "x',), ('{"a": 1, "tail": "N12',))
    yield group("booking has no booking", f"{feed}:parse_booking", ("{}",), ('{"a": 1}',))
    yield group("booking is a list", f"{feed}:parse_booking", ("[]",), ('["a", 1]',))
    yield group("decimal is not JSON", f"{feed}:dump_flight", (Decimal(1),), (Decimal("7.5"),))
    yield group("date is not JSON", f"{feed}:dump_flight", (datetime(2013, 1, 1),), ({"x": datetime(2014, 1, 1)},))
    yield group("file is not UTF-8", f"{feed}:read_text", (b"Z\xfcrich",), (b"Malm\xf6 Airport",), (b"\xff\xfeA",))
    yield group("label is not ASCII", f"{feed}:write_label", ("Zürich",), ("Malmö",), ("Kraków ø",), ("東京",))
    yield group(
        "file of the day is missing",
        f"{feed}:open_day",
        ("/nowhere/data", "2013-01-01"),
        ("/nowhere/data", "2013-02-28"),
        ("/nowhere/other", "latest"),
    )
    yield group(
        "folder is a file", f"{feed}:list_folder", lambda f: (f.folder / "file1",), lambda f: (f.folder / "file2",)
    )
    yield group("folder is there already", f"{feed}:make_folder", lambda f: (f.folder,), lambda f: (f.folder / "day1",))
    yield group("file is a folder", f"{feed}:read_folder", lambda f: (f.folder,), lambda f: (f.folder / "day1",))
    yield group("header has another size", f"{feed}:read_header", (b"1234",), (b"123456789012",))
    yield group("number does not fit the header", f"{feed}:write_header", (2**40,), (-(2**50),))
    yield group("header's number is a text", f"{feed}:write_header", ("12",), ("N1",))
    yield group("not a ZIP file", f"{feed}:unzip", (b"", "a"), (b"<html>", "b"))
    yield group(
        "member is not in the ZIP file", f"{feed}:unzip", (archive("a"), "day1.csv"), (archive("b"), "planes.csv")
    )
    yield group("ZIP file is damaged", f"{feed}:unzip", (damaged("a.csv"), "a.csv"), (damaged("b12.csv"), "b12.csv"))
    yield group("not a GZIP file", f"{feed}:gunzip", (b"<html>",), (b"PK12345",))
    yield group(
        "GZIP file is cut off", f"{feed}:gunzip", (gzip.compress(b"a" * 99)[:-9],), (gzip.compress(b"bc" * 999)[:-12],)
    )
    yield group("not a zlib stream", f"{feed}:inflate", (b"<html>",), (b"PK12345",))
    yield group("not a TAR file", f"{feed}:untar", (b"<html>",), (b"x" * 2000,))
    yield group("field of the CSV file is too long", f"{feed}:read_csv", ("a" * 20, 5), ("b,ccccccccccccc", 12))
    yield group("quotes in the CSV file are not closed", f"{feed}:read_csv", ('"a', 99), ('b,"cc\n', 99))
    yield group("delimiter cannot be guessed", f"{feed}:sniff", ("",), ("\n",))
    yield group("XML tags do not match", f"{feed}:read_xml", ("<a></b>",), ("<a>\n  <b>\n</a>",))
    yield group("not an XML file", f"{feed}:read_xml", ("oops",), ("12345",))
    yield group("XML file is empty", f"{feed}:read_xml", ("",), ("  \n",))
    yield group("XML attribute tail is missing", f"{feed}:read_attribute", ("<a/>", "tail"), ('<a seats="1"/>', "tail"))
    yield group(
        "XML attribute seats is missing", f"{feed}:read_attribute", ("<a/>", "seats"), ('<a tail="1"/>', "seats")
    )
    yield group(
        "settings have no section redis", f"{feed}:read_settings", ("", "redis", "port"), ("[mail]\n", "redis", "host")
    )
    yield group(
        "settings of mail have no host",
        f"{feed}:read_settings",
        ("[mail]\n", "mail", "host"),
        ("[mail]\nport=1\n", "mail", "host"),
    )
    yield group(
        "settings have no header",
        f"{feed}:read_settings",
        ("port=1\n", "mail", "host"),
        ("\n\nhost=mail\n", "mail", "host"),
    )
    yield group("TOML value is missing", f"{feed}:read_toml", ("a =",), ("seats = 1\nyear =",))
    yield group("session ID is no UUID", f"{feed}:session_id", ("abc",), ("123",))
    yield group("no IP address", f"{feed}:address", ("localhost",), ("10.0.0.256",), ("10.0.0",))
    yield group("token is not padded", f"{feed}:token", ("YWJ",), ("YWJjZA",))
    yield group("hexadecimal text has other characters", f"{feed}:unhex", ("zz",), ("12xy",))
    yield group("unknown encoding", f"{feed}:codec", ("utf-88",), ("ebcdic",))
    yield group(
        "template asks for a gate", f"{feed}:fill", lambda f: ("{gate}",), lambda f: ("Boarding at {gate}, please",)
    )
    yield group("template asks for a position", f"{feed}:fill", lambda f: ("{0}",), lambda f: ("Boarding at {2}",))


def networks() -> Iterator[Group]:
    """HTTP, sockets, Redis."""
    http = "app.services.http"
    yield group(
        "weather answers 404", f"{http}:fetch", lambda f: (f"{f.http}/missing/1",), lambda f: (f"{f.http}/missing/jfk",)
    )
    yield group(
        "weather answers 500", f"{http}:fetch", lambda f: (f"{f.http}/broken/1",), lambda f: (f"{f.http}/broken/jfk",)
    )
    yield group(
        "weather is down",
        f"{http}:fetch",
        lambda f: (f"http://127.0.0.1:{f.closed}/1",),
        lambda f: (f"http://127.0.0.1:{f.closed}/jfk",),
    )
    yield group("scheme of the URL is unknown", f"{http}:fetch", ("weather:jfk",), ("weather:lga",))
    yield group("no URL", f"{http}:fetch", ("jfk",), ("weather.example.com/1",))
    yield group(
        "requests: weather answers 404",
        f"{http}:fetch_weather",
        lambda f: (f"{f.http}/missing/1?airport=jfk",),
        lambda f: (f"{f.http}/missing/lga",),
    )
    yield group(
        "requests: weather answers 503",
        f"{http}:fetch_weather",
        lambda f: (f"{f.http}/busy/1",),
        lambda f: (f"{f.http}/busy/lga?day=2013-01-01",),
    )
    yield group(
        "requests: weather is down",
        f"{http}:fetch_weather",
        lambda f: (f"http://127.0.0.1:{f.closed}/1",),
        lambda f: (f"http://127.0.0.1:{f.closed}/jfk?x=1",),
    )
    yield group(
        "requests: answer is not JSON",
        f"{http}:fetch_weather",
        lambda f: (f"{f.http}/html/1",),
        lambda f: (f"{f.http}/html/2",),
    )
    yield group(
        "requests: answer is garbage",
        f"{http}:fetch_weather",
        lambda f: (f"http://127.0.0.1:{f.garbage}/1",),
        lambda f: (f"http://127.0.0.1:{f.garbage}/2",),
    )
    yield group("requests: URL without a scheme", f"{http}:fetch_weather", ("jfk",), ("weather.example.com/1",))
    yield group(
        "requests: answer takes too long",
        f"{http}:fetch_slow",
        lambda f: (f"http://127.0.0.1:{f.silent}/1", 0.05),
        lambda f: (f"http://127.0.0.1:{f.silent}/2", 0.1),
    )
    yield group(
        "httpx: weather answers 404",
        f"{http}:fetch_modern",
        lambda f: (f"{f.http}/missing/1",),
        lambda f: (f"{f.http}/missing/jfk",),
    )
    yield group(
        "httpx: weather is down",
        f"{http}:fetch_modern",
        lambda f: (f"http://127.0.0.1:{f.closed}/1",),
        lambda f: (f"http://127.0.0.1:{f.closed}/2",),
    )
    yield group(
        "socket: nobody listens",
        f"{http}:open_socket",
        lambda f: ("127.0.0.1", f.closed),
        lambda f: ("127.0.0.2", f.closed),
    )
    yield group(
        "socket: no answer",
        f"{http}:open_socket",
        lambda f: ("127.0.0.1", f.silent, 0.05),
        lambda f: ("127.0.0.1", f.silent, 0.1),
    )
    yield group("host is not an address", f"{http}:resolve", ("10.0.0.999",), ("weather",))
    yield group(
        "server does not speak TLS",
        f"{http}:secure",
        lambda f: ("127.0.0.1", f.garbage),
        lambda f: ("127.0.0.1", f.garbage),
    )
    yield group(
        "http.client: answer is garbage",
        f"{http}:raw_get",
        lambda f: ("127.0.0.1", f.garbage, "/1"),
        lambda f: ("127.0.0.1", f.garbage, "/2"),
    )
    yield group(
        "http.client: blank in the path", f"{http}:raw_get", ("127.0.0.1", 1, "/a b"), ("127.0.0.1", 2, "/day 12")
    )
    yield group(
        "Redis is down",
        f"{http}:redis_get",
        lambda f: ("127.0.0.1", f.closed, "a"),
        lambda f: ("localhost", f.closed, "b"),
    )
    yield group(
        "Redis key of another kind",
        f"{http}:redis_command",
        lambda f: (f.redis, "LPUSH", "flight", "1"),
        lambda f: (f.redis, "LPUSH", "flight", "22"),
    )
    yield group(
        "Redis command is unknown",
        f"{http}:redis_command",
        lambda f: (f.redis, "FLIGHT", "1"),
        lambda f: (f.redis, "FLIGHT", "UA", "77"),
    )
    yield group(
        "Redis value is no integer",
        f"{http}:redis_command",
        lambda f: (f.redis, "INCR", "flight"),
        lambda f: (f.redis, "INCRBY", "flight", "7"),
    )
    yield group(
        "Redis value is a dictionary",
        f"{http}:redis_store",
        lambda f: (f.redis, "a", {}),
        lambda f: (f.redis, "b", {"x": 1}),
    )
    yield group(
        "no weather for an airport that is not cached",
        f"{http}:weather_for",
        lambda f: (f.http, {}, "ord"),
        lambda f: (f.http, {}, "lga"),
        lambda f: (f.http, {"x": 1}, "k12"),
    )
    yield group(
        "report: weather answers 404",
        f"{http}:report",
        lambda f: (f"{f.http}/missing", "UA1"),
        lambda f: (f"{f.http}/missing", "jetblue"),
    )
    yield group(
        "report: weather is down",
        f"{http}:report",
        lambda f: (f"http://127.0.0.1:{f.closed}", "UA1"),
        lambda f: (f"http://127.0.0.1:{f.closed}", "DL7"),
    )
    yield group(
        "weather answers that it is over quota",
        f"{http}:check",
        lambda f: (f"{f.http}/429", "jfk"),
        lambda f: (f"{f.http}/429", "lga"),
    )
    yield group(
        "weather answers that it is broken",
        f"{http}:check",
        lambda f: (f"{f.http}/500", "jfk"),
        lambda f: (f"{f.http}/500", "k12"),
    )


def trees() -> Iterator[Group]:
    """Recursion, threads, processes, subprocesses, expressions."""
    tree = "app.services.trees"
    yield group("plane is its own parent", f"{tree}:loop", ("a", 0), ("b", 1), ("c", 30))
    yield group("tree holds a number", f"{tree}:visit", ({"a": 1},), ({"a": {"b": {"c": 7}}},), ({"x": {"y": 12}},))
    yield group("number is never even nor odd", f"{tree}:parity", (1,), (2,), (7,))
    yield group("record holds itself", f"{tree}:circular", ("a",), ("b",))
    yield group("chain of nodes is too long to copy", f"{tree}:duplicate", ("a",), ("b",))
    yield group("lazy node asks itself for its target", f"{tree}:lazy", ("seats",), ("tail",))
    yield group("lambda cannot be pickled", f"{tree}:save", ("a",), ("b12",))
    yield group("not a pickle", f"{tree}:load", (b"<html>",), (b"<xml>",))
    yield group("pickle is cut off", f"{tree}:load", (b"\x80\x04]q\x00(K\x01",), (b"\x80\x04]q\x00(K\x01K\x02",))
    yield group("answer in a thread is not JSON", f"{tree}:in_threads", (["1", "x"],), (["", "2"],))
    yield group("node in a process has no child", f"{tree}:in_processes", (["a"],), (["bcd"],))
    shell = "app.services.shell"
    yield group("converter fails", f"{shell}:run", (3,), (17,))
    yield group("converter takes too long", f"{shell}:run_slow", (0.1,), (0.2,))
    yield group("converter is not installed", f"{shell}:convert", ("app-convert", "a.csv"), ("app-convert", "b2.csv"))
    yield group("pattern with an open bracket", f"{shell}:search", ("[a", "x"), ("abc[def", "y"))
    yield group("pattern with an open parenthesis", f"{shell}:search", ("(a", "x"), ("abc(def|g", "y"))
    yield group("formula is not Python", f"{shell}:evaluate", ("1 +",), ("seats *",), ("12 seats",), ("= 3",))
    yield group("formula uses an unknown name", f"{shell}:evaluate", ("seats + 1",), ("seats * 12",))
    yield group("rule is not indented", f"{shell}:compile_rule", (1, "if x:\ny"), (22, "while seats:\nx = 2"))
    yield group("greeting is repeated by a text", f"{shell}:greet", ("a", "b"), ("Anna", "twice"))


def tables() -> Iterator[Group]:
    """The pandas and numpy of an application."""
    frame = "app.services.frames"
    yield group("frame without dep_delay", f"{frame}:delays", ([{"a": 1}],), ([{"tail": "N1", "x": 3}],))
    yield group("frame without distance", f"{frame}:distances", ([{"a": 1}],), ([{"tail": "N1"}],))
    yield group(
        "frame without some columns", f"{frame}:subset", ([{"a": 1}], ["a", "seats"]), ([{"b": 1}], ["b", "seats"])
    )
    yield group(
        "merge of texts and numbers",
        f"{frame}:merge",
        ([{"tailnum": "N1"}], [{"tailnum": 1}]),
        ([{"tailnum": "N2"}, {"tailnum": "N3"}], [{"tailnum": 7}]),
    )
    yield group(
        "merge without tailnum", f"{frame}:merge", ([{"a": 1}], [{"tailnum": 1}]), ([{"b": 1}], [{"tailnum": 2}])
    )
    yield group("wrong number of names", f"{frame}:rename", ([{"a": 1}], ["x", "y"]), ([{"a": 1, "b": 2}], ["x"]))
    yield group("missing value in whole numbers", f"{frame}:whole", ([1.0, float("nan")],), ([float("nan")],))
    yield group("text in whole numbers", f"{frame}:whole", (["x"],), (["1", "seven"],))
    yield group("line with too many fields", f"{frame}:read", ("a,b\n1,2\n1,2,3\n",), ("a\n1\n2\n3\n1,2\n",))
    yield group("file without columns", f"{frame}:read", ("",), ("\n\n",))
    yield group("text is no time", f"{frame}:when", (["2013-01-01", "noon"],), (["2013-01-01", "2013-01-02", "soon"],))
    yield group("time has another format", f"{frame}:when_format", (["1/2/2013"],), (["2013-01-01", "2/3/13"],))
    yield group("series as a condition", f"{frame}:truth", ([1],), ([1, 2, 3],))
    yield group(
        "day is not in the index",
        f"{frame}:at_day",
        (["2013-01-01"], "2014-01-01"),
        (["2013-01-01", "2013-01-03"], "2013-02-02"),
    )
    yield group("row number out of range", f"{frame}:row_number", ([1], 3), ([1, 2], 17))
    yield group("index with duplicates", f"{frame}:align", ([1, 1],), ([3, 4, 3],))
    yield group(
        "query asks for an unknown column",
        f"{frame}:ask",
        ([{"a": 1}], "seats > 1"),
        ([{"b": 1}], "seats > 1 and b == 1"),
    )
    yield group("values of another length", f"{frame}:assign", ([{"a": 1}], [1, 2]), ([{"a": 1}, {"a": 2}], [1, 2, 3]))
    yield group("shapes do not fit", f"{frame}:add", (3, 4), ((2, 3), (4,)), (5, 7))
    yield group("matrices do not fit", f"{frame}:multiply", ((2, 3), (2, 3)), ((4, 5), (6, 7)))
    yield group("matrix is singular", f"{frame}:solve", (1.0,), (0.0,))
    yield group("item out of range", f"{frame}:item", (3, 7), (12, 99))
    yield group("texts in an array of numbers", f"{frame}:numbers", (["x"],), (["1", "seven"],))
    yield group("size does not fit the shape", f"{frame}:reshape", (6, (4, 2)), (10, (3, 3)))
    yield group("maximum of nothing", f"{frame}:worst", ([],), ((),))
    yield group("not enough memory", f"{frame}:allocate", ((10**7, 10**8),), ((10**9, 10**7),), ((10**8, 10**8, 2),))
    yield group("arrays of other dimensions", f"{frame}:stack", ((2, 3), (2,)), ((2, 3, 4), (3, 3)))
    yield group("text and number added", f"{frame}:ufunc", ("a",), ("seven",))
    yield group(
        "two values for one cell",
        f"{frame}:pivot",
        ([{"day": 1, "tail": "N1", "seats": 2}] * 2,),
        ([{"day": 7, "tail": "N2", "seats": 2}] * 3,),
    )


def records() -> Iterator[Group]:
    """Schemas, templates, graphs, arrow."""
    record = "app.services.records"
    yield group(
        "record: seats are a text",
        f"{record}:decode",
        (b'{"tail": "N1", "seats": "x"}',),
        (b'{"tail": "N22", "seats": "180"}',),
    )
    yield group(
        "record: year is a text",
        f"{record}:decode",
        (b'{"tail": "N1", "seats": 1, "year": "x"}',),
        (b'{"tail": "N1", "seats": 7, "year": "2013"}',),
    )
    yield group("record without seats", f"{record}:decode", (b'{"tail": "N1"}',), (b'{"tail": "N2"}',))
    yield group("record without tail", f"{record}:decode", (b'{"seats": 1}',), (b"{}",))
    yield group("record is not JSON", f"{record}:decode", (b'{"tail": x}',), (b'{"seats": oops}',))
    yield group("record is cut off", f"{record}:decode", (b'{"tail": "N1"',), (b'{"seats": 1, "tail": "N2',))
    yield group(
        "one of many records has a text as seats",
        f"{record}:decode_many",
        (b'[{"tail": "N1", "seats": "x"}]',),
        (b'[{"tail": "a", "seats": 1, "year": 1}, {"tail": "N1", "seats": "x"}]',),
    )
    yield group(
        "schema: seats are no integer",
        f"{record}:validate",
        ({"tail": "N1", "seats": "x"},),
        ({"tail": "N2", "seats": 1.5},),
    )
    yield group("schema: tail is missing", f"{record}:validate", ({"seats": 1},), ({},))
    yield group("YAML with a tabulator", f"{record}:read_yaml", ("a:\n\t- b",), ("seats:\n\tx: 1",))
    yield group("YAML with an open bracket", f"{record}:read_yaml", ("a: [1, 2",), ("seats: [N1",))
    yield group("template with an unknown value gate", f"{record}:render", ("{{ gate }}",), ("Go to {{ gate }}!",))
    yield group("template with an open block", f"{record}:render", ("{% if gate %}",), ("Go\n{% if gate %} to",))
    yield group("template with an unknown filter", f"{record}:render", ("{{ 1|seat }}",), ("\n{{ 2|seat }}",))
    yield group("date cannot be parsed", f"{record}:parse_date", ("soon",), ("32/13/2013 x",), ("next week",))
    yield group(
        "no path between airports",
        f"{record}:path",
        ([("A", "B"), ("C", "D")], "A", "C"),
        ([("JFK", "LGA"), ("EWR", "X1")], "JFK", "X1"),
    )
    yield group(
        "airport is not in the graph", f"{record}:path", ([("A", "B")], "Q", "A"), ([("JFK", "LGA")], "K12", "LGA")
    )
    yield group("cycle of flights", f"{record}:order", ([("A", "B"), ("B", "A")],), ([(1, 2), (2, 3), (3, 1)],))
    yield group("arrow: text among numbers", f"{record}:arrow", (["x"],), ([1, "seven"],))
    yield group("arrow: number does not fit", f"{record}:cast", ([2**40],), ([1, 2**35 + 7],))
    yield group("settings are not configured", f"{record}:settings", ("DEBUG",), ("DEBUG",))
    yield group("record does not exist", f"{record}:missing", ("Flight", 1), ("Flight", 77))


def messages() -> Iterator[Group]:
    """Messages that an application writes itself."""
    account = "app.services.accounts"
    yield group("no such user", f"{account}:user", ("anna",), ("bob",), ("carol-7",), ("X",))
    yield group("unknown airport", f"{account}:airport", ("JFK",), ("LGA",), ("K12",))
    yield group("unknown carrier", f"{account}:carrier", ("UA",), ("DL",), ("B6",))
    yield group(
        "not allowed to delete",
        f"{account}:allow",
        ("anna@example.com", "delete bookings"),
        ("b.o.b+x@mail.example.org", "delete bookings"),
    )
    yield group(
        "not allowed to read",
        f"{account}:allow",
        ("anna@example.com", "read bookings"),
        ("z@example.net", "read bookings"),
    )
    yield group(
        "session is not there",
        f"{account}:session",
        ("6f1c0c1e-9a0b-4a57-8f43-0a9e1c3b5d7f",),
        ("0b9d7f3e-1111-4222-8333-444455556666",),
        ("6f1c0c1e9a0b4a578f430a9e1c3b5d7f",),
        ("s-12",),
    )
    yield group(
        "node does not answer",
        f"{account}:node",
        ("10.0.0.7:5432", 5),
        ("db-2.internal:5432", 10),
        ("[fe80::1]:5432", 2.5),
        ("localhost:1", 3),
    )
    yield group("baggage is too heavy", f"{account}:limits", ("weight", 32), ("weight", 41.5))
    yield group("baggage is too long", f"{account}:limits", ("length", 160), ("length", 210))
    yield group("booking cannot be moved", f"{account}:transfer", ("UA1", "DL22"), ("AA7", "B61"), ("JFK", "LGA"))
    yield group(
        "columns differ",
        f"{account}:file_problem",
        ("/data/2013/flights.csv", 7),
        ("data/a.csv", 22),
        ("C:\\data\\b.csv", 1),
    )
    yield group("no plane of that name", f"{account}:quoted", ("N1",), ("Spirit of Newark",), ("O'Hare",))
    yield group("gate is closed", f"{account}:double_quoted", ("A1",), ("west wing",))
    yield group(
        "planes without seats are listed", f"{account}:listed", (["N1"],), (["N1", "N2", "N3"],), (["alpha", "beta"],)
    )
    yield group("record cannot be booked", f"{account}:mapping", ({"a": 1},), ({"tail": "N1", "seats": None},), ({},))
    yield group("object is not running", f"{account}:pointer", lambda f: (object(),), lambda f: (object(),))
    yield group(
        "gave up after a while",
        f"{account}:elapsed",
        (0.0, 1.25),
        (timedelta(0), timedelta(minutes=3)),
        (timedelta(0), timedelta(days=2, seconds=3)),
    )
    yield group("schema is older", f"{account}:version", ("4f9c2a1b7d",), ("deadbeefcafe",), ("1234567",))
    yield group(
        "link cannot be read",
        f"{account}:url",
        ("https://example.com/a/b?c=1",),
        ("http://10.0.0.1:8080/x",),
        ("s3://bucket/key/2013.csv",),
    )
    yield group("payment was refused", f"{account}:money", ("12.50", "EUR"), ("1,299.00", "USD"))
    yield group("seats are missing", f"{account}:plural", (1,), (12,))
    yield group(
        "nothing happened at that time",
        f"{account}:at",
        (datetime(2013, 1, 1, 5, 15),),
        (datetime(2013, 12, 31, 23, 59, 59, 123456, tzinfo=UTC),),
        ("05:15",),
        ("Tue, 01 Jan 2013 05:15:00 GMT",),
    )
    yield group("flight is full", f"{account}:template", ("full", "UA1"), ("full", "united"))
    yield group("flight has left", f"{account}:template", ("gone", "UA1"), ("gone", "DL22"))
    yield group("rows without seats are rejected", f"{account}:long_text", ([1],), (range(40),), (range(400, 402),))
    yield group("airline refuses: no seats", f"{account}:reason", ("no seats left",), ("no seats left",))
    yield group("airline refuses: card", f"{account}:reason", ("the card is not valid",), ("the card is not valid",))
    yield group("flight is not in the plan", f"{account}:key", ("UA1",), ("DL 22",))
    yield group("bytes are left", f"{account}:bytes_left", (b"\x00\x01",), (b"abc",))
    yield group("printer is offline", f"{account}:mac", ("00:1b:44:11:3a:b7",), ("aa:bb:cc:dd:ee:ff",))
    text = "app.i18n.meldungen"
    yield group("Flug storniert", f"{text}:storniert", ("LH123", "03.05.2024"), ("OS7", "24.12.2023"))
    yield group("Flug fast voll", f"{text}:voll", ("LH123", 3), ("OS7", 12))
    yield group("Flug voll", f"{text}:voll", ("LH123", 0), ("OS7", 0))
    yield group("Datei fehlt", f"{text}:datei", ("plan.csv",), ("Flüge vom 3. Mai.txt",))
    yield group("Übergabe fehlgeschlagen", f"{text}:übergeben", (1,), (77,))
    yield group("seats are missing, in Japanese", f"{text}:japanese", (123, 4), (77, 12))
    yield group("flight is missing, in Japanese", f"{text}:japanese", (123, 0), (7, 0))
    yield group("airport is missing, in Japanese", f"{text}:japanese_quoted", ("羽田",), ("成田2",))
    yield group("flight is missing, in Arabic", f"{text}:arabic", ("١٢٣",), ("٧",), (45,))
    yield group("flight is cancelled, in Arabic", f"{text}:arabic_cancelled", (12, "2024-05-03"), ("٧٧", "2024-06-04"))
    yield group("plane is missing, in Russian", f"{text}:russian", (123, "Ту-154"), (7, "Ил"))
    yield group("flight is cancelled, in Russian", f"{text}:russian", (123, ""), (7, ""))
    yield group("flight is late, in Chinese", f"{text}:chinese", ("CA123", "05:15"), ("MU7", "23:59"))
    yield group("boarding is closed, in French", f"{text}:french", ("AF12", "B 2"), ("AF7", "sud"))
    yield group("flight is cancelled, in Greek", f"{text}:greek", (12,), (777,))
    yield group("flight is missing, in Hindi", f"{text}:hindi", (12,), ("७७",))
    yield group("objects without a link, in Ukrainian", f"{text}:ukrainian", (2,), (31,))


def fleet() -> Iterator[Group]:
    """A second lot, written after the first had been tuned on: more of the libraries, more ways to write messages."""
    here = "app.services.fleet"
    yield group("plane with a broken engine", f"{here}:ground", ("N1", True), ("N22", True), ("Spirit", True))
    yield group("plane without a crew", f"{here}:ground", ("N1", False), ("N22", False), ("Spirit", False))
    yield group("gliders do not land", f"{here}:land", ("a",), ("b",))
    yield group("seat cannot be changed", f"{here}:relabel", (1,), (22,))
    yield group(
        "slot of an unknown kind", f"{here}:slot", (b'{"kind": "prop", "gate": 1}',), (b'{"kind": "x", "gate": 22}',)
    )
    yield group("gate of a slot is a text", f"{here}:slot", (b'{"kind": "jet", "gate": "A"}',), (b'{"gate": "12"}',))
    yield group("unknown hash", f"{here}:digest", ("sha9",), ("crc",), ("md6",))
    yield group("planes wait for each other", f"{here}:order", ({"a": ["b"], "b": ["a"]},), ({1: [2], 2: [3], 3: [1]},))
    yield group("median of nothing", f"{here}:middle", ([],), ((),))
    yield group("spread of one", f"{here}:spread", ([1],), ([22],))
    yield group("ratio is no fraction", f"{here}:ratio", ("one half",), ("1/x",))
    yield group("ratio with zero", f"{here}:ratio", ("1/0",), ("22/0",))
    yield group("month does not exist", f"{here}:month", (13,), (0,), (99,))
    yield group("port out of range", f"{here}:port", ("http://a:99999",), ("redis://b.example.com:70000/1",))
    yield group("port is not a number", f"{here}:port", ("http://a:x",), ("redis://b.example.com:redis",))
    yield group("path is somewhere else", f"{here}:relative", ("/a/b", "/c"), ("/srv/day 1/x.csv", "/srv/day 2"))
    yield group("quote of a command is not closed", f"{here}:split", ("a 'b",), ('copy "x',))
    yield group("option seats is no number", f"{here}:options", ("--seats", "x"), ("--seats", "many"))
    yield group("option kind is unknown", f"{here}:options", ("--kind", "x"), ("--kind", "glider"))
    yield group("package is not installed", f"{here}:version", ("app-fleet",), ("app-geometry",))
    yield group("resource is missing", f"{here}:resource", ("app", "planes.csv"), ("app", "day1.json"))
    yield group("planes cannot be compared", f"{here}:queue", ([{"a": 1}, {"b": 1}],), ([{}, {}, {}],))
    yield group("no plane to rotate", f"{here}:rotate", ([],), ((),))
    yield group("value does not fit a byte", f"{here}:pack", ([200],), ([1, 2, 1000],))
    yield group("plane is gone", f"{here}:gone", ("a",), ("b",))
    yield group("template without a value for gate", f"{here}:fill", ("Go to $gate",), ("$gate, please, $gate",))
    yield group("template with a lone sign", f"{here}:fill", ("12 $",), ("Pay\n5 $ now",))
    yield group("cookie has an illegal name", f"{here}:cookie", ("a b",), ("day 12",))
    yield group(
        "file to move is missing", f"{here}:move", ("/nowhere/a", "/nowhere/b"), ("/nowhere/day1.csv", "/var/x")
    )
    yield group(
        "file copied onto itself", f"{here}:copy_over", lambda f: (f.folder / "file1",), lambda f: (f.folder / "file2",)
    )
    yield group("file to remove is missing", f"{here}:remove", ("/nowhere/a",), ("/nowhere/day1.csv",))
    yield group("setting is not set", f"{here}:environment", ("APP_SEATS",), ("APP_GATES",))
    yield group("tails are numbers", f"{here}:names", ({"tail": [1]},), ({"tail": [1, 2, 3]},))
    yield group("days are no times", f"{here}:hours", ({"day": ["a"]},), ({"day": ["2013-01-01", "b"]},))
    yield group(
        "grouped by a missing carrier", f"{here}:by_carrier", ({"a": [1]}, "carrier"), ({"b": [1, 2]}, "carrier")
    )
    yield group("grouped by a missing origin", f"{here}:by_carrier", ({"a": [1]}, "origin"), ({"b": [1, 2]}, "origin"))
    yield group(
        "columns to drop are missing", f"{here}:drop", ({"a": [1]}, ["gate", "seat"]), ({"b": [1, 2]}, ["gate", "seat"])
    )
    yield group("indexes overlap", f"{here}:together", ({"a": [1]}, {"a": [1]}), ({"a": [7, 8, 9]}, {"a": [9, 7]}))
    yield group("unknown dtype", f"{here}:kinds", ("plane",), ("seat",))
    yield group("mask of another length", f"{here}:pick", ([1, 2], [True]), ([1, 2, 3], [True, False]))
    yield group("bins do not increase", f"{here}:cut", ([1], [3, 1]), ([1, 2], [9, 4, 7]))
    yield group("text cannot be made a number", f"{here}:to_number", (["x"],), (["1", "seven"],))
    yield group("period cannot be parsed", f"{here}:period", ("soon",), ("next year",))
    yield group("page with an unknown protocol", f"{here}:page", ("fleet://a",), ("planes://b.example.com/1",))
    yield group("page without a protocol", f"{here}:page", ("a",), ("b.example.com/1",))
    yield group(
        "page takes too long",
        f"{here}:slow_page",
        lambda f: (f"http://127.0.0.1:{f.silent}/1", 0.05),
        lambda f: (f"http://127.0.0.1:{f.silent}/2", 0.1),
    )
    yield group(
        "header with a line break", f"{here}:with_header", lambda f: (f.http, "a\nb"), lambda f: (f.http, "N1\r\nN2")
    )
    yield group("URL cannot be used", f"{here}:round_trip", ("http://",), ("http:///x",))
    yield group(
        "script is not loaded", f"{here}:script", lambda f: (f.redis, "0" * 40), lambda f: (f.redis, "ab12" * 10)
    )
    yield group(
        "Redis does not answer",
        f"{here}:push",
        lambda f: (f"redis://127.0.0.1:{f.silent}", 0.05),
        lambda f: (f"redis://localhost:{f.silent}", 0.1),
    )
    yield group("letter is missing", f"{here}:letter", ("delay.txt",), ("refund",))
    yield group("crew is short", f"{here}:crew", ("UA1", 5, 2), ("united", 12, 11))
    yield group("gate is occupied", f"{here}:gate", ("UA1", "A1"), ("DL22", "B7"))
    yield group("plane is too heavy", f"{here}:weight", ("N1", 7000), ("N22", 8123.5))
    yield group("no such crew member", f"{here}:crew_name", ("anna",), ("bob",), ("c3po",))
    yield group("planes cannot be swapped", f"{here}:swap", ("N1", "N2"), ("alpha", "beta"))
    yield group("checks fail", f"{here}:checks", ("N1", 1), ("N22", 7))
    yield group("customs are closed", f"{here}:customs", ("DE",), ("France",))
    yield group("no tug", f"{here}:taxi", ("N1",), ("Spirit",))
    yield group("no passenger", f"{here}:board", ([{}],), ([{"passenger": {"name": "a"}}, {}],))
    yield group(
        "passenger is None",
        f"{here}:board",
        ([{"passenger": None}],),
        ([{"passenger": {"name": "a"}}, {"passenger": None}],),
    )
    yield group(
        "configuration without seats", f"{here}:load_config", ({"plane": "N1"},), ({"plane": "Spirit", "x": 1},)
    )
    yield group(
        "seats of a configuration are no number",
        f"{here}:load_config",
        ({"plane": "N1", "seats": "x"},),
        ({"plane": "Spirit", "seats": "many"},),
    )
    yield group(
        "neither service nor local file",
        f"{here}:fallback",
        lambda f: (f"http://127.0.0.1:{f.closed}/1", "N1"),
        lambda f: (f"http://127.0.0.1:{f.closed}/2", "Spirit"),
    )
    yield group(
        "neither JSON nor local file",
        f"{here}:fallback",
        lambda f: (f"{f.http}/html/1", "N1"),
        lambda f: (f"{f.http}/html/2", "Spirit"),
    )
    yield group("fleet has no gate", f"{here}:walk", ({}, ["gate"]), ({"a": {}}, ["a", "gate"]))
    yield group("fleet ends early", f"{here}:walk", ({"a": None}, ["a", "b"]), ({"x": {"y": None}}, ["x", "y", "z"]))
    yield group(
        "no seats somewhere below",
        f"{here}:descend",
        ({}, []),
        ({"a": {}}, ["a"]),
        ({"a": {"b": {"c": {}}}}, ["a", "b", "c"]),
    )


def groups() -> list[Group]:
    """Return all groups."""
    makers = (lookups, values, clocks, chains, feeds, networks, trees, tables, records, messages, fleet)
    return [one for maker in makers for one in maker()]
