package main

import "qrgate"

// actor is who must act, as words that begin a sentence in a language.
func actor(w qrgate.Actor, language string) string {
	names := map[qrgate.Actor][2]string{
		qrgate.Customer:  {"Customer", "Cliente"},
		qrgate.Developer: {"Developer", "Desarrollo"},
		qrgate.Operator:  {"Operator", "Operación"},
	}
	name, known := names[w]
	if !known {
		name = [2]string{"Nobody has to act", "Nadie tiene que actuar"}
	}
	if language == "es" {
		return name[1]
	}
	return name[0]
}
