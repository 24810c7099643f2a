//! What the dashboard shows: one entry a panel. A test holds every name here against what a broker
//! counts, and every metric of a broker against what is here.

/// A row of the dashboard.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
}

/// A chart.
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// What a reader is to make of it.
    pub(super) about: &'static str,
    /// Grafana's name for it.
    pub(super) unit: &'static str,
    pub(super) lines: &'static [Line],
}

/// One query. `@` stands for the labels that choose the brokers, `#` for those and the topics.
pub(super) struct Line {
    pub(super) query: &'static str,
    pub(super) legend: &'static str,
}

const fn line(query: &'static str, legend: &'static str) -> Line {
    Line { query, legend }
}

/// A metric that no panel shows, and why.
pub(super) const LEFT_OUT: &[(&str, &str)] =
    &[("chaski_build_info", "a version is no line in a chart")];

pub(super) const ROWS: &[Row] = &[
    Row { title: "Messages", panels: MESSAGES },
    Row { title: "Latency and requests", panels: REQUESTS },
    Row { title: "Topics", panels: TOPICS },
    Row { title: "Groups", panels: GROUPS },
    Row { title: "Gateways", panels: GATEWAYS },
    Row { title: "Shards", panels: SHARDS },
    Row { title: "Shared memory", panels: LOCAL },
];

const MESSAGES: &[Panel] = &[
    Panel {
        title: "Records in",
        about: "What producers sent; inside: gateways and the broker's own process; local: \
                through shared memory.",
        unit: "cps",
        lines: &[
            line("sum(rate(chaski_produce_records_total@[$__rate_interval]))", "clients"),
            line("sum(rate(chaski_inside_produce_records_total@[$__rate_interval]))", "inside"),
            line("sum(rate(chaski_local_produce_records_total@[$__rate_interval]))", "local"),
        ],
    },
    Panel {
        title: "Bytes in",
        about: "Record batches as they came, compressed if they were.",
        unit: "Bps",
        lines: &[
            line("sum(rate(chaski_produce_bytes_total@[$__rate_interval]))", "clients"),
            line("sum(rate(chaski_inside_produce_bytes_total@[$__rate_interval]))", "inside"),
            line("sum(rate(chaski_local_produce_bytes_total@[$__rate_interval]))", "local"),
        ],
    },
    Panel {
        title: "Bytes out",
        about: "Record batches to consumers.",
        unit: "Bps",
        lines: &[
            line("sum(rate(chaski_fetch_bytes_total@[$__rate_interval]))", "clients"),
            line("sum(rate(chaski_inside_read_bytes_total@[$__rate_interval]))", "inside"),
        ],
    },
    Panel {
        title: "Batches in",
        about: "Few records in a batch cost more; linger.ms of the producer makes it more.",
        unit: "cps",
        lines: &[
            line("sum(rate(chaski_produce_batches_total@[$__rate_interval]))", "clients"),
            line("sum(rate(chaski_inside_produce_batches_total@[$__rate_interval]))", "inside"),
            line("sum(rate(chaski_local_produce_batches_total@[$__rate_interval]))", "local"),
        ],
    },
    Panel {
        title: "Refused",
        about: "Batches refused or failed, and connections that made no sense. Zero is usual.",
        unit: "cps",
        lines: &[
            line("sum(rate(chaski_produce_errors_total@[$__rate_interval]))", "batches"),
            line(
                "sum(rate(chaski_inside_produce_errors_total@[$__rate_interval]))",
                "batches from inside",
            ),
            line(
                "sum(rate(chaski_local_produce_errors_total@[$__rate_interval]))",
                "batches through shared memory",
            ),
            line("sum(rate(chaski_malformed_requests_total@[$__rate_interval]))", "connections"),
        ],
    },
];

