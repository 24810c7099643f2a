"""The console in a real browser: every page opened and read, records produced and seen, offsets
set anew, what is hostile kept as text, and who sees or hears little able to use it."""

import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import zmq
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import TimeoutError, expect

import browser as browsers
from broker import PATIENCE, Broker, binary, eventually
from browser import NARROW, WIDE, Console
from clients import BEGINNING, CONFLUENT, Message, Record

expect.set_options(timeout=PATIENCE * 1000)

# Where screenshots are kept, if somewhere.
SHOTS = os.environ.get("CHASKI_SCREENSHOTS")

NASTY = [
    b"<script>alert(1)</script><img src=x onerror=alert(2)>",
    b"\xff\xfe\x00\xc3\x28",
    "invoice\u202egnp.exe \u2066\u200b".encode(),
    b"\x1b[31mred\x07\x00\r\n\ttail",
    b'{"id": 12345678901234567890, "html": "<b>bold</b>", "nested": {"ok": true}}',
    b"\x82\xa7compact\xc3\xa6schema\x00",
    b"",
    None,
]

PAGES = [
    ("overview", "/", "main:not(.loading) .figures"),
    ("topics", "/topics", "table.virtual a"),
    ("topic", "/topics/orders", "td.value"),
    ("messages", "/topics/nasty/messages", "tr.record"),
    ("groups", "/groups", "table.virtual a"),
    ("group", "/groups/billing", "main:not(.loading) td.num"),
    ("gateways", "/gateways", ".cards .note, .card h2"),
    ("sockets", "/sockets", ".cards .note, .card h2"),
    ("rings", "/rings", ".cards .note, .card h2"),
    ("shards", "/shards", ".meter"),
    ("config", "/config", "td.value"),
]


@pytest.fixture(scope="session")
def browser():
    with browsers.running() as browser:
        yield browser


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A broker with topics, records of all kinds, and a group that has committed."""
    broker = Broker(tmp_path_factory.mktemp("console")).start()
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    topics = [NewTopic("orders", 3, 1), NewTopic("nasty", 1, 1), NewTopic("events", 6, 1)]
    for made in admin.create_topics(topics).values():
        made.result(PATIENCE)
    orders = [
        Message(json.dumps({"order": i, "sku": f"A-{i % 7}"}).encode(), key=f"c-{i % 5}".encode(),
                partition=i % 3)
        for i in range(300)
    ]
    CONFLUENT.produce(broker, "orders", orders)
    CONFLUENT.produce(broker, "nasty", [Message(value, key=value) for value in NASTY])
    commit(broker, "billing", "orders", 40)
    yield broker
    try:
        broker.stop()
    finally:
        broker.close()


def commit(broker, group, topic, offset):
    """Commits an offset for partition 0 as the only member of a group, and leaves."""
    with CONFLUENT.member(broker, group, [topic]) as member:
        eventually(lambda: member.poll(0.2) or member.assignment(), "the member has a share")
        member.commit(topic, offset)


def committed(broker, group, topic):
    """What the API says the group has committed, by partition."""
    offsets = json.loads(broker.http_get(f"/api/groups/{group}")[1])["offsets"]
    return {one["partition"]: one["committed"] for one in offsets if one["topic"] == topic}


@pytest.fixture
def console(browser, filled):
    """The console of the filled broker, in a window of its own."""
    console = Console(browser, filled)
    yield console
    console.close()
    filled.assert_no_panic()


@pytest.fixture
def open_console(browser):
    """Opens consoles of other brokers, or other windows: `open_console(broker, **context)`."""
    opened = []

    def open_one(broker, **context):
        opened.append(Console(browser, broker, **context))
        return opened[-1]

    yield open_one
    for console in opened:
        console.close()


def keep(page, name):
    if SHOTS:
        page.wait_for_timeout(1000)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name, path, ready", PAGES, ids=[name for name, _, _ in PAGES])
def test_every_page_is_for_everybody(open_console, filled, name, path, ready, width, scheme):
    console = open_console(filled, viewport=width, color_scheme=scheme)
    page = console.open(path, ready)
    assert page.locator("h1").count() == 1
    assert page.locator("#nav a[aria-current=page]").count() == 1
    assert page.title().endswith("Chaski")
    beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert beyond <= 0, f"{beyond} pixels wider than the window"
    assert console.violations() == []
    page.wait_for_selector("#live[data-state=open]")
    keep(page, f"{name}-{scheme}" + ("-narrow" if width is NARROW else ""))


def test_the_bytes_of_records_are_never_markup(console):
    page = console.open("/topics/nasty/messages?from=earliest", "tr.record")
    expect(page.locator("tr.record")).to_have_count(len(NASTY))
    for at in range(len(NASTY)):
        page.locator(".expand").nth(at).click()
    expect(page.locator("tr.detail")).to_have_count(len(NASTY))
    assert page.locator("main :is(script, img, b, iframe)").count() == 0
    text = page.inner_text("main")
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in text
    assert "12345678901234567890" in text
    assert "fffe00c328" in text.replace(" ", "")
    assert "\u202e" not in text
    assert {"\\u202e", "\\u2066", "\\u200b"} <= escapes(page)
    page.select_option("select[name=decode]", "text")
    page.click("button:has-text('Read')")
    page.locator(".esc", has_text="u0007").first.wait_for()
    assert {"\\e", "\\u0007", "\\0", "\\r", "\\n", "\\t"} <= escapes(page)


def escapes(page):
    return set(page.locator(".esc").all_inner_texts())


def test_nothing_but_its_own_files_may_run(console):
    page = console.open("/", "h1")
    refused = page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener('securitypolicyviolation', (event) => {
                resolve(event.violatedDirective);
            });
            const image = document.createElement('img');
            image.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw=';
            document.body.append(image);
        })"""
    )
    assert refused.startswith("img-src")
    thrown = page.evaluate(
        """() => {
            try {
                document.body.innerHTML = '<b>x</b>';
            } catch (error) {
                return error.name;
            }
            return 'nothing';
        }"""
    )
    assert thrown == "TypeError"
    console.errors.clear()


