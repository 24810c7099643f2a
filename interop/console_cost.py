"""What the console costs: no test, for figures depend on the machine; see docs/console.md.

    CHASKI_BIN=../target/interop/chaski ../target/interop-venv/bin/python console_cost.py

A broker of its own with 10,000 topics, and a browser without a screen.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

import browser as browsers
from broker import PATIENCE, Broker, eventually
from browser import Console, task_milliseconds

TOPICS = 10_000
PAINTS = 9
WATCHED_S = 15

PAINT = """() => new Promise((resolve) => {
    const told = performance.getEntriesByName('first-contentful-paint')[0];
    if (told) resolve(told.startTime);
    else new PerformanceObserver((list) => {
        const [paint] = list.getEntriesByName('first-contentful-paint');
        if (paint) resolve(paint.startTime);
    }).observe({type: 'paint', buffered: true});
})"""

DONE = "() => Math.max(...performance.getEntriesByType('resource').map((one) => one.responseEnd))"

SCROLL = """async () => {
    const frame = document.querySelector('.frame.tall');
    for (let at = 0; at < frame.scrollHeight; at += 2000) {
        frame.scrollTop = at;
        await new Promise(requestAnimationFrame);
    }
}"""


def fill(broker):
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    for first in range(0, TOPICS, 500):
        new = [NewTopic(f"topic-{at:05}", 1, 1) for at in range(first, first + 500)]
        for made in admin.create_topics(new, request_timeout=PATIENCE).values():
            made.result(PATIENCE)


def paints(browser, broker):
    """Milliseconds from asking for a page to what is seen of it, each time with nothing cached:
    of one that says ok, of the console, and to the last of its files."""
    bare, first, files = [], [], []
    for _ in range(PAINTS):
        console = Console(browser, broker)
        console.page.goto("/healthz")
        bare.append(console.page.evaluate(PAINT))
        console.close()
        console = Console(browser, broker)
        page = console.open("/", "main:not(.loading) .figures")
        first.append(page.evaluate(PAINT))
        files.append(page.evaluate(DONE))
        console.close()
    return bare, first, files


def busy_seconds(broker):
    """Processor time of the broker so far."""
    fields = Path(f"/proc/{broker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(broker, seconds):
    """Of one core, what the broker takes."""
    begun, busy = time.monotonic(), busy_seconds(broker)
    time.sleep(seconds)
    return (busy_seconds(broker) - busy) / (time.monotonic() - begun)


def watched(browser, broker):
    console = Console(browser, broker)
    console.open("/", "#live[data-state=open]")
    beside = console.context.new_page()
    beside.goto("/topics")
    beside.wait_for_selector("table.virtual a")
    beside.wait_for_timeout(3000)
    cost = share(broker, WATCHED_S)
    console.close()
    return cost


def scrolled(browser, broker):
    console = Console(browser, broker)
    page = console.open("/topics", "table.virtual a")
    page.evaluate(SCROLL)
    longest = [task_milliseconds(page, lambda: page.evaluate(SCROLL))[0] for _ in range(3)]
    console.close()
    return longest


def main():
    with tempfile.TemporaryDirectory() as home, browsers.running() as browser:
        broker = Broker(Path(home)).start()
        try:
            bare, first, files = (statistics.median(each) for each in paints(browser, broker))
            print(f"first paint, nothing cached, median of {PAINTS}: {first:.0f} ms, of a page "
                  f"that says ok {bare:.0f} ms; all files after {files:.0f} ms")
            fill(broker)
            eventually(lambda: '"total":10000' in broker.http_get("/api/topics?limit=1")[1],
                       "all topics are there")
            idle = share(broker, WATCHED_S)
            seen = watched(browser, broker)
            print(f"{TOPICS} topics, a core: {idle:.2%} with nobody watching, {seen:.2%} with "
                  "overview and topics open")
            longest = scrolled(browser, broker)
            print(f"scrolling them: longest tasks {', '.join(f'{ms:.0f}' for ms in longest)} ms "
                  "of processor")
        finally:
            broker.close()


if __name__ == "__main__":
    main()
