package main

import (
	"sync"
	"time"
)

// debounce calls push once it has been quiet for a while, and at the latest so long after the first note.
type debounce struct {
	quiet, atMost time.Duration
	push          func()
	mutex         sync.Mutex
	first, last   time.Time
	waiting       bool
}

func newDebounce(quiet, atMost time.Duration, push func()) *debounce {
	return &debounce{quiet: quiet, atMost: atMost, push: push}
}

func (d *debounce) note() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.last = time.Now()
	if !d.waiting {
		d.waiting, d.first = true, d.last
		time.AfterFunc(d.quiet, d.look)
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
	d.waiting = false
	d.mutex.Unlock()
	d.push()
}
