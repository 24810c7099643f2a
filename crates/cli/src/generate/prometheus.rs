//! How Prometheus scrapes a broker, and when it is to wake somebody.

use std::fmt::Write as _;

use crate::address::Address;

/// When to raise an alert.
struct Rule {
    name: &'static str,
    /// True while it is so.
    when: &'static str,
    /// For so long before it is raised.
    lasting: &'static str,
    severity: &'static str,
    what: &'static str,
    /// What to do.
    command: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "ChaskiDown",
        when: "up{job=\"chaski\"} == 0",
        lasting: "1m",
        severity: "critical",
        what: "{{ $labels.instance }} does not answer",
        command: "systemctl status chaski; journalctl -u chaski",
    },
    Rule {
        name: "ChaskiPartitionClosed",
        when: "max by (instance, topic, partition) (chaski_partition_failed) > 0",
        lasting: "0m",
        severity: "critical",
        what: "{{ $labels.topic }}-{{ $labels.partition }} takes no more records: a flush failed",
        command: "dmesg | grep -i error; chaski doctor; then restart the broker",
    },
    Rule {
        name: "ChaskiDamage",
        when: "max by (instance, topic, partition) (chaski_partition_damaged) > 0",
        lasting: "0m",
        severity: "warning",
        what: "{{ $labels.topic }}-{{ $labels.partition }} has damage that is kept and not served",
        command: "chaski inspect segment DATA/log/{{ $labels.topic }}-{{ $labels.partition }}",
    },
    Rule {
        name: "ChaskiRefusing",
        when: "rate(chaski_produce_errors_total[5m]) > 0",
        lasting: "5m",
        severity: "warning",
        what: "{{ $labels.instance }} refuses batches of producers",
        command: "chaski top; the log of the broker says why",
    },
    Rule {
        name: "ChaskiGatewayDown",
        when: "chaski_gateway_up == 0",
        lasting: "1m",
        severity: "critical",
        what: "gateway {{ $labels.gateway }} of {{ $labels.instance }} does not work",
        command: "chaski gateway describe {{ $labels.gateway }}",
    },
    Rule {
        name: "ChaskiGatewayDrops",
        when: "rate(chaski_gateway_drops_total[5m]) > 0",
        lasting: "5m",
        severity: "warning",
        what: "messages do not get through gateway {{ $labels.gateway }}",
        command: "chaski gateway describe {{ $labels.gateway }}",
    },
    Rule {
        name: "ChaskiShardBusy",
        when: "rate(chaski_shard_busy_seconds_total[5m]) > 0.9",
        lasting: "10m",
        severity: "warning",
        what: "shard {{ $labels.shard }} of {{ $labels.instance }} has hardly any time left",
        command: "chaski top; more cores and shards, or fewer and larger batches",
    },
    Rule {
        name: "ChaskiSlow",
        when: "histogram_quantile(0.99, sum by (instance, path, le) \
               (rate(chaski_latency_seconds_bucket[5m]))) > 0.25",
        lasting: "10m",
        severity: "warning",
        what: "p99 of {{ $labels.path }} on {{ $labels.instance }} is over 250 ms",
        command: "chaski doctor --data DATA measures what a flush takes",
    },
];

pub(super) fn scraping(targets: &[Address]) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    format!(
        "# chaski generate prometheus --rules > chaski.rules.yml
rule_files:
  - chaski.rules.yml
scrape_configs:
  - job_name: chaski
    scrape_interval: 10s
    metrics_path: /metrics
    static_configs:
      - targets: [{}]
",
        targets.join(", ")
    )
}

pub(super) fn rules() -> String {
    let mut text = "groups:\n  - name: chaski\n    rules:\n".to_owned();
    for rule in RULES {
        let _ = write!(
            text,
            "      - alert: {}
        expr: '{}'
        for: {}
        labels:
          severity: {}
        annotations:
          summary: '{}'
          command: '{}'
",
            rule.name, rule.when, rule.lasting, rule.severity, rule.what, rule.command
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        for rule in RULES {
            assert!(![rule.when, rule.what, rule.command].concat().contains('\''), "{}", rule.name);
        }
    }

    #[test]
    fn every_target_is_scraped() {
        let targets = ["a:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert!(scraping(&targets).contains("- targets: [\"a:1\", \"[::1]:2\"]\n"));
    }
}