def test_the_first_picture_waits_for_no_file(console):
    page = console.page
    page.add_init_script("localStorage.setItem('chaski.theme', 'dark')")
    page.route("**/assets/**", lambda route: route.abort())
    page.goto("/", wait_until="domcontentloaded")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    side = page.evaluate("getComputedStyle(document.querySelector('.side')).position")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (side, dark) == ("sticky", "rgb(19, 21, 20)"), "style and theme stand in the page"
    # That the modules were not to be had is what the browser complains of, until the page is gone.
    page.close()
    console.errors.clear()


def test_a_record_is_produced_and_seen_live(console, filled):
    page = console.open("/topics/events/messages", "tr.record, .note")
    page.click("button:has-text('Live')")
    page.wait_for_selector("[aria-pressed=true]")
    # Until then it is connecting, and what is produced may be from before it began.
    expect(page.locator(".account")).to_have_text(re.compile("^0 shown"))
    page.keyboard.press("n")
    page.fill("dialog [name=key]", "k1")
    page.fill("dialog [name=value]", "<i>hello</i>")
    page.fill("dialog [name=headers]", "trace: 7")
    page.fill("dialog [name=partition]", "4")
    page.click("dialog button.primary")
    page.wait_for_selector(".sent >> text=Stored in partition 4 at offset 0.")
    page.keyboard.press("Escape")
    page.wait_for_selector("tr.record td.value >> text=<i>hello</i>")
    page.wait_for_selector(".account >> text=1 shown")
    with CONFLUENT.reader(filled) as reader:
        record = reader.start("events", BEGINNING, [4]).read(1)[0]
    assert isinstance(record, Record)
    assert (record.key, record.value) == (b"k1", b"<i>hello</i>")
    keep(page, "live")


def test_records_are_sought_and_the_address_says_how(console):
    page = console.open("/topics/orders/messages?from=earliest&partition=1", "tr.record")
    page.fill("[name=key]", "c-2")
    page.fill("[name=filter]", '"A-3"')
    page.click("button:has-text('Read')")
    wanted = [i for i in range(1, 300, 3) if i % 5 == 2 and i % 7 == 3]
    expect(page.locator("tr.record")).to_have_count(len(wanted))
    assert set(page.locator("tr.record td.keyed").all_inner_texts()) == {"c-2"}
    address = page.url
    page.reload()
    page.wait_for_selector("tr.record")
    assert page.url == address
    assert page.input_value("[name=key]") == "c-2"
    assert page.input_value("[name=partition]") == "1"
    page.goto("/topics/orders/messages?from=97&partition=0")
    page.wait_for_selector("tr.record")
    assert page.locator("tr.record .off").all_inner_texts()[0] == "97"


