package main

import (
	"slices"
	"time"
)

// spread is how long something took, in milliseconds.
type spread struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// quantile is the smallest value that at least that share of the sorted values does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(share*float64(len(sorted))+0.999999) - 1
	return sorted[max(0, min(rank, len(sorted)-1))]
}

func spreadOf(values []time.Duration) spread {
	slices.Sort(values)
	ms := func(share float64) float64 { return float64(quantile(values, share)) / float64(time.Millisecond) }
	return spread{ms(0.5), ms(0.99), ms(1)}
}

// result is what one command has shown.
type result struct {
	Received     spread  `json:"received"`
	Acknowledged spread  `json:"acknowledged"`
	Samples      int     `json:"samples"`
	Expected     int     `json:"expected"`
	Repetitions  int     `json:"repetitions"`
	Bytes        int64   `json:"bytes"`
	Responses    int64   `json:"responses"`
	CommitP99    float64 `json:"commit_p99_ms"`
	Error        string  `json:"error,omitempty"`
}

func resultOf(all []sample) result {
	received := make([]time.Duration, len(all))
	acknowledged := make([]time.Duration, len(all))
	for i, each := range all {
		received[i], acknowledged[i] = each.received, each.acknowledged
	}
	return result{Received: spreadOf(received), Acknowledged: spreadOf(acknowledged), Samples: len(all)}
}
