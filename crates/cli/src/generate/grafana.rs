//! The dashboard: `panels` as the JSON that Grafana imports.

use serde_json::{Value, json};

use super::panels::{LEFT_OUT, Panel, ROWS};

/// Grafana's grid is so many columns wide.
const COLUMNS: u64 = 24;
const PANEL_COLUMNS: u64 = 8;
const PANEL_LINES: u64 = 8;
/// The version of the form that this is; newer Grafanas bring it up to theirs.
const SCHEMA: u64 = 39;
const SOURCE: &str = "${source}";

/// Labels that choose brokers, and those that choose topics of them.
const BROKERS: &str = "{instance=~\"$instance\"}";
const TOPICS: &str = "{instance=~\"$instance\",topic=~\"$topic\"}";

pub(super) fn dashboard(title: &str) -> String {
    let dashboard = json!({
        "title": title,
        "uid": null,
        "description": description(),
        "tags": ["chaski"],
        "schemaVersion": SCHEMA,
        "editable": true,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [
            {"name": "source", "label": "Data source", "type": "datasource",
             "query": "prometheus"},
            choice("instance", "Broker", "label_values(chaski_topics, instance)"),
            choice("topic", "Topic",
                   "label_values(chaski_partition_high_watermark, topic)"),
        ]},
        "panels": panels(),
    });
    format!("{dashboard:#}\n")
}

fn description() -> String {
    let left_out: Vec<String> =
        LEFT_OUT.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    format!("What a chaski broker counts. Not shown: {}.", left_out.join(", "))
}

/// A variable of which any number of values may be chosen.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "query": query,
        "datasource": source(), "refresh": 2, "sort": 1,
        "multi": true, "includeAll": true, "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": SOURCE})
}

fn panels() -> Vec<Value> {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in ROWS {
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }));
        y += 1;
        let mut x = 0;
        for shown in row.panels {
            if x == COLUMNS {
                (x, y) = (0, y + PANEL_LINES);
            }
            panels.push(panel(shown, panels.len() + 1, x, y));
            x += PANEL_COLUMNS;
        }
        y += PANEL_LINES;
    }
    panels
}

fn panel(panel: &Panel, id: usize, x: u64, y: u64) -> Value {
    let targets: Vec<Value> = panel
        .lines
        .iter()
        .zip('A'..)
        .map(|(line, name)| {
            json!({
                "refId": name.to_string(), "datasource": source(), "legendFormat": line.legend,
                "expr": line.query.replace('@', BROKERS).replace('#', TOPICS),
            })
        })
        .collect();
    json!({
        "id": id, "type": "timeseries", "title": panel.title, "description": panel.about,
        "datasource": source(), "targets": targets,
        "gridPos": {"x": x, "y": y, "w": PANEL_COLUMNS, "h": PANEL_LINES},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_panels_share_a_place_or_a_number() {
        let panels = panels();
        let mut places: Vec<_> = panels.iter().map(|panel| panel["gridPos"].to_string()).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), panels.len());
        let ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, (1..=panels.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn every_query_chooses_its_brokers() {
        let text = dashboard("x");
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().unwrap();
                assert!(query.contains("instance=~") && !query.contains(['@', '#']), "{query}");
                assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
            }
        }
    }
}
