package policy

import (
	"slices"
	"strings"
	"testing"
)

// globMatch is what a pattern means, written without regular expressions.
func globMatch(pattern, value string) bool {
	switch {
	case pattern == "":
		return value == ""
	case strings.HasPrefix(pattern, "**"):
		for i := range len(value) + 1 {
			if globMatch(pattern[2:], value[i:]) {
				return true
			}
		}
		return false
	case pattern[0] == '*':
		for i := range len(value) + 1 {
			if globMatch(pattern[1:], value[i:]) {
				return true
			}
			if i < len(value) && value[i] == '/' {
				return false
			}
		}
		return false
	}
	return value != "" && value[0] == pattern[0] && globMatch(pattern[1:], value[1:])
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"a", "a", true}, {"a", "A", false}, {"a", "aa", false}, {"a.c", "abc", false},
		{"acme/*", "acme/a", true}, {"acme/*", "acme/a/b", false}, {"acme/**", "acme/a/b", true}, {"acme/*", "acme/", false},
		{"refs/tags/v*", "refs/tags/v1", true}, {"refs/tags/v*", "refs/tags/v1/../../heads/main", false},
		{"refs/tags/v**", "refs/tags/v1/../../heads/main", false}, {"refs/tags/v*", "refs/tags/v1\n", false},
		{"**", "", false}, {"**", "a//b", false}, {"**", "https://a/b", true}, {"*", "a\u202e", false},
	} {
		p, err := compilePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if p.match(c.value) != c.want {
			t.Errorf("%q against %q: %v", c.pattern, c.value, !c.want)
		}
	}
	if (pattern{}).match("") || (pattern{}).match("a") {
		t.Error("the zero pattern matches")
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("refs/tags/v*", "refs/tags/v1")
	f.Add("a**b*c", "axx/xbc")
	f.Add("**", "a/../b")
	f.Fuzz(func(t *testing.T, text, value string) {
		p, err := compilePattern(text)
		if err != nil || len(value) > 64 || strings.Count(text, "*") > 6 {
			return
		}
		if got := p.match(value); got != globMatch(text, value) && (got || !oddSegment(value) && unsafeText(value) == "") {
			t.Errorf("%q against %q: %v", text, value, got)
		}
		if p.match(value) && unsafeText(value) != "" {
			t.Errorf("%q is matched", value)
		}
	})
}

func TestRepositoryURIs(t *testing.T) {
	for uri, want := range map[string]string{
		"git+https://github.com/acme/app@refs/tags/v1": "github.com/acme/app", "https://github.com/acme/app.git": "github.com/acme/app",
		"https://GitHub.com/acme/app": "github.com/acme/app", "https://github.com/Acme/app": "github.com/Acme/app",
		"git+https://github.com/acme/app@x/../../evil": "", "https://github.com/acme/app.git.git": "", "https://github.com/acme/app/": "",
		"https://github.com/acme/app%2f": "", "https://github.com@evil/acme/app": "", "https://github.com:443/acme/app": "",
		"https://github.com./acme/app": "", "https://github.com/../acme/app": "", "http://github.com/acme/app": "", "git@github.com:acme/app": "",
		"https://github.com/acme": "", "https://github.com/acme/app?x": "", "https://github.com/acme/app#x": "", "git+git+https://github.com/acme/app": "",
		"https://github.com.evil/acme/app": "github.com.evil/acme/app", "https://github.com/\u0430cme/app": "github.com/\u0430cme/app",
	} {
		if got, _, err := repositoryURI(uri, false); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", uri, got, err, want)
		}
	}
}

func FuzzRepositoryURI(f *testing.F) {
	for _, s := range []string{"git+https://github.com/acme/app@refs/tags/v1", "https://a.b/c/d.git#main:dir", "https://github.com@evil/a/b"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, uri string, buildkit bool) {
		repo, ref, err := repositoryURI(uri, buildkit)
		if err != nil {
			return
		}
		host, path, _ := strings.Cut(repo, "/")
		if badHost(host) != "" || oddSegment(path) || strings.ContainsAny(path, "?#%@\\") || unsafeText(repo+ref) != "" || !strings.Contains(path, "/") {
			t.Fatalf("%q: %q", uri, repo)
		}
		again, ref2, err := repositoryURI("https://"+repo, buildkit)
		if err != nil || again != repo || ref2 != "" {
			t.Fatalf("%q read again: %q %q %v", repo, again, ref2, err)
		}
	})
}

func FuzzWorkflow(f *testing.F) {
	f.Add("https://github.com/acme/app/.github/workflows/x.yml@refs/tags/v1.yml")
	f.Add("https://github.com/acme/app/.github/workflows/a.yml@b/.github/workflows/c.yaml@d")
	f.Fuzz(func(t *testing.T, uri string) {
		w, err := parseWorkflow(uri)
		if err != nil {
			return
		}
		if !strings.HasSuffix(uri, "/"+w.path+"@"+w.ref) || strings.Contains(strings.TrimPrefix(w.path, workflowDir[1:]), "/") || w.ref == "" ||
			strings.Count(w.repo, "/") != 2 || oddSegment(w.repo) {
			t.Fatalf("%q: %+v", uri, w)
		}
	})
}

func TestTagRanges(t *testing.T) {
	for _, c := range []struct {
		terms, ref string
		want       bool
	}{
		{"<2.0.0", "refs/tags/v2.0.0-rc.1", false}, {"<2.0.0", "refs/tags/v1.9.9", true}, {"=1.2.3", "refs/tags/v1.2.3+evil", false},
		{"=1.2.3", "refs/tags/1.2.3", true}, {"=1.2.3", "refs/tags/v01.2.3", false}, {"=1.2.3", "refs/tags/v1.2.3.4", false},
		{"=1.2.3", "refs/tags/pkg/v1.2.3", false}, {"=1.2.3", "refs/heads/v1.2.3", false}, {">=14.0.0", "refs/tags/v14", true},
		{">=14.2.0 <14.3.0", "refs/tags/v14.2", true}, {">=2.0.0-rc.1", "refs/tags/v2.0.0-rc.2", true}, {">=2.0.0-rc.1", "refs/tags/v2.0.1-rc.2", false},
		{">1.0.0", "refs/tags/v99999999999999999999.0.0", false}, {">1.0.0", "refs/tags/v2.0.0-01", false},
	} {
		r, err := parseRange(c.terms)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.match(c.ref); (err == nil) != c.want {
			t.Errorf("%s against %s: %v", c.terms, c.ref, err)
		}
	}
	if (tagRange{}).match("refs/tags/v1.0.0") == nil {
		t.Error("the zero range matches")
	}
}

// FuzzAddress: the address of a place leads back to it, and to no other.
func FuzzAddress(f *testing.F) {
	f.Add("inputs", "a.b", "~1/")
	f.Add("", "x", "/")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if unsafeText(a) != "" || unsafeText(b) != "" || unsafeText(c) != "" {
			return // no policy can name it
		}
		for _, path := range [][]string{{a}, {a, b}, {a, b, c}} {
			back, err := addressPath(address(path))
			if err != nil || !slices.Equal(back, path) {
				t.Errorf("%q is written %q, and read as %q, %v", path, address(path), back, err)
			}
		}
	})
}
