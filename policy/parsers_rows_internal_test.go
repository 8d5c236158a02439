package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What two readers could take for two repositories is none.
func TestRepositoryLookAlikes(t *testing.T) {
	for _, test := range []struct {
		name, uri string
		buildkit  bool
		repo, ref string // empty: refused
	}{
		{"with a ref", "git+https://github.com/acme/app@refs/tags/v1", false, "github.com/acme/app", "refs/tags/v1"},
		{"with .git and a ref", "https://github.com/acme/app.git@v1", false, "github.com/acme/app", "v1"},
		{"a ref with @", "https://github.com/acme/app@refs/tags/a@b", false, "github.com/acme/app", "refs/tags/a@b"},
		{"a group in a group", "https://gitlab.com/a/b/c", false, "gitlab.com/a/b/c", ""},
		{"upper-case host", "https://GITHUB.com/acme/app", false, "github.com/acme/app", ""},
		{"upper-case path", "https://github.com/ACME/App", false, "github.com/ACME/App", ""},
		{"another host behind it", "https://github.com.evil/acme/app", false, "github.com.evil/acme/app", ""},
		{"Cyrillic in the path", "https://github.com/\u0430cme/app", false, "github.com/\u0430cme/app", ""},

		{"dots in the ref", "git+https://github.com/acme/app@x/../../evil", false, "", ""},
		{"a dot in the ref", "https://github.com/acme/app@./x", false, "", ""},
		{"empty ref", "https://github.com/acme/app@", false, "", ""},
		{"empty segment in the ref", "https://github.com/acme/app@refs//tags", false, "", ""},
		{"two .git", "https://github.com/acme/app.git.git", false, "", ""},
		{".git alone", "https://github.com/acme/.git", false, "", ""},
		{".git as a segment", "https://github.com/acme/app/.git", false, "", ""},
		{"slash at the end", "https://github.com/acme/app/", false, "", ""},
		{"slash before .git", "https://github.com/acme/app/.git@v1", false, "", ""},
		{"two slashes", "https://github.com//acme/app", false, "", ""},
		{"percent-encoding", "https://github.com/acme/app%2f", false, "", ""},
		{"dots", "https://github.com/evil/../acme/app", false, "", ""},
		{"a dot", "https://github.com/./acme/app", false, "", ""},
		{"user", "https://github.com@evil/acme/app", false, "", ""},
		{"user and password", "https://u:p@github.com/acme/app", false, "", ""},
		{"port", "https://github.com:443/acme/app", false, "", ""},
		{"dot behind the host", "https://github.com./acme/app", false, "", ""},
		{"Cyrillic in the host", "https://github.c\u043em/acme/app", false, "", ""},
		{"underscore in the host", "https://git_hub.com/acme/app", false, "", ""},
		{"no host", "https:///acme/app", false, "", ""},
		{"backslash", `https://github.com\@evil/acme/app`, false, "", ""},
		{"backslash in the path", `https://github.com/acme\app/x`, false, "", ""},
		{"query", "https://github.com/acme/app?x=1", false, "", ""},
		{"fragment", "https://github.com/acme/app#v1", false, "", ""},
		{"one segment", "https://github.com/acme", false, "", ""},
		{"http", "http://github.com/acme/app", false, "", ""},
		{"ssh", "git+ssh://git@github.com/acme/app", false, "", ""},
		{"scp", "git@github.com:acme/app", false, "", ""},
		{"git+ twice", "git+git+https://github.com/acme/app", false, "", ""},
		{"upper-case scheme", "HTTPS://github.com/acme/app", false, "", ""},
		{"space before", " https://github.com/acme/app", false, "", ""},
		{"line feed", "https://github.com/acme/app\n", false, "", ""},
		{"bidi control", "https://github.com/acme/app\u202e", false, "", ""},
		{"invalid UTF-8", "https://github.com/acme/app\xff", false, "", ""},
		{"empty", "", false, "", ""},

		{"BuildKit", "https://github.com/acme/app.git#refs/heads/main", true, "github.com/acme/app", "refs/heads/main"},
		{"BuildKit, a folder", "https://github.com/acme/app.git#main:sub/dir", true, "github.com/acme/app", "main"},
		{"BuildKit, no ref", "https://github.com/acme/app.git", true, "github.com/acme/app", ""},
		{"BuildKit, an empty ref", "https://github.com/acme/app.git#", true, "", ""},
		{"BuildKit, a folder alone", "https://github.com/acme/app.git#:sub", true, "", ""},
		{"BuildKit, @", "https://github.com/acme/app.git@main", true, "", ""},
		{"BuildKit, dots", "https://github.com/acme/app.git#a/../b", true, "", ""},
		{"BuildKit, user", "https://github.com@evil/acme/app.git#main", true, "", ""},
		{"not of BuildKit", "https://github.com/acme/app.git#main", false, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			repo, ref, err := repositoryURI(test.uri, test.buildkit)
			if repo != test.repo || ref != test.ref || (err == nil) != (test.repo != "") {
				t.Errorf("%q: %q, %q, %v, want %q, %q", test.uri, repo, ref, err, test.repo, test.ref)
			}
		})
	}
}

