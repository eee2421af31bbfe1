package probes

// CheckPicture is readPicture for the tests.
func CheckPicture(text string) error {
	_, err := readPicture(text)
	return err
}
