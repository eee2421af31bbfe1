package pairpage

// Assets are the texts of the page by language.
func Assets() (texts map[string]map[string]string, err error) {
	p, err := load()
	return p.texts, err
}