func TestWorkflowURIs(t *testing.T) {
	const dir = "https://github.com/acme/app/.github/workflows/"
	for _, test := range []struct{ name, uri, path, ref string }{ // no path: refused
		{"yml", dir + "x.yml@refs/tags/v1", ".github/workflows/x.yml", "refs/tags/v1"},
		{"yaml", dir + "x.yaml@" + strings.Repeat("a", 40), ".github/workflows/x.yaml", strings.Repeat("a", 40)},
		{"a tag that looks like a file", dir + "x.yml@refs/tags/v1.yml", ".github/workflows/x.yml", "refs/tags/v1.yml"},
		{"a tag that looks like an end", dir + "x.yml@refs/tags/y.yml@z", ".github/workflows/x.yml", "refs/tags/y.yml@z"},
		{"yml before yaml", dir + "x.yml@a.yaml@b", ".github/workflows/x.yml", "a.yaml@b"},
		{"yaml before yml", dir + "x.yaml@a.yml@b", ".github/workflows/x.yaml", "a.yml@b"},
		{"a file with two endings", dir + "x.yml.yml@v1", ".github/workflows/x.yml.yml", "v1"},
		{"a file with @", dir + "a@b.yml@v1", ".github/workflows/a@b.yml", "v1"},
		{"the folder again in the ref", dir + "a.yml@b/.github/workflows/c.yml@d", ".github/workflows/a.yml", "b/.github/workflows/c.yml@d"},

		{"no ref", dir + "x.yml", "", ""},
		{"an empty ref", dir + "x.yml@", "", ""},
		{"no file name", dir + ".yml@v1", "", ""},
		{"another ending", dir + "x.json@v1", "", ""},
		{"a folder below", dir + "sub/x.yml@v1", "", ""},
		{"dots", dir + "../x.yml@v1", "", ""},
		{"a dynamic workflow", "https://github.com/acme/app/dynamic/pages/x.yml@v1", "", ""},
		{"http", "http" + strings.TrimPrefix(dir, "https") + "x.yml@v1", "", ""},
		{"no owner", "https://github.com/app/.github/workflows/x.yml@v1", "", ""},
		{"a group", "https://github.com/a/b/c/.github/workflows/x.yml@v1", "", ""},
		{"no repository", "https://github.com/.github/workflows/x.yml@v1", "", ""},
		{"dots for an owner", "https://github.com/../app/.github/workflows/x.yml@v1", "", ""},
		{"an empty owner", "https://github.com//app/.github/workflows/x.yml@v1", "", ""},
		{"user", "https://github.com@evil/acme/app/.github/workflows/x.yml@v1", "", ""},
		{"port", "https://github.com:443/acme/app/.github/workflows/x.yml@v1", "", ""},
		{"line feed", dir + "x.yml@v1\n", "", ""},
		{"bidi control", dir + "x\u202e.yml@v1", "", ""},
		{"empty", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := parseWorkflow(test.uri)
			want := workflow{}
			if test.path != "" {
				want = workflow{repo: "github.com/acme/app", path: test.path, ref: test.ref}
			}
			if w != want || (err == nil) != (test.path != "") {
				t.Errorf("%q: %+v, %v, want %+v", test.uri, w, err, want)
			}
		})
	}
	if w, err := parseWorkflow("https://GitHub.COM/Acme/app/.github/workflows/x.yml@v1"); err != nil || w.repo != "github.com/Acme/app" {
		t.Errorf("%q, %v: want the host in lower case, and the rest as it is", w.repo, err)
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		address string
		path    []string // nil: refused
	}{
		{"inputs", []string{"inputs"}}, {"inputs.debug", []string{"inputs", "debug"}}, {"a.b.c", []string{"a", "b", "c"}},
		{"a/b", []string{"a/b"}}, {"a~1b", []string{"a~1b"}}, {"a b", []string{"a b"}}, {"*", []string{"*"}},
		{"/inputs/a.b", []string{"inputs", "a.b"}}, {"/a~1b/c", []string{"a/b", "c"}}, {"/a~0b", []string{"a~b"}},
		// One step only: ~01 is the name ~1, and not a slash.
		{"/~01", []string{"~1"}}, {"/~10", []string{"/0"}}, {"/", []string{""}}, {"/a/", []string{"a", ""}}, {"//a", []string{"", "a"}},
		{"", nil}, {".", nil}, {"a.", nil}, {".a", nil}, {"a..b", nil}, {"/~", nil}, {"/a~2", nil}, {"/~~0", nil},
		{"a\n", nil}, {"/a\x00", nil}, {"a\u202e", nil}, {"a\xff", nil},
	} {
		path, err := addressPath(test.address)
		if !slices.Equal(path, test.path) || (err == nil) != (test.path != nil) {
			t.Errorf("%q: %q, %v, want %q", test.address, path, err, test.path)
		}
	}
}

