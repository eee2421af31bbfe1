package metrics

// Kind is the type of a family.
type Kind string

// The kinds of families.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Family is one metric with all its series.
type Family struct {
	Name    string
	Kind    Kind
	Labels  []string
	Help    string    // a sentence, shown by Prometheus and in docs/METRICS.md
	Buckets []float64 // upper bounds of a histogram, in seconds; nil for the rest
}

// The edges of histograms, in seconds. SLO thresholds must be edges: 5 and 15 s of a journey (sre.md 2.3),
// 4.5 and 9 s of a hold (DESIGN 3).
func journeyBuckets() []float64 { return []float64{.1, .25, .5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60} }
func holdBuckets() []float64    { return []float64{.05, .25, .5, 1, 2, 3, 4.5, 6, 9, 15, 30, 60} }
func callBuckets() []float64    { return []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10} }
func storeBuckets() []float64   { return []float64{.0005, .001, .005, .025, .1, .15, .5, 1} }
func httpBuckets() []float64 {
	return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

// Catalogue lists every family that the gate fills, in the order of docs/METRICS.md. The collectors of
// the Go runtime and of the process come on top.
func Catalogue() []Family {
	var all []Family
	for _, part := range [][]Family{qrFamilies(), engineFamilies(), httpFamilies(), probeFamilies(), selfFamilies()} {
		all = append(all, part...)
	}
	return all
}

func counter(name, help string, labels ...string) Family {
	return Family{Name: name, Kind: Counter, Labels: labels, Help: help}
}

func gauge(name, help string, labels ...string) Family {
	return Family{Name: name, Kind: Gauge, Labels: labels, Help: help}
}

func histogram(name, help string, buckets []float64, labels ...string) Family {
	return Family{Name: name, Kind: Histogram, Labels: labels, Help: help, Buckets: buckets}
}
