package shape

import "testing"

func TestEveryServiceStandsInAsManyScopes(t *testing.T) {
	count, later := map[string]int{}, map[string]int{}
	for group := 0; group < Groups; group++ {
		now, newer := Scope(group, 1000)
		seen := map[string]bool{}
		for _, name := range now {
			seen[name] = true
			count[name]++
		}
		if len(seen) != 20 {
			t.Fatalf("the scope of group %d has %d services", group, len(seen))
		}
		later[newer]++
	}
	for _, counts := range []map[string]int{count, later} {
		for name, n := range counts {
			if n != 20 {
				t.Fatalf("%s stands in %d scopes", name, n)
			}
		}
	}
	if len(count) != 1000 || len(later) != 50 {
		t.Fatalf("%d services, %d later ones", len(count), len(later))
	}
}

func TestTheGroupIsReadFromTheID(t *testing.T) {
	if GroupOf(NodeID(17, 4)) != 17 || GroupOf("envoy") != -1 {
		t.Fatal("a node's id does not tell its group")
	}
}