const REQUESTS: &[Panel] = &[
    Panel {
        title: "Latency, p50",
        about: "Time the broker takes, by path; waiting for records is not counted.",
        unit: "s",
        lines: &[line(
            "histogram_quantile(0.5, \
             sum by (le, path) (rate(chaski_latency_seconds_bucket@[$__rate_interval])))",
            "{{path}}",
        )],
    },
    Panel {
        title: "Latency, p99",
        about: "One in a hundred takes longer.",
        unit: "s",
        lines: &[line(
            "histogram_quantile(0.99, \
             sum by (le, path) (rate(chaski_latency_seconds_bucket@[$__rate_interval])))",
            "{{path}}",
        )],
    },
    Panel {
        title: "Latency, p99.9",
        about: "One in a thousand takes longer. With acks=all it is the disk that one sees here.",
        unit: "s",
        lines: &[line(
            "histogram_quantile(0.999, \
             sum by (le, path) (rate(chaski_latency_seconds_bucket@[$__rate_interval])))",
            "{{path}}",
        )],
    },
    Panel {
        title: "Requests",
        about: "By Kafka API.",
        unit: "reqps",
        lines: &[line("sum by (api) (rate(chaski_requests_total@[$__rate_interval]))", "{{api}}")],
    },
];

const TOPICS: &[Panel] = &[
    Panel {
        title: "Records in, by topic",
        about: "By how far the end of the log moves.",
        unit: "cps",
        lines: &[line(
            "sum by (topic) (rate(chaski_partition_log_end_offset#[$__rate_interval]))",
            "{{topic}}",
        )],
    },
    Panel {
        title: "Bytes kept, by topic",
        about: "Retention keeps it level.",
        unit: "bytes",
        lines: &[line("sum by (topic) (chaski_partition_bytes#)", "{{topic}}")],
    },
    Panel {
        title: "Records kept, by topic",
        about: "From the oldest offset to the high watermark; of a compacted topic less are there.",
        unit: "short",
        lines: &[line(
            "sum by (topic) \
             (chaski_partition_high_watermark# - chaski_partition_log_start_offset#)",
            "{{topic}}",
        )],
    },
    Panel {
        title: "Not yet on disk",
        about: "What the machine, not the process, would lose if it lost power now.",
        unit: "bytes",
        lines: &[line("sum by (topic) (chaski_partition_unflushed_bytes#)", "{{topic}}")],
    },
    Panel {
        title: "Damaged or closed",
        about: "Anything but zero wants a person: `chaski inspect segment` shows the damage.",
        unit: "short",
        lines: &[
            line("sum by (topic) (chaski_partition_damaged#) > 0", "{{topic}}: damaged"),
            line("sum by (topic) (chaski_partition_failed#) > 0", "{{topic}}: closed"),
        ],
    },
    Panel {
        title: "Topics, partitions and segments",
        about: "Each segment is an open file, or two.",
        unit: "short",
        lines: &[
            line("sum(chaski_topics@)", "topics"),
            line("sum(chaski_partitions@)", "partitions"),
            line("sum(chaski_partition_segments#)", "segments"),
        ],
    },
];

const GROUPS: &[Panel] = &[
    Panel {
        title: "Groups",
        about: "By state. PreparingRebalance for long: a member does not come back.",
        unit: "short",
        lines: &[line("sum by (state) (chaski_groups@)", "{{state}}")],
    },
    Panel {
        title: "Members and offsets",
        about: "Members of all groups, and partitions with an offset that a group committed.",
        unit: "short",
        lines: &[
            line("sum(chaski_group_members@)", "members"),
            line("sum(chaski_group_offsets@)", "offsets"),
        ],
    },
];

