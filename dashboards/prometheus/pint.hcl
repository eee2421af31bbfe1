# For pint, which finds in rules what promtool does not: go tool -modfile=tools/pint/go.mod pint -c dashboards/prometheus/pint.hcl …
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

# Watchdog always fires: that is what it is for.
rule {
  match {
    name = "Watchdog"
  }
  disable = ["alerts/comparison"]
}

# No events in 30 days are no share of anything: NaN, and the dashboard says that there is no data.
rule {
  match {
    name = "qrgate:slo_error_budget_remaining:ratio"
  }
  disable = ["promql/nan"]
}
