package dashboards

// Files makes everything that is generated: the text of each file by its path below dashboards/, with
// slashes. An error is one of this package's own making.
func Files(l Links) (map[string][]byte, error) {
	rules, err := rulesFile(l)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{"prometheus/qrgate.rules.yml": rules}
	for _, b := range boards(l) {
		if out["grafana/dashboards/"+b.uid+".json"], err = b.encode(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
