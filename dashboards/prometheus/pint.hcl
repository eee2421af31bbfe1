# For pint, which checks more than promtool: go tool -modfile=tools/pint/go.mod pint -c dashboards/prometheus/pint.hcl …
parser {
  schema = "prometheus"
}

rule {
  match {
    kind = "alerting"
  }
  annotation "(summary|description|runbook_url|dashboard_url)" {
    severity = "bug"
    required = true
  }
  label "severity" {
    severity = "bug"
    value    = "critical|warning|info|none"
    required = true
  }
}

rule {
  match {
    kind = "recording"
  }
  name "[a-z_]+:[a-z_0-9]+:[a-z_0-9]+" {
    severity = "bug"
  }
}

# Watchdog always fires.
rule {
  match {
    name = "Watchdog"
  }
  disable = ["alerts/comparison"]
}

# Without events in 30 days the ratio is NaN, and the dashboard shows that there is no data.
rule {
  match {
    name = "qrgate:slo_error_budget_remaining:ratio"
  }
  disable = ["promql/nan"]
}
