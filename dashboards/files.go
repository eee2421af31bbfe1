package dashboards

// Files makes everything that is generated: the text of each file by its path below dashboards/, with
// slashes. An error is one of this package's own making.
func Files(l Links) (map[string][]byte, error) {
	rules, err := rulesFile(l)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"prometheus/qrgate.rules.yml": rules}, nil
}
