package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// hostile is what somebody would write to be read as something else.
const hostile = "\x1b[2J\x1b[H\x1b]0;t\aPASS\n\r\v\f\u0085\u2028\u2029\u202e\u2066\u061c\x00\x7f\u009b\xff\xe2\x82"

// clean fails the test if a report lets a hostile text through, or is not one.
func clean(t *testing.T, d policy.Decision) {
	t.Helper()
	text, object := render(t, d)
	for line := range strings.Lines(string(text)) {
		if s := deceiving(strings.TrimSuffix(line, "\n")); s != "" {
			t.Errorf("%s in the line %q", s, line)
		}
		if strings.HasPrefix(line, "PASS") {
			t.Errorf("the line %q is not the report's", line)
		}
	}
	for _, s := range stringsOf(t, object) {
		if bad := deceiving(s); bad != "" {
			t.Errorf("%s in the JSON string %q", bad, s)
		}
	}
	if len(text) > 64<<10 || len(object) > 64<<10 {
		t.Errorf("%d bytes of text, %d of JSON", len(text), len(object))
	}
}

// textsOf finds every text of a struct, in structs and lists within it as well.
func textsOf(v reflect.Value, path string, found func(path string, s reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		found(path, v)
	case reflect.Slice:
		for i := range v.Len() {
			textsOf(v.Index(i), fmt.Sprintf("%s[%d]", path, i), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				textsOf(v.Field(i), path+"."+f.Name, found)
			}
		}
	}
}

// Every field of a certificate is compared with something, and what differs is
// shown: none may bring signs along.
func TestHostileCertificates(t *testing.T) {
	const text = `policy: v1
signers:
  ci: {github: {repo: acme/app, ref: refs/tags/v*, workflow: .github/workflows/release.yml, repoID: "1", ownerID: "2", environment: prod, entry: .github/workflows/release.yml}}
  lab: {gitlab: {project: acme/app, ref: refs/tags/v*}}
  jo: {email: {issuer: https://accounts.example.com, address: jo@example.com}}
  robot: {oidc: {issuer: https://accounts.example.com, subject: one}}
require:
  - {id: build, provenance: {by: ci, source: {repo: github.com/acme/app, tag: ">=1.0.0"}}}
  - {id: lab, provenance: {by: lab, builder: "https://gitlab.com/**", source: {repo: gitlab.com/acme/app, branch: main}}}
  - {id: jo, signature: {by: jo, content: any}}
  - {id: robot, signature: {by: robot, content: any}}
`
	full := func() *evidence.Certificate {
		c := run("acme/app", tag)
		c.Legacy = evidence.Legacy{Issuer: c.Issuer, Trigger: "push", SHA: commit, Workflow: "release", Repository: "acme/app", Ref: tag}
		return c
	}
	n := 0
	for _, content := range []string{hostile, strings.Repeat("A", 10<<10), strings.Repeat("\u202e", 10<<10)} {
		textsOf(reflect.ValueOf(full()).Elem(), "certificate", func(path string, s reflect.Value) {
			n++
			t.Run(fmt.Sprintf("%s of %d bytes", path, len(content)), func(t *testing.T) {
				c := full()
				st := provenance(c, artifact)
				textsOf(reflect.ValueOf(c).Elem(), "certificate", func(other string, s reflect.Value) {
					if other == path {
						s.SetString(s.String() + content)
					}
				})
				d := evaluate(t, text, input(piece(1, c, st)))
				if d.Err() == nil || len(d.Rules[0].NearMisses) != 1 {
					t.Fatalf("%s, %d near misses", d.Outcome, len(d.Rules[0].NearMisses))
				}
				clean(t, d)
			})
		})
	}
	if n < 3*25 {
		t.Errorf("only %d texts", n)
	}
}

// The same of what a predicate says: each of its texts, and each of its names.
func TestHostilePredicates(t *testing.T) {
	app := run("acme/app", tag)
	var plain any
	if err := json.Unmarshal(provenance(app, artifact).Predicate(), &plain); err != nil {
		t.Fatal(err)
	}
	// replace changes the text number n of a value, and counts them.
	var replace func(v any, n *int, with string) any
	replace = func(v any, n *int, with string) any {
		switch v := v.(type) {
		case string:
			if *n--; *n == -1 {
				return v + with
			}
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = replace(v[i], n, with)
			}
			return out
		case map[string]any:
			out := make(map[string]any)
			names := make([]string, 0, len(v))
			for k := range v {
				names = append(names, k)
			}
			slices.Sort(names)
			for _, k := range names {
				name := replace(k, n, with).(string)
				out[name] = replace(v[k], n, with)
			}
			return out
		}
		return v
	}
	count := 0
	replace(plain, &count, "")
	count = -count
	if count < 20 {
		t.Fatalf("only %d texts", count)
	}
	for i := range count {
		for _, content := range []string{hostile, strings.Repeat("A", 10<<10)} {
			t.Run(fmt.Sprintf("text %d with %d bytes", i, len(content)), func(t *testing.T) {
				n := i
				p := replace(plain, &n, strings.ToValidUTF8(content, "?"))
				d := evaluate(t, release, input(piece(1, app, statement(typeV1, p, artifact)), approval()))
				if d.Err() == nil || len(d.Rules[0].NearMisses) != 1 {
					t.Fatalf("%s, %d near misses", d.Outcome, len(d.Rules[0].NearMisses))
				}
				clean(t, d)
			})
		}
	}
}

