package main

import "qrgate/internal/diagnosis"

// actor is who must act, as words that begin a sentence in a language.
func actor(w diagnosis.Actor, language string) string {
	names := map[diagnosis.Actor][2]string{
		diagnosis.Customer:  {"Customer", "Cliente"},
		diagnosis.Developer: {"Developer", "Desarrollo"},
		diagnosis.Operator:  {"Operator", "Operación"},
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