def test_the_newest_come_first_and_older_ones_on_request(console):
    page = console.open("/topics/orders/messages?limit=50", "tr.record")
    for count in (50, 100, 150):
        expect(page.locator("tr.record")).to_have_count(count)
        page.click("button:has-text('Older')")
    places = page.evaluate(
        "[...document.querySelectorAll('tr.record')].map((row) => row.innerText.split('\\t')[2]"
        " + ':' + row.innerText.split('\\t')[3])"
    )
    assert len(places) == len(set(places))


def test_a_topic_lives_and_dies(console, filled):
    page = console.open("/topics", "table.virtual a")
    page.keyboard.press("n")
    page.fill("dialog [name=name]", "short lived")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog .note.error")
    page.fill("dialog [name=name]", "short-lived")
    page.fill("dialog [name=partitions]", "2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/topics/short-lived")
    page.click("[aria-label='Edit retention.ms']")
    page.fill("dialog [name=value]", "60000")
    page.keyboard.press("Enter")
    page.wait_for_selector("code.changed >> text=60000")
    page.click("button:has-text('Add partitions')")
    page.fill("dialog [name=partitions]", "5")
    page.keyboard.press("Enter")
    page.wait_for_selector(".about >> text=5 partitions")
    page.click("button:has-text('Delete')")
    page.fill("dialog [name=name]", "short")
    page.keyboard.press("Enter")
    assert page.locator("dialog").count() == 1, "a part of the name is not the name"
    page.fill("dialog [name=name]", "short-lived")
    page.keyboard.press("Enter")
    page.wait_for_url("**/topics")
    assert filled.http_get("/api/topics/short-lived")[0] == 404


def test_offsets_are_set_only_after_they_were_shown(console, filled):
    page = console.open("/groups/billing", "main:not(.loading) td.num")
    before = committed(filled, "billing", "orders")
    assert before[0] == 40
    page.click("button:has-text('Reset offsets')")
    page.select_option("dialog [name=to]", "by")
    page.fill("dialog [name=number]", "-15")
    page.fill("dialog [name=partitions]", "0")
    page.click("text=Show what would change")
    page.wait_for_selector(".preview >> text=reads 15 again")
    assert committed(filled, "billing", "orders") == before
    keep(page, "reset")
    page.click("dialog button:has-text('Apply')")
    page.wait_for_selector("dialog", state="detached")
    assert committed(filled, "billing", "orders")[0] == 25
    page.wait_for_selector("tbody td >> text=25")
    commit(filled, "billing", "orders", 40)


def test_unknown_is_told_from_zero(console, filled):
    commit(filled, "abreast", "nasty", len(NASTY))
    page = console.open("/groups/abreast", "main:not(.loading) td.num")
    lag = page.locator("table >> nth=0").locator("tbody tr td:nth-child(5)").first
    expect(lag).to_have_text("0")
    with CONFLUENT.member(filled, "watcher", ["nasty"]) as member:
        eventually(lambda: member.poll(0.2) or member.assignment(), "the member has a share")
        page.goto("/groups/watcher")
        expect(lag).to_have_text("unknown")
        page.goto("/groups?search=watcher")
        row = page.locator("tbody tr", has_text="watcher").locator("td").first
        expect(row).to_have_text("unknown")
        CONFLUENT.produce(filled, "pending", [Message(b"x")])
        with CONFLUENT.member(filled, "follower", ["pending"]) as follower:
            eventually(lambda: follower.poll(0.2) or follower.assignment(), "it has a share")
            page.goto("/topics?search=pending")
            lag = page.locator("tbody tr", has_text="pending").locator("td").first
            expect(lag).to_have_text("unknown")
    page.goto("/topics?search=events")
    lag = page.locator("tbody tr", has_text="events").locator("td").first
    expect(lag).to_have_text("\u2013")


