package main

import (
	"sync"
	"time"
)

// debounce calls push once it has been quiet for a while, and at the latest so long after the first note; at once if it
// has not for the time of a rest, which 0 turns off.
type debounce struct {
	quiet, atMost, rest time.Duration
	push                func()
	mutex               sync.Mutex
	first, last, pushed time.Time
	waiting             bool
}

func newDebounce(quiet, atMost, rest time.Duration, push func()) *debounce {
	return &debounce{quiet: quiet, atMost: atMost, rest: rest, push: push}
}

func (d *debounce) note() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.last = time.Now()
	if !d.waiting {
		d.waiting, d.first = true, d.last
		wait := d.quiet
		if d.rest > 0 && d.last.Sub(d.pushed) >= d.rest {
			d.first = d.last.Add(-d.atMost)
			wait = 0
		}
		time.AfterFunc(wait, d.look)
	}
}

func (d *debounce) look() {
	d.mutex.Lock()
	due := d.last.Add(d.quiet)
	if latest := d.first.Add(d.atMost); latest.Before(due) {
		due = latest
	}
	if left := time.Until(due); left > 0 {
		time.AfterFunc(left, d.look)
		d.mutex.Unlock()
		return
	}
	d.waiting, d.pushed = false, time.Now()
	d.mutex.Unlock()
	d.push()
}
