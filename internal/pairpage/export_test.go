package pairpage

import "qrgate/internal/diagnosis"

// Assets are the texts of the page by language, and the causes in Portuguese.
func Assets() (texts map[string]map[string]string, portuguese map[diagnosis.Code][]string, err error) {
	p, err := load()
	return p.texts, p.portuguese, err
}
