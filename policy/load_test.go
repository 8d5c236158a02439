package policy_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hallmark-dev/hallmark/policy"
)

var update = flag.Bool("update", false, "write what is found into the files of testdata")

// folder is what the policies of testdata name.
var folder = files{
	"key.pub":     publicKey,
	"same.pub":    "\n" + publicKey,
	"not-a-key":   "hello\n",
	"private.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	"root.json":   "{}",
}

// TestLint reads every policy of testdata/lint and compares what is wrong with
// it: NAME.yaml with the file NAME.yaml.want that follows it.
func TestLint(t *testing.T) {
	names, err := filepath.Glob("testdata/lint/*.txt")
	if err != nil || len(names) < 6 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		wants := make(map[string]string)
		var out []txtar.File
		for _, f := range ar.Files {
			if strings.HasSuffix(f.Name, ".want") {
				wants[strings.TrimSuffix(f.Name, ".want")] = string(f.Data)
			}
		}
		for _, f := range ar.Files {
			if strings.HasSuffix(f.Name, ".want") {
				continue
			}
			var got strings.Builder
			refused := 0
			for _, p := range policy.Lint(f.Name, f.Data, folder) {
				fmt.Fprintln(&got, p.Error())
				if p.Severity == policy.SeverityError {
					refused++
				}
			}
			out = append(out, f, txtar.File{Name: f.Name + ".want", Data: []byte(got.String())})
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txt")+"/"+f.Name, func(t *testing.T) {
				if want, ok := wants[f.Name]; !*update && (!ok || want != got.String()) {
					t.Errorf("got\n%s\nwant\n%s", got.String(), want)
				}
				p, err := policy.Load(f.Name, f.Data, folder)
				var le *policy.LoadError
				switch {
				case refused == 0 && (err != nil || p == nil):
					t.Errorf("Lint finds no error, Load says %v", err)
				case refused > 0 && (p != nil || !errors.As(err, &le) || len(le.Problems) != refused):
					t.Errorf("Lint finds %d errors, Load says %v", refused, err)
				case refused == 0 && strings.Count(got.String(), "\n") != len(p.Warnings()):
					t.Errorf("Lint finds other warnings than %v", p.Warnings())
				}
			})
		}
		if *update {
			ar.Files = out
			if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// within is a policy that holds extra at its end.
func within(extra string) []byte {
	return []byte("policy: v1\nexpires: 2030-01-01\nrequire:\n  - provenance: {from: github.com/acme/app@v*}\n" + extra)
}

// TestLimits loads at each limit and refuses beyond it.
func TestLimits(t *testing.T) {
	pad := func(n int) []byte {
		p := within("# ")
		return append(p, strings.Repeat("x", n-len(p))...)
	}
	jsonPad := func(n int) []byte {
		p := []byte(`{"policy":"v1","require":[{"provenance":{"from":"github.com/acme/app@v*"}}]}`)
		return append(p, strings.Repeat(" ", n-len(p))...)
	}
	signers := func(n int) []byte {
		var b strings.Builder
		b.WriteString("signers:\n")
		for i := range n {
			fmt.Fprintf(&b, "  s%d: {email: {issuer: https://a.example, address: a%d@example.com}}\n", i, i)
		}
		return within(b.String())
	}
	rules := func(n int) []byte {
		var b strings.Builder
		b.WriteString("policy: v1\nrequire:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {id: r%d, provenance: {from: github.com/acme/app@v*}}\n", i)
		}
		return []byte(b.String())
	}
	rule := func(format string, args ...any) []byte {
		return []byte("policy: v1\nsigners: {a: {github: {repo: acme/app, workflow: .github/workflows/a.yml, ref: refs/tags/v*}}}\nrequire:\n  - provenance: {by: a, " + fmt.Sprintf(format, args...) + "}\n")
	}
	for _, c := range []struct {
		name   string
		make   func(n int) []byte
		limit  int
		refuse string
	}{
		{"bytes", pad, policy.MaxPolicyBytes, "bytes, want at most 1048576"},
		{"bytes of JSON", jsonPad, policy.MaxPolicyBytes, "bytes, want at most 1048576"},
		{"signers", signers, policy.MaxSigners, "501 signers, want at most 500"},
		{"rules", rules, policy.MaxRules, "501 rules, want at most 500"},
		{"name", func(n int) []byte {
			return append(within(""), ("signers: {" + strings.Repeat("a", n) + ": {email: {issuer: https://a.example, address: a@example.com}}}")...)
		}, 128, "beginning with a letter"},
		{"pattern", func(n int) []byte { return rule("builder: \"%s*\"", strings.Repeat("a", n-1)) }, 1024, "pattern of 1025 bytes, want at most 1024"},
		{"regular expression", func(n int) []byte { return rule("builder: {re: \"%s\"}", strings.Repeat("a", n)) }, 512, "regular expression of 513 bytes, want at most 512"},
		{"text", func(n int) []byte { return rule("builder: {exact: \"%s\"}", strings.Repeat("a", n)) }, 16 << 10, "16385 bytes, want at most 16384"},
		{"members of a map", func(n int) []byte {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "p%d: any, ", i)
			}
			return rule("parameters: {%s}", b.String())
		}, 2000, "more than 2000 names in one map"},
		// The value itself lies in five levels.
		{"depth", func(n int) []byte {
			return rule("parameters: {a: %sx%s}", strings.Repeat("[", n-6), strings.Repeat("]", n-6))
		}, 24, "nested deeper than 24 levels"},
		{"lists in parameters", func(n int) []byte {
			return rule("parameters: {a: %sx%s}", strings.Repeat("[", n), strings.Repeat("]", n))
		}, 9, "lists nested deeper than 8 levels"},
		{"values", func(n int) []byte {
			return rule("parameters: {a: [%s]}", strings.Repeat("x, ", n-26))
		}, 100_000, "more than 100000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := policy.Load("p", c.make(c.limit), nil)
			if err != nil && strings.Contains(err.Error(), c.refuse) || c.name != "depth" && err != nil {
				t.Errorf("at the limit: %v", err)
			}
			if _, err := policy.Load("p", c.make(c.limit+1), nil); err == nil || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("beyond the limit: %v, want %q", err, c.refuse)
			}
		})
	}
	for name, data := range map[string]string{
		"byte order mark": "\xef\xbb\xbfpolicy: v1\n",
		"invalid UTF-8":   "policy: v1\nname: \xff\n",
		"NUL byte":        "policy: v1\x00\n",
	} {
		if _, err := policy.Load("p", []byte(data), nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWarningsHideNoError: however much there is to warn of, the one error
// behind it refuses the policy.
func TestWarningsHideNoError(t *testing.T) {
	var b strings.Builder
	b.WriteString("policy: v1\nsigners:\n")
	for i := range 200 {
		fmt.Fprintf(&b, "  s%d: {github: {repo: acme/app, workflow: .github/workflows/w%d.yml, ref: \"**\"}}\n", i, i)
	}
	b.WriteString("require:\n  - provenance: {by: s0}\n    nonsense: true\n")
	p, err := policy.Load("p", []byte(b.String()), nil)
	if err == nil || p != nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("loaded, or: %v", err)
	}
	// And a file full of errors reports a bounded number of them.
	var le *policy.LoadError
	_, err = policy.Load("p", []byte("policy: v1\nrequire:\n"+strings.Repeat("  - {}\n", 400)), nil)
	if !errors.As(err, &le) || len(le.Problems) != 50 {
		t.Errorf("%v", err)
	}
}

// TestNoFiles: a policy that names files does not load without a folder.
func TestNoFiles(t *testing.T) {
	for _, text := range []string{
		"signers: {a: {key: {file: key.pub}}}\n",
		"trust: {a: {root: {file: root.json, sha256: \"" + strings.Repeat("0", 64) + "\"}}}\n",
	} {
		if _, err := policy.Load("p", within(text), nil); err == nil || !strings.Contains(err.Error(), "without a folder") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// Files are pinned when the policy is loaded.
	p, err := policy.Load("p", within("signers: {a: {key: {file: key.pub}}}\n"), folder)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Files(); len(got) != 1 || got["key.pub"].IsZero() {
		t.Errorf("files %v", got)
	}
	// A key file has a limit.
	big := files{"key.pub": publicKey + strings.Repeat("\n", 16<<10-len(publicKey))}
	if _, err := policy.Load("p", within("signers: {a: {key: {file: key.pub}}}\n"), big); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	big["key.pub"] += "\n"
	if _, err := policy.Load("p", within("signers: {a: {key: {file: key.pub}}}\n"), big); err == nil || !strings.Contains(err.Error(), "more than 16384 bytes") {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestMetadata(t *testing.T) {
	text := append(within("signers: {a: {key: {file: key.pub}, until: 2029-01-01}, b: {trust: k, key: {file: other.pub}, until: 2029-01-01}}\ntrust: {k: {log: none, timestamps: none}, own: {root: {file: root.json, sha256: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a}}}\n"), "name: release\nversion: 7\n"...)
	f := files{"key.pub": publicKey, "root.json": "{}", "other.pub": otherKey}
	p, err := policy.Load("p", text, f)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name() != "release" || p.Version() != 7 || p.Digest() != sumOf(text) || len(p.Files()) != 3 {
		t.Errorf("%q %d %s %v", p.Name(), p.Version(), p.Digest(), p.Files())
	}
	v := p.Verification()
	if fmt.Sprint(v.Roots) != "[github given public-good]" || len(v.Keys) != 2 || !v.KeysAlone || v.NoLog {
		t.Errorf("%+v", v)
	}
	if len(v.Files) != 1 || v.Files[0].Trust != "own" || string(v.Files[0].Data) != "{}" || v.Files[0].Digest != sumOf([]byte("{}")) {
		t.Errorf("%+v", v.Files)
	}
	// What it returns is the caller's.
	v.Files[0].Trust, v.Keys[0] = "x", "x"
	p.Files()["key.pub"] = p.Digest()
	if again := p.Verification(); again.Files[0].Trust != "own" || again.Keys[0] == "x" || p.Files()["key.pub"] == p.Digest() {
		t.Error("a caller changed the policy")
	}
}

func FuzzLoad(f *testing.F) {
	names, _ := filepath.Glob("testdata/lint/*.txt")
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range ar.Files {
			if !strings.HasSuffix(file.Name, ".want") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Load("p", data, folder)
		if (p == nil) == (err == nil) {
			t.Fatal("neither a policy nor an error, or both")
		}
		if err != nil {
			var le *policy.LoadError
			if !errors.As(err, &le) || len(le.Problems) == 0 || le.Problems[0].Line < 1 || le.Problems[0].Column < 1 {
				t.Fatalf("%#v", err)
			}
			return
		}
		// A policy that loads decides nothing without evidence, and explains itself.
		if d := p.Evaluate(input()); d.Outcome == policy.Pass || d.Err() == nil {
			t.Fatal("passes without evidence")
		}
		text := p.Explain()
		again, err := policy.Load("explained", []byte(text), folder)
		if err != nil {
			t.Fatalf("the explained policy does not load: %v\n%s", err, text)
		}
		if twice := again.Explain(); withoutRemarks(twice) != withoutRemarks(text) {
			t.Fatalf("explained twice:\n%s\nonce:\n%s", twice, text)
		}
	})
}
