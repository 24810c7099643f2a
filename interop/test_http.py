"""Health and metrics over HTTP."""

import re

from clients import BEGINNING, CONFLUENT, Message

# A line of the text format: name, labels, value; no timestamp, since we never write one.
LABELS = r'\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\}'
SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)({LABELS})? (\S+)")


def scrape(broker):
    """All samples as {name and labels: value}, after checking the form of every line."""
    status, text = broker.http_get("/metrics")
    assert status == 200
    assert text.endswith("\n")
    samples, types, helps = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge", "histogram", "summary", "untyped")
            assert name not in types, f"{name} is declared twice"
            types[name] = kind
        elif line.startswith("# HELP "):
            helps.add(line.split(" ")[2])
        elif line:
            match = SAMPLE.fullmatch(line)
            assert match, f"not a sample: {line!r}"
            name, labels, value = match.groups()
            assert name + (labels or "") not in samples, f"sampled twice: {line!r}"
            samples[name + (labels or "")] = float(value)
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in types or family in types, f"{name} has no type"
    assert set(types) == helps
    assert all(name.endswith("_total") for name, kind in types.items() if kind == "counter")
    return samples


def test_metrics_count_what_happened(make_broker, name):
    broker = make_broker()
    before = scrape(broker)
    assert before["chaski_produce_records_total"] == 0
    CONFLUENT.produce(broker, name, [Message(b"x" * 100) for _ in range(250)])
    with CONFLUENT.reader(broker) as reader:
        reader.start(name, BEGINNING).read(250)
    after = scrape(broker)
    assert after["chaski_produce_records_total"] == 250
    assert after["chaski_produce_bytes_total"] > 250 * 100
    assert after["chaski_fetch_bytes_total"] > 250 * 100
    assert after["chaski_topics"] == 1
    assert after[f'chaski_partition_high_watermark{{topic="{name}",partition="0"}}'] == 250
    assert after['chaski_requests_total{api="Produce"}'] >= 1
    assert after['chaski_requests_total{api="Fetch"}'] >= 1


def test_counters_never_fall(broker, name):
    before = scrape(broker)
    CONFLUENT.produce(broker, name, [Message(b"x")])
    after = scrape(broker)
    falling = [k for k, v in before.items() if "_total" in k and after.get(k, 0) < v]
    assert not falling


def test_health(broker):
    assert broker.http_get("/healthz")[0] == 200
    assert broker.http_get("/readyz")[0] == 200
    assert broker.http_get("/no-such-page")[0] == 404
