package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// labels is one legal combination of a family's label values. Being comparable, it is the key of its
// series: what is no key cannot be counted.
type labels interface {
	comparable
	values() []string
}

// label1 is the tuple of a family with a single label, or with none if it is empty.
type label1 string

func (o label1) values() []string {
	if o == "" {
		return nil
	}
	return []string{string(o)}
}

// label2 is the tuple of a family with two labels.
type label2 [2]string

func (t label2) values() []string { return t[:] }

type (
	counters[K labels]   map[K]prometheus.Counter
	gauges[K labels]     map[K]prometheus.Gauge
	histograms[K labels] map[K]prometheus.Observer
)

func (c counters[K]) add(k K, n float64) {
	if series := c[k]; series != nil {
		series.Add(n)
	}
}

func (c counters[K]) inc(k K) { c.add(k, 1) }

func (g gauges[K]) set(k K, v float64) {
	if series := g[k]; series != nil {
		series.Set(v)
	}
}

func (h histograms[K]) observe(k K, v float64, exemplar prometheus.Labels) {
	series := h[k]
	if series == nil {
		return
	}
	if e, ok := series.(prometheus.ExemplarObserver); ok && exemplar != nil {
		e.ObserveWithExemplar(v, exemplar)
		return
	}
	series.Observe(v)
}

// builder registers families and makes their series. The first errors are kept for New.
type builder struct {
	registry *prometheus.Registry
	left     map[string]Family // not made yet
	errs     []error
}

func newBuilder(r *prometheus.Registry) *builder {
	b := &builder{registry: r, left: map[string]Family{}}
	for _, f := range Catalogue() {
		b.left[f.Name] = f
	}
	return b
}

// take hands a family out, once.
func (b *builder) take(name string) Family {
	f, ok := b.left[name]
	if !ok {
		b.errs = append(b.errs, fmt.Errorf("metric %s is made twice, or not in the catalogue", name))
	}
	delete(b.left, name)
	return f
}

func (b *builder) register(c prometheus.Collector) {
	if err := b.registry.Register(c); err != nil {
		b.errs = append(b.errs, err)
	}
}

func (b *builder) failed() error {
	for name := range b.left {
		b.errs = append(b.errs, fmt.Errorf("metric %s is in the catalogue and nothing fills it", name))
	}
	return errors.Join(b.errs...)
}

func newCounters[K labels](b *builder, name string, legal ...K) counters[K] {
	f := b.take(name)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: f.Help}, f.Labels)
	b.register(vec)
	return series(b, legal, vec.GetMetricWithLabelValues)
}

func newGauges[K labels](b *builder, name string, legal ...K) gauges[K] {
	f := b.take(name)
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: f.Help}, f.Labels)
	b.register(vec)
	return series(b, legal, vec.GetMetricWithLabelValues)
}

// newHistograms makes classic buckets, which rules are written on, and native ones for finer graphs.
func newHistograms[K labels](b *builder, name string, legal ...K) histograms[K] {
	f := b.take(name)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: f.Help, Buckets: f.Buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, f.Labels)
	b.register(vec)
	return series(b, legal, vec.GetMetricWithLabelValues)
}

// series makes every legal series, so that the first increment of each can be seen.
func series[K labels, S any](b *builder, legal []K, with func(...string) (S, error)) map[K]S {
	all := make(map[K]S, len(legal))
	for _, k := range legal {
		s, err := with(k.values()...)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		all[k] = s
	}
	return all
}