// What was verified is shown of evidence that was used, too.
func TestHostileFacts(t *testing.T) {
	app := run("acme/app", tag)
	for name, change := range map[string]func(*evidence.Facts, string){
		"bundle":    func(f *evidence.Facts, s string) { f.Bundle += s },
		"envelope":  func(f *evidence.Facts, s string) { f.Envelope += s },
		"root name": func(f *evidence.Facts, s string) { f.Root.Name += s },
		"authority": func(f *evidence.Facts, s string) { f.Times[0].Authority += s },
		"log":       func(f *evidence.Facts, s string) { f.Logs[0].Log += s },
	} {
		for _, content := range []string{hostile, strings.Repeat("A", 10<<10)} {
			t.Run(fmt.Sprintf("%s with %d bytes", name, len(content)), func(t *testing.T) {
				e := piece(1, app, provenance(app, artifact), func(f *evidence.Facts) { change(f, content) }).At("dist/" + content)
				d := evaluate(t, release, input(e, approval()))
				if d.Outcome != policy.Pass {
					t.Fatal(d.Message)
				}
				text, _ := render(t, d)
				if n := bytes.Count(text, []byte("PASS  app")); n != 1 || !bytes.HasPrefix(text, []byte("PASS  app.tar.gz\n")) {
					t.Errorf("%d lines of a pass in\n%s", n, text)
				}
				d.Outcome = policy.Fail // so that no line may say PASS
				clean(t, d)
			})
		}
	}
}

// Programs read the outcome in one word, and never two decisions in one.
func TestJSONIsOneDecision(t *testing.T) {
	app := run("acme/app", tag)
	good := []evidence.Evidence{piece(1, app, provenance(app, artifact)), approval()}
	elsewhere := input(good...)
	elsewhere.Artifact.Name = "other"
	late := input(good...)
	late.Now = time.Time{}
	for want, in := range map[string]policy.Input{"pass": input(good...), "fail": input(), "not-covered": elsewhere, "error": late} {
		t.Run(want, func(t *testing.T) {
			d := evaluate(t, release, in)
			text, object := render(t, d)
			var got map[string]any
			dec := json.NewDecoder(bytes.NewReader(object))
			if err := dec.Decode(&got); err != nil || dec.More() || !bytes.HasSuffix(object, []byte("\n}\n")) {
				t.Fatalf("%v, more %v:\n%s", err, dec.More(), object)
			}
			if got["outcome"] != want || got["schemaVersion"] != float64(report.SchemaVersion) || got["message"] == "" {
				t.Errorf("outcome %v of schema %v: %v", got["outcome"], got["schemaVersion"], got["message"])
			}
			// A list that is empty is there, so that a program can tell it from one
			// that it does not know.
			for _, name := range []string{"rules", "evidence", "relaxations"} {
				if _, ok := got[name].([]any); !ok {
					t.Errorf("%s is %v, want a list", name, got[name])
				}
			}
			if bytes.HasPrefix(text, []byte("PASS")) != (want == "pass") || bytes.Contains(object, []byte("0001-01-01")) || bytes.Contains(text, []byte("0001-01-01")) {
				t.Errorf("text %s\nobject %s", text, object)
			}
			_, kept := got["validUntil"]
			if kept != !d.ValidUntil.IsZero() {
				t.Errorf("validUntil %v, want that of %s", got["validUntil"], d.ValidUntil)
			}
		})
	}
	// Characters of HTML stay as they are: this is no web page, and a range has them.
	_, object := render(t, evaluate(t, release, denied()))
	if !bytes.Contains(object, []byte(">=1.0.0 <2.0.0")) {
		t.Error("the range is written in another way")
	}
}

// A status that no rule set must not read like a pass.
func TestStatusMarks(t *testing.T) {
	d := policy.Decision{Artifact: policy.Artifact{Name: "app", Digests: attest.Set(artifact)}, Rules: []policy.RuleResult{
		{ID: "a", Kind: "k"}, {ID: "b", Kind: "k", Status: policy.StatusFail, Code: policy.NoEvidence, Message: "none"}, {ID: "c", Kind: "k", Status: policy.StatusPass}}}
	text, _ := render(t, d)
	for _, line := range []string{"COULD NOT DECIDE  app\n", "  ? a (k)", "  - b (k): NO_EVIDENCE none\n", "  + c (k)\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	// Without a name the digest stands for it, once.
	d.Artifact.Name = ""
	if text, _ := render(t, d); !bytes.HasPrefix(text, []byte("COULD NOT DECIDE  "+artifact.String()+"\n  ?")) {
		t.Errorf("no digest, or another line, at the top of\n%s", text)
	}
	d.Outcome = policy.Outcome(99)
	if text, object := render(t, d); !bytes.HasPrefix(text, []byte("COULD NOT DECIDE")) || !bytes.Contains(object, []byte(`"outcome": "error"`)) {
		t.Errorf("an outcome that is none is\n%s%s", text, object)
	}
}

// broken takes nothing.
type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrors(t *testing.T) {
	d := evaluate(t, release, denied())
	for name, render := range map[string]func() error{
		"text": func() error { return report.Text(broken{}, d) },
		"JSON": func() error { return report.JSON(broken{}, d) },
	} {
		if err := render(); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want what the writer said", name, err)
		}
	}
}