def test_rings_tell_who_is_there_and_who_is_stopped(make_broker, open_console, tmp_path):
    sockets = tmp_path / "sockets"
    sockets.mkdir(mode=0o700)
    page = open_console(make_broker("--set", f"shm.directory={sockets}")).open("/rings", ".note")
    environment = os.environ | {"CHASKI_SHM_DIR": str(sockets)}
    with running("recv", "shm://lines", env=environment) as taker:
        sent = {"env": environment, "stdin": subprocess.PIPE}
        with running("send", "shm://lines", **sent) as sender:
            sender.stdin.write(b"one\ntwo\n")
            sender.stdin.flush()
            row = page.locator("article", has_text="lines").locator("tbody tr")
            expect(row).to_contain_text(str(sender.pid))
            expect(row.locator("td").nth(5)).to_have_text("2")
            keep(page, "rings-at-work")
            taker.send_signal(signal.SIGSTOP)
            silent = page.locator("article .badge", has_text="does not answer")
            expect(silent).to_be_visible()
    page.wait_for_selector("article", state="detached")


def test_rings_tell_who_reads_the_logs_own_pages(console):
    def read_by_two(route):
        answer = route.fetch()
        reader = {"pid": 4711, "program": "reader", "topic": "orders", "partition": 2,
                  "offset": 60, "records": 50}
        readers = [reader | {"id": 1, "lag": 40}, reader | {"id": 2, "lag": None}]
        route.fulfill(json=answer.json() | {"readers_total": 2, "readers": readers})

    page = console.open("/rings", ".cards .note, .card h2")
    assert not page.locator("h2", has_text="Readers").is_visible(), "there is none"
    page.route("**/api/rings", read_by_two)
    rows = page.locator("section tbody tr", has_text="reader (4711)")
    expect(rows).to_have_count(2)
    assert [row.locator("td").last.inner_text() for row in rows.all()] == ["40", "unknown"]
    keep(page, "rings-read")
    page.unroute_all(behavior="wait")


@contextmanager
def running(*args, **given):
    """A `chaski` that runs until then, and no longer."""
    process = subprocess.Popen([binary(), *args], stdout=subprocess.DEVNULL, **given)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_gateway_is_added_and_removed(console, filled):
    page = console.open("/gateways", ".cards .note, .card h2")
    page.keyboard.press("n")
    page.fill("dialog [name=name]", "intake")
    page.fill("dialog [name=topic]", "orders")
    page.fill("dialog [name=bind]", "tcp://127.0.0.1:*")
    page.click("dialog button.primary")
    page.wait_for_selector("article h2 >> text=intake")
    expect(page.locator("article .endpoint")).to_have_text(re.compile(r":\d+$"))
    endpoint = page.locator("article .endpoint").inner_text()
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.linger = 0
        push.connect(endpoint)
        push.send(b"from a socket")
        expect(page.locator("article .facts dd").first).to_have_text("1")
        page.wait_for_selector("article tbody td.num")
        keep(page, "gateway")
    page.click("[aria-label='Remove intake']")
    page.fill("dialog [name=name]", "intake")
    page.keyboard.press("Enter")
    page.wait_for_selector("article", state="detached")


def many_topics(route):
    """Answers for a broker of 10,000 topics."""
    query = dict(part.split("=") for part in route.request.url.split("?")[1].split("&"))
    first, rows = int(query.get("offset", 0)), int(query["limit"])
    topics = [
        {"name": f"region-{at % 7}.topic-{at:05}", "partitions": 6, "records": at * 1000,
         "bytes": at * 118_000, "in_records_s": at % 100, "groups": at % 2,
         "lag": None if at % 3 else at, "cleanup_policy": "delete", "problems": []}
        for at in range(first, min(first + rows, 10_000))
    ]
    route.fulfill(json={"total": 10_000, "topics": topics})


def test_of_ten_thousand_topics_only_those_in_sight_are_drawn(console):
    console.page.route("**/api/topics?*", many_topics)
    page = console.open("/topics", "table.virtual a")
    page.wait_for_selector(".about >> text=10,000 topics")
    scroll = """async () => {
        const frame = document.querySelector('.frame.tall');
        for (let at = 0; at < frame.scrollHeight; at += 2000) {
            frame.scrollTop = at;
            await new Promise(requestAnimationFrame);
        }
        return document.querySelectorAll('tbody tr').length;
    }"""
    # What it costs, `console_cost.py` tells.
    assert page.evaluate(scroll) < 100, "only what is in sight is in the document"
    page.wait_for_selector("text=topic-09999")


