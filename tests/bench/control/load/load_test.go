package main

import (
	"testing"
	"time"
)

func TestAQuantileIsAValueThatWasMeasured(t *testing.T) {
	values := make([]time.Duration, 100)
	for i := range values {
		values[i] = time.Duration(100-i) * time.Millisecond
	}
	got := spreadOf(values)
	if got.P50 != 50 || got.P99 != 99 || got.Max != 100 {
		t.Fatalf("%+v", got)
	}
	if one := spreadOf([]time.Duration{time.Millisecond}); one.P50 != 1 || one.P99 != 1 {
		t.Fatalf("%+v", one)
	}
	if spreadOf(nil).Max != 0 {
		t.Fatal("nothing took time")
	}
}

func deltaResponse(typeURL, name, version, content string) []byte {
	inner := appendText(appendText(nil, 1, name), 9, content)
	any := appendBytes(appendText(nil, 1, typeURL), 2, inner)
	each := appendBytes(appendText(appendText(nil, 3, name), 1, version), 2, any)
	out := appendBytes(nil, 2, each)
	return appendText(appendText(appendText(out, 4, typeURL), 5, "7"), 6, "gone")
}

func TestResponsesAreReadInBothForms(t *testing.T) {
	var r response
	if err := r.parse(deltaResponse(typeURLs[endpoints], "a", "v1", "10.0.0.1"), true); err != nil {
		t.Fatal(err)
	}
	if len(r.resources) != 1 || string(r.resources[0].name) != "a" || string(r.resources[0].version) != "v1" ||
		string(r.nonce) != "7" || len(r.removed) != 1 {
		t.Fatalf("%+v", r)
	}
	any := appendBytes(appendText(nil, 1, "url"), 2, appendText(nil, 1, "b"))
	if err := r.parse(appendBytes(appendText(nil, 1, "v2"), 2, any), false); err != nil {
		t.Fatal(err)
	}
	if len(r.resources) != 1 || string(r.resources[0].name) != "b" || string(r.version) != "v2" || len(r.removed) != 0 {
		t.Fatalf("%+v", r)
	}
	if r.parse([]byte{0xff}, true) == nil {
		t.Fatal("rubbish is taken")
	}
}

func TestAChangeHasArrivedWhenAllOfItHas(t *testing.T) {
	e := newExpectation(1, part{clusters, "a", nil}, part{routes, "outbound", []byte("mark")})
	all := newExpectations([]*expectation{e})
	var p progress
	p.see(all, clusters, []byte("a"), []byte("x"))
	p.see(all, routes, []byte("outbound"), []byte("without"))
	p.see(all, clusters, []byte("a"), []byte("x"))
	if len(p.completed) != 0 {
		t.Fatal("half of it counts as all")
	}
	p.see(all, routes, []byte("outbound"), []byte("with the mark in it"))
	p.see(all, routes, []byte("outbound"), []byte("with the mark in it"))
	if len(p.completed) != 1 {
		t.Fatalf("completed %d times", len(p.completed))
	}
}