const GATEWAYS: &[Panel] = &[
    Panel {
        title: "Messages through gateways",
        about: "Stored, or handed to the socket.",
        unit: "cps",
        lines: &[line(
            "sum by (gateway) (rate(chaski_gateway_messages_total@[$__rate_interval]))",
            "{{gateway}}",
        )],
    },
    Panel {
        title: "Bytes through gateways",
        about: "Of their frames.",
        unit: "Bps",
        lines: &[line(
            "sum by (gateway) (rate(chaski_gateway_bytes_total@[$__rate_interval]))",
            "{{gateway}}",
        )],
    },
    Panel {
        title: "Lag of gateways",
        about: "Messages not stored yet, or records not sent yet.",
        unit: "short",
        lines: &[line("sum by (gateway) (chaski_gateway_lag@)", "{{gateway}}")],
    },
    Panel {
        title: "Lost or strange",
        about: "Drops did not get where they should; malformed ones were no message. \
                `chaski gateway describe` has the last error.",
        unit: "cps",
        lines: &[
            line(
                "sum by (gateway) (rate(chaski_gateway_drops_total@[$__rate_interval]))",
                "{{gateway}}: dropped",
            ),
            line(
                "sum by (gateway) (rate(chaski_gateway_malformed_total@[$__rate_interval]))",
                "{{gateway}}: malformed",
            ),
            line(
                "sum by (gateway) (rate(chaski_gateway_unanswered_total@[$__rate_interval]))",
                "{{gateway}}: answer not taken",
            ),
        ],
    },
    Panel {
        title: "Trouble",
        about: "Failures, made up for or not; messages sent again; gateways that do not work.",
        unit: "short",
        lines: &[
            line(
                "sum by (gateway) (increase(chaski_gateway_errors_total@[$__rate_interval]))",
                "{{gateway}}: failures",
            ),
            line(
                "sum by (gateway) (increase(chaski_gateway_resent_total@[$__rate_interval]))",
                "{{gateway}}: sent again",
            ),
            line("1 - min by (gateway) (chaski_gateway_up@)", "{{gateway}}: down"),
        ],
    },
    Panel {
        title: "Peers",
        about: "That messages can flow to or from.",
        unit: "short",
        lines: &[line("sum by (gateway) (chaski_gateway_peers@)", "{{gateway}}")],
    },
];

const SHARDS: &[Panel] = &[
    Panel {
        title: "Busy",
        about: "Share of its time that a shard's event loop is not asleep.",
        unit: "percentunit",
        lines: &[line(
            "rate(chaski_shard_busy_seconds_total@[$__rate_interval])",
            "{{instance}}/{{shard}}",
        )],
    },
    Panel {
        title: "Connections",
        about: "Now, and how many come in a second.",
        unit: "short",
        lines: &[
            line("sum(chaski_shard_connections@)", "open"),
            line("sum(chaski_local_producers@)", "producers through shared memory"),
            line("sum(chaski_local_consumers@)", "consumers in shared memory"),
            line("sum(rate(chaski_shard_accepted_total@[$__rate_interval]))", "new in a second"),
        ],
    },
    Panel {
        title: "Bytes on the wire",
        about: "All that shards read and write, requests and answers included.",
        unit: "Bps",
        lines: &[
            line("sum(rate(chaski_shard_received_bytes_total@[$__rate_interval]))", "read"),
            line("sum(rate(chaski_shard_sent_bytes_total@[$__rate_interval]))", "written"),
        ],
    },
    Panel {
        title: "Turns",
        about: "Of a shard's event loop. Many with little traffic: it wakes for single requests.",
        unit: "cps",
        lines: &[line(
            "rate(chaski_shard_turns_total@[$__rate_interval])",
            "{{instance}}/{{shard}}",
        )],
    },
];

const LOCAL: &[Panel] = &[
    Panel {
        title: "Records read",
        about: "By consumers of this machine, from the log's own pages. They say so when they \
                sleep, go on to another segment, or commit: a steady reader comes in steps.",
        unit: "cps",
        lines: &[line("sum(rate(chaski_local_read_records_total@[$__rate_interval]))", "records")],
    },
    Panel {
        title: "Lag",
        about: "Records that the slowest consumer of a partition has not read, or less: the \
                farthest behind.",
        unit: "short",
        lines: &[
            line(
                "topk(10, max by (topic, partition) (chaski_local_lag@))",
                "{{topic}}/{{partition}}",
            ),
            line("sum(chaski_local_readers@)", "partitions read"),
        ],
    },
    Panel {
        title: "Sleeps",
        about: "Each costs two packets: a consumer that had read all there was, and was woken.",
        unit: "cps",
        lines: &[
            line("sum(rate(chaski_local_sleeps_total@[$__rate_interval]))", "sleeps"),
            line("sum(rate(chaski_local_wakes_total@[$__rate_interval]))", "woken"),
            line(
                "sum(rate(chaski_local_segments_total@[$__rate_interval]))",
                "segments handed out",
            ),
        ],
    },
];