def test_all_is_reached_by_keys(console):
    page = console.open("/", "main:not(.loading) .figures")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    # In one go: the second key has to follow soon.
    page.keyboard.type("gt")
    page.wait_for_url("**/topics")
    page.wait_for_selector("table.virtual a")
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/topics/nasty")
    page.go_back()
    page.wait_for_url("**/topics")
    page.wait_for_selector("table.virtual a")
    page.keyboard.press("/")
    page.keyboard.type("ord")
    page.wait_for_selector(".about >> text=1 topic")
    page.locator("h1").focus()
    page.keyboard.press("?")
    page.wait_for_selector("dialog kbd")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_lost_broker_is_told_and_comes_back(make_broker, open_console):
    broker = make_broker()
    console = open_console(broker)
    console.page.clock.install()
    page = console.open("/", "#live[data-state=open]")
    broker.kill()
    page.wait_for_selector("#lost:not([hidden])")
    # From now on it does not try again by itself.
    page.clock.pause_at(page.evaluate("Date.now() + 60_000"))
    expect(page.locator("#live")).to_have_text("no answer")
    broker.start()
    page.click("#lost button")
    page.wait_for_selector("#live[data-state=open]")
    expect(page.locator("#lost")).to_be_hidden()


def test_who_may_only_read_changes_nothing(make_broker, open_console):
    tokens = ["--set", "http.token=an-admin-of-this-broker"]
    tokens += ["--set", "http.read.token=looks-only-here"]
    broker = make_broker(*tokens)
    console = open_console(broker)
    page = console.open("/topics", "form.login")
    assert console.violations() == []
    page.fill("[name=token]", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector(".note.error")
    page.fill("[name=token]", "looks-only-here")
    page.keyboard.press("Enter")
    page.wait_for_selector(".note >> text=There is no topic yet.")
    expect(page.locator("#role")).to_have_text("read-only")
    page.click("button:has-text('Create topic')")
    assert page.locator("dialog").count() == 0
    status = page.evaluate(
        """() => fetch('/api/topics', {method: 'POST', body: '{"name": "x"}',
            headers: {'content-type': 'application/json', 'x-chaski': '1'},
        }).then((answer) => answer.status)"""
    )
    assert status == 403
    page.click("#logout")
    page.wait_for_selector("form.login")
    page.fill("[name=token]", "an-admin-of-this-broker")
    page.keyboard.press("Enter")
    page.wait_for_selector(".figures")
    expect(page.locator("#role")).to_be_hidden()
    assert page.evaluate("document.cookie") == "", "scripts cannot read the token"


def test_a_command_that_was_copied_does_what_the_page_did(console, filled):
    console.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = console.open("/topics/orders/messages?partition=2&from=7&limit=50", "tr.record")
    offsets = [record["offset"] for record in run_lines(copied(page, ".actions"))]
    assert offsets == list(range(7, 57))
    page.keyboard.press("n")
    page.fill("dialog [name=key]", "it's $HOME")
    page.fill("dialog [name=value]", "a\nb")
    page.fill("dialog [name=headers]", "a: 1\nb: two")
    page.fill("dialog [name=partition]", "0")
    command = copied(page, "dialog")
    with CONFLUENT.reader(filled) as reader:
        end = reader.bounds("orders")[1]
        run_lines(command)
        record = reader.start("orders", end).read(1)[0]
    assert (record.key, record.value) == (b"it's $HOME", b"a\nb")
    assert record.headers == (("a", b"1"), ("b", b"two"))


def copied(page, place):
    """What the button at this place copies. It says so for two seconds only."""

    def said():
        page.click(f"{place} .copy")
        with suppress(TimeoutError):
            return page.wait_for_selector(f"{place} >> text=Copied", timeout=2000)

    eventually(said, "it was copied")
    return page.evaluate("navigator.clipboard.readText()")


def run_lines(command):
    """Runs what was copied as a shell does, and returns the JSON it prints."""
    words = command.replace("chaski ", f"{binary()} ")
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
