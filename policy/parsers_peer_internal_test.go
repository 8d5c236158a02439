package policy

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// FuzzParameters: every leaf is found once, and its address leads back to it.
func FuzzParameters(f *testing.F) {
	for _, s := range []string{`{"a":{"b":1,"c.d":[2]},"":{},"/x":null,"~":{"/":true}}`, `{}`, `[1]`, `{"a":{"a":{"a":{}}}}`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if strictjson.Check(raw, 64) != nil {
			return // no statement holds it
		}
		all, err := leaves(raw, nil, nil)
		if err != nil {
			if all != nil {
				t.Fatal("leaves beside an error")
			}
			return
		}
		var value any
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		if d.Decode(&value) != nil {
			return
		}
		var want int
		var count func(v any, top bool)
		count = func(v any, top bool) {
			switch v := v.(type) {
			case nil:
			case map[string]any:
				if len(v) == 0 && !top {
					want++
				}
				for _, m := range v {
					count(m, false)
				}
			default:
				want++
			}
		}
		count(value, true)
		if len(all) != want {
			t.Fatalf("%q: %d leaves, want %d", raw, len(all), want)
		}
		seen := map[string]bool{}
		for _, l := range all {
			at := address(l.path)
			if len(l.path) == 0 {
				continue // the parameters are no object
			}
			if seen[at] {
				t.Fatalf("%q: two leaves at %q", raw, at)
			}
			seen[at] = true
			if unsafeText(strings.Join(l.path, "")) != "" {
				continue // no policy can name it
			}
			back, err := addressPath(at)
			if err != nil || !slices.Equal(back, l.path) {
				t.Fatalf("%q: %q is written %q, read as %q, %v", raw, l.path, at, back, err)
			}
		}
	})
}

// slowCompare orders versions by big numbers, apart from the code under test.
func slowCompare(t *testing.T, a, b string) int {
	split := func(s string) ([]*big.Int, []string) {
		core, pre, has := strings.Cut(s, "-")
		var n []*big.Int
		for _, p := range strings.Split(core, ".") {
			v, ok := new(big.Int).SetString(p, 10)
			if !ok || strings.ContainsAny(p, "+-_") || p != v.String() {
				t.Fatalf("matched %q", s)
			}
			n = append(n, v)
		}
		for len(n) < 3 {
			n = append(n, new(big.Int))
		}
		if len(n) > 3 {
			t.Fatalf("matched %q", s)
		}
		if !has {
			return n, nil
		}
		return n, strings.Split(pre, ".")
	}
	x, xp := split(a)
	y, yp := split(b)
	for i := range x {
		if c := x[i].Cmp(y[i]); c != 0 {
			return c
		}
	}
	if xp == nil || yp == nil {
		return map[bool]int{true: 1}[xp == nil] - map[bool]int{true: 1}[yp == nil]
	}
	for i := 0; i < len(xp) && i < len(yp); i++ {
		m, ok := new(big.Int).SetString(xp[i], 10)
		n, ok2 := new(big.Int).SetString(yp[i], 10)
		ok = ok && strings.Trim(xp[i], "0123456789") == ""
		ok2 = ok2 && strings.Trim(yp[i], "0123456789") == ""
		switch {
		case ok && ok2:
			if c := m.Cmp(n); c != 0 {
				return c
			}
		case ok:
			return -1
		case ok2:
			return 1
		default:
			if c := strings.Compare(xp[i], yp[i]); c != 0 {
				return c
			}
		}
	}
	switch {
	case len(xp) < len(yp):
		return -1
	case len(xp) > len(yp):
		return 1
	}
	return 0
}

// FuzzTagRange: what matches is in the range, by a comparison of its own.
func FuzzTagRange(f *testing.F) {
	for _, s := range [][2]string{{">=1.0.0 <2.0.0", "v1.2.3"}, {"=2.0.0-rc.1", "v2.0.0-rc.1"}, {"<2.0.0", "v2.0.0-rc.1"}, {"=1.2.3", "v1.2.3+evil"}, {">1.0.0-9", "1.0.0-10"}, {"=1.2.3", "v01.2.3"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, terms, tag string) {
		r, err := parseRange(terms)
		if err != nil || r.match("refs/tags/"+tag) != nil {
			return
		}
		v := strings.TrimPrefix(tag, "v")
		admitted := !strings.Contains(v, "-")
		for _, term := range strings.Fields(terms) {
			op := strings.TrimRight(term, "0123456789.-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
			c := slowCompare(t, v, term[len(op):])
			if !map[string]bool{"=": c == 0, "<": c < 0, ">": c > 0, "<=": c <= 0, ">=": c >= 0}[op] {
				t.Fatalf("%q in %q", tag, terms)
			}
			tc, _, tp := strings.Cut(term[len(op):], "-")
			vc, _, _ := strings.Cut(v, "-")
			admitted = admitted || tp && tc == vc
		}
		if !admitted {
			t.Fatalf("pre-release %q in %q", tag, terms)
		}
	})
}