func TestRefPatterns(t *testing.T) {
	forty := strings.Repeat("0123456789abcdef", 4)[:40]
	for text, want := range map[string]string{
		"refs/heads/main": "refs/heads/main", "refs/**": "refs/**", "**": "**",
		"v1": "refs/tags/v1", "main": "refs/tags/main", "*": "refs/tags/*", "heads/main": "refs/tags/heads/main",
		forty: forty, forty[:39]: "refs/tags/" + forty[:39], forty + "0": "refs/tags/" + forty + "0",
		strings.ToUpper(forty): "refs/tags/" + strings.ToUpper(forty), strings.Repeat("a", 64): strings.Repeat("a", 64),
	} {
		got, commit := refPattern(text)
		if got != want || commit != isCommit(want) {
			t.Errorf("%q: %q, commit %v, want %q", text, got, commit, want)
		}
	}
}

func TestPolicyRepos(t *testing.T) {
	for text, ok := range map[string]bool{
		"github.com/acme/app": true, "gitlab.com/a/b/c": true, "git.example.com/Acme/App": true,
		"https://github.com/acme/app": false, "github.com/acme/app.git": false, "GitHub.com/acme/app": false, "github.com/acme": false,
		"github.com/acme/*": false, "github.com/acme/app/": false, "github.com//app": false, "github.com/../app": false, "acme/app": false,
		"github.com:443/acme/app": false, "u@github.com/acme/app": false, "github.com/acme/app@v1": false, "github.com/acme/%61pp": false,
		"github.com./acme/app": false, "-a.com/acme/app": false, "a-.com/acme/app": false, "github.com/acme/a b": false, "": false,
		strings.Repeat("a", 64) + ".com/acme/app": false,
	} {
		if err := policyRepo(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A pattern is the whole value, and what is not a pattern does not compile.
func TestPatternsThatCompile(t *testing.T) {
	for text, ok := range map[string]bool{
		"a": true, "*": true, "**": true, "a**b*": true, strings.Repeat("a", maxPatternBytes): true,
		"": false, "***": false, "a?": false, "[a]": false, "{a}": false, `a\b`: false, "!a]": false, "*\xff": false, strings.Repeat("a", maxPatternBytes+1): false,
	} {
		if p, err := compilePattern(text); (err == nil) != ok || err != nil && p.match(text) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for _, test := range []struct {
		re, value string
		ok, want  bool
	}{
		{"v[0-9]", "v1", true, true}, {"v[0-9]", "v12", true, false}, {"v[0-9]", "xv1", true, false},
		{"a|b", "a", true, true}, {"a|b", "ab", true, false}, {"a|b", "xb", true, false}, {"^a$", "a", true, true}, {"a.*", "a\nb", true, false},
		{".*", "a\u202e", true, false}, {".*", strings.Repeat("a", maxValueBytes), true, true}, {".*", strings.Repeat("a", maxValueBytes+1), true, false},
		{strings.Repeat("a", maxRegexpBytes), strings.Repeat("a", maxRegexpBytes), true, true},
		// These would leave the anchors.
		{"a)|(?:b", "b", false, false}, {"(?m)^a$", "a", false, false}, {"(?m:^)a", "a", false, false}, {"a(?m:$)", "a", false, false},
		{"(", "(", false, false}, {`a\`, "a", false, false}, {strings.Repeat("a", maxRegexpBytes+1), "a", false, false}, {`\Ca`, "a", false, false}, {"(?=a)a", "a", false, false},
	} {
		p, err := regexpPattern(test.re)
		if (err == nil) != test.ok || p.match(test.value) != test.want {
			t.Errorf("%.20q against %.20q: %v, %v, want %v", test.re, test.value, p.match(test.value), err, test.want)
		}
	}
}

func TestRangesThatParse(t *testing.T) {
	for text, ok := range map[string]bool{
		">=2.0.0 <3.0.0": true, "=1.2.3": true, ">1.0.0-rc.1": true, "  >=1.0.0  ": true,
		"": false, " ": false, "1.2.3": false, "==1.2.3": false, "=>1.2.3": false, "<>1.0.0": false, "!=1.2.3": false, ">= 1.0.0": false,
		"^1.0.0": false, "~1.0.0": false, "1.x": false, ">=1.x.0": false, ">=1.0.0 || <1.0.0": false, ">=1.0.0,<2.0.0": false, "1.0.0 - 2.0.0": false,
		">=1": false, ">=1.0": false, ">=1.0.0.0": false, ">=v1.0.0": false, ">=01.0.0": false, ">=1.0.0+x": false, ">=1.0.0-": false, ">=1.0.0-01": false,
		">=-1.0.0": false, ">=1.0.0-a..b": false, ">=1.0.0-\u0430": false, ">=*": false, ">": false, ">=99999999999999999999.0.0": false,
	} {
		if r, err := parseRange(text); (err == nil) != ok || ok && len(r.terms) == 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
	// The order of the specification, section 11.
	order := []string{"0.9.9", "1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0--", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "1.10.0", "2.0.0"}
	for i, a := range order {
		for j, b := range order {
			for op, want := range map[string]bool{"=": i == j, "<": i < j, ">": i > j, "<=": i <= j, ">=": i >= j} {
				// The second comparator admits the pre-releases of a.
				r, err := parseRange(op + b + " =" + a)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.match("refs/tags/v" + a); (err == nil) != want {
					t.Errorf("%s %s %s: %v", a, op, b, err)
				}
			}
		}
	}
}

func TestTagPrefixes(t *testing.T) {
	for _, test := range []struct {
		prefix, tag string
		want        bool
	}{
		{"pkg/", "pkg/v1.2.3", true}, {"pkg/", "pkg/1.2.3", true}, {"release-", "release-1.2.3", true},
		{"", "pkg/v1.2.3", false}, {"pkg/", "v1.2.3", false}, {"pkg/", "PKG/v1.2.3", false}, {"pkg/", "pkg/pkg/v1.2.3", false},
		{"pkg/", "pkg/vv1.2.3", false}, {"pkg/", "other/v1.2.3", false}, {"p*g/", "pkg/v1.2.3", false}, {"release-", "release-", false},
	} {
		t.Run(fmt.Sprint(test.prefix, " of ", test.tag), func(t *testing.T) {
			r, err := parseRange(">=1.0.0 <2.0.0")
			if err != nil {
				t.Fatal(err)
			}
			r.prefix = test.prefix
			if err := r.match("refs/tags/" + test.tag); (err == nil) != test.want {
				t.Error(err)
			}
			for _, ref := range []string{test.tag, "refs/heads/" + test.tag, "refs/tags" + test.tag, "REFS/tags/" + test.tag} {
				if r.match(ref) == nil {
					t.Errorf("%s is taken for a tag", ref)
				}
			}
		})
	}
}
