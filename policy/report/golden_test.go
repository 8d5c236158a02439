package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/policy/report"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

var update = flag.Bool("update", false, "write what is rendered into the files of testdata")

const (
	commit  = "0123456789abcdef0123456789abcdef01234567"
	typeV1  = "https://slsa.dev/provenance/v1"
	tag     = "refs/tags/v1.2.3"
	release = `policy: v1
name: release
version: 3
expires: 2026-03-04T12:00:00Z
artifacts: {files: ["app*"]}
trust:
  key-only: {log: none, timestamps: none}
signers:
  ci: {github: {repo: acme/app, ref: refs/tags/v*, workflow: .github/workflows/release.yml}}
  approver: {key: {file: approver.pub}, trust: key-only, until: 2027-01-01T00:00:00Z}
require:
  - id: build
    provenance: {by: ci, source: {repo: github.com/acme/app, tag: ">=1.0.0 <2.0.0"}}
  - id: approval
    signature: {by: approver}
`
	approver = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
)

var (
	now      = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	signed   = now.Add(-time.Hour)
	artifact = digest("a")
	rootSHA  = digest("1")
)

// digest is a SHA-256 of one hexadecimal digit repeated.
func digest(digit string) attest.Digest {
	return must(attest.ParseDigest("sha256:" + strings.Repeat(digit, 64)))
}

// must is for what the tests themselves make.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// run is the certificate of a GitHub run of this repository at this ref.
func run(name, ref string) *evidence.Certificate {
	repo := "https://github.com/" + name
	uri := repo + "/.github/workflows/release.yml@" + ref
	return &evidence.Certificate{
		NotBefore: signed.Add(-time.Minute), NotAfter: signed.Add(9 * time.Minute),
		SANs:   []evidence.SAN{{Kind: "uri", Value: uri}},
		Issuer: "https://token.actions.githubusercontent.com", BuildSignerURI: uri, BuildSignerDigest: commit,
		RunnerEnvironment: "github-hosted", SourceRepositoryURI: repo, SourceDigest: commit, SourceRef: ref,
		BuildConfigURI: uri, BuildConfigDigest: commit, BuildTrigger: "push",
	}
}

// provenance is what that run says about an artifact.
func provenance(c *evidence.Certificate, about attest.Digest) *attest.Statement {
	repo, ref := c.SourceRepositoryURI, c.SourceRef
	return statement(typeV1, map[string]any{
		"buildDefinition": map[string]any{
			"buildType": "https://actions.github.io/buildtypes/workflow/v1",
			"externalParameters": map[string]any{"workflow": map[string]any{
				"ref": ref, "repository": repo, "path": ".github/workflows/release.yml"}},
			"resolvedDependencies": []any{map[string]any{"uri": "git+" + repo + "@" + ref, "digest": map[string]any{"gitCommit": commit}}},
		},
		"runDetails": map[string]any{"builder": map[string]any{"id": c.BuildSignerURI}},
	}, about)
}

// statement goes through Parse, as what a verifier reads does: it takes any text
// for a predicate type, where New wants a URI.
func statement(predicateType string, predicate any, about attest.Digest) *attest.Statement {
	return must(attest.Parse(must(json.Marshal(map[string]any{
		"_type": attest.StatementV1, "predicateType": predicateType, "predicate": predicate,
		"subject": []any{map[string]any{"name": "app.tar.gz", "digest": attest.Set(about)}},
	}))))
}

// piece makes evidence by a certificate, logged and timed under the public good
// root.
func piece(n int, c *evidence.Certificate, st *attest.Statement, change ...func(*evidence.Facts)) evidence.Evidence {
	f := evidence.Facts{
		Bundle: fmt.Sprintf("sha256:%064d", n), Envelope: fmt.Sprintf("sha256:%064d", n), Statement: st,
		Signer: evidence.Signer{Certificate: c}, SCT: true,
		Root:  evidence.TrustRoot{Name: policy.PublicGood, Digest: rootSHA, HasLogs: true, HasCT: true},
		Times: []evidence.Time{{Kind: evidence.RekorSET, Time: signed, Authority: "https://rekor.example.com"}},
		Logs:  []evidence.LogEntry{{LogID: "ab", Log: "https://rekor.example.com", Index: int64(n), Kind: "dsse 0.0.1", Included: true}},
	}
	for _, c := range change {
		c(&f)
	}
	return evidence.New(f)
}

// approval is a message signature by the approver's key alone.
func approval() evidence.Evidence {
	return piece(9, nil, nil, func(f *evidence.Facts) {
		f.Message, f.Times, f.Logs, f.Root, f.SCT = artifact, nil, nil, evidence.TrustRoot{}, false
		f.Signer = evidence.Signer{Key: &evidence.Key{SPKI: must(key.ParsePublic([]byte(approver))).Fingerprint()}}
	}).At("dist/app.sig.json")
}

func input(pieces ...evidence.Evidence) policy.Input {
	return policy.Input{
		Artifact: policy.Artifact{Name: "app.tar.gz", Digests: attest.Set(artifact)},
		Evidence: pieces, Now: now,
		Roots: []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}},
	}
}

// denied is an input of eight pieces, of which one counts: near misses at every
// stage, a copy, one about another artifact, and one refused twice.
func denied() policy.Input {
	late, fork, app := run("acme/app", "refs/tags/v2.0.0"), run("mallory/app", tag), run("acme/app", tag)
	otherRoot := func(f *evidence.Facts) {
		f.Root = evidence.TrustRoot{Name: "staging", Digest: digest("2")}
		f.Logs, f.Times = nil, nil
	}
	in := input(
		piece(1, late, provenance(late, artifact)).At("dist/late.json"),
		piece(2, late, provenance(late, artifact), func(f *evidence.Facts) { f.Envelope = fmt.Sprintf("sha256:%064d", 1) }).At("dist/copy.json"),
		piece(3, fork, provenance(fork, artifact)).At("dist/fork.json"),
		piece(4, app, provenance(app, artifact), otherRoot),
		piece(5, app, provenance(app, digest("b"))).At("dist/other.json"),
		approval(),
	)
	for _, location := range []string{"dist/broken.json", "mirror/broken.json"} {
		in.Rejected = append(in.Rejected, policy.Rejected{Bundle: digest("c").String(), Location: location, Reason: "bad-signature", Detail: "the signature does not verify"})
	}
	return in
}

func evaluate(t testing.TB, text string, in policy.Input) policy.Decision {
	t.Helper()
	p, err := policy.Load("policy.yaml", []byte(text), fstest.MapFS{"approver.pub": {Data: []byte(approver)}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Evaluate(in)
}

func render(t testing.TB, d policy.Decision) (text, object []byte) {
	t.Helper()
	var a, b bytes.Buffer
	if err := report.Text(&a, d); err != nil {
		t.Fatal(err)
	}
	if err := report.JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	return a.Bytes(), b.Bytes()
}

func TestGolden(t *testing.T) {
	app := run("acme/app", tag)
	build := piece(1, app, provenance(app, artifact)).At("dist/app.json")

	undecided := input(approval(), piece(2, app, statement("https://in-toto.io/attestation/test-result/v0.1", map[string]any{}, artifact)))
	undecided.Sources = []policy.SourceReport{{Name: "dist", Found: 2}, {Name: "registry.example.com", Error: "503 Service Unavailable", Retryable: true}}
	elsewhere := input(build)
	elsewhere.Artifact.Name = "other.tar.gz"

	for _, test := range []struct {
		name     string
		decision policy.Decision
		outcome  policy.Outcome // a rewritten file must not turn a no into a yes
		err      error
	}{
		{"pass", evaluate(t, release, input(build, approval())), policy.Pass, nil},
		{"denied", evaluate(t, release, denied()), policy.Fail, &policy.Denied{}},
		{"undecided", evaluate(t, release, undecided), policy.Error, &policy.Undecided{}},
		{"not-covered", evaluate(t, release, elsewhere), policy.NotCovered, &policy.Denied{}},
		{"zero", policy.Decision{}, policy.Error, &policy.Undecided{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.decision.Outcome; got != test.outcome {
				t.Errorf("outcome %s, want %s", got, test.outcome)
			}
			if err := test.decision.Err(); reflect.TypeOf(err) != reflect.TypeOf(test.err) {
				t.Errorf("error %T, want %T", err, test.err)
			}
			text, object := render(t, test.decision)
			compare(t, test.name+".txt.golden", text)
			compare(t, test.name+".json.golden", object)
		})
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// A sign that deceives a reader or moves a cursor must not come through, from
// wherever it was written, nor may a text add a line of its own.
func TestHostileTexts(t *testing.T) {
	const plain = `policy: v1
signers:
  ci: {github: {repo: acme/app, ref: refs/tags/v*, workflow: .github/workflows/release.yml}}
require:
  - provenance: {by: ci}
  - signature: {by: ci, content: any}
`
	fork := run("mallory/app", tag)
	near := func() evidence.Evidence { return piece(1, fork, provenance(fork, artifact)) }
	refused := func(r policy.Rejected) policy.Input {
		in := input()
		in.Rejected = []policy.Rejected{r}
		return in
	}
	from := func(s policy.SourceReport) policy.Input {
		in := input()
		in.Sources = []policy.SourceReport{s}
		return in
	}
	named := func(name string) policy.Input {
		in := input(near())
		in.Artifact.Name = name
		return in
	}
	places := []struct {
		name   string
		policy string
		input  func(text string) policy.Input
	}{
		{"artifact name", plain, named},
		{"artifact name out of scope", release, named},
		{"location of a near miss", plain, func(s string) policy.Input { return input(near().At(s)) }},
		{"location of another artifact's", plain, func(s string) policy.Input {
			return input(piece(1, fork, provenance(fork, digest("b"))).At(s))
		}},
		{"source that failed", plain, func(s string) policy.Input { return from(policy.SourceReport{Name: s, Error: "down"}) }},
		{"source that has nothing", plain, func(s string) policy.Input { return from(policy.SourceReport{Name: s}) }},
		{"source error", plain, func(s string) policy.Input { return from(policy.SourceReport{Name: "dist", Error: s}) }},
		{"rejected detail", plain, func(s string) policy.Input {
			return refused(policy.Rejected{Bundle: digest("c").String(), Reason: "malformed", Detail: s})
		}},
		{"rejected detail that needs a digest", plain, func(s string) policy.Input {
			return refused(policy.Rejected{Bundle: digest("c").String(), Reason: "digest-needed", Detail: s})
		}},
		{"rejected reason", plain, func(s string) policy.Input {
			return refused(policy.Rejected{Bundle: digest("c").String(), Reason: s})
		}},
		{"rejected location", plain, func(s string) policy.Input {
			return refused(policy.Rejected{Bundle: digest("c").String(), Location: s, Reason: "malformed"})
		}},
		{"rejected bundle", plain, func(s string) policy.Input {
			return refused(policy.Rejected{Bundle: s, Reason: "malformed"})
		}},
		{"certificate SAN", plain, func(s string) policy.Input {
			c := run("acme/app", tag)
			c.SANs[0].Value = s
			return input(piece(1, c, provenance(c, artifact)))
		}},
		{"predicate type", plain, func(s string) policy.Input {
			return input(piece(1, fork, statement(s, map[string]any{}, artifact)))
		}},
	}
	// Each begins with this, so that a text that is not shown at all is noticed.
	const begin = "evil"
	texts := map[string]string{
		"ANSI escapes":        "\x1b[2J\x1b[H\x1b]0;title\a\x1b[32mPASS",
		"newlines":            "\nPASS  app.tar.gz\r\n\v\f\u0085\u2028\u2029",
		"bidi controls":       "\u202e\u202a\u2066\u2069\u200e\u200f\u061c",
		"other controls":      "\x00\x08\x7f\u0080\u009b2J",
		"10 kB":               strings.Repeat("A", 10<<10),
		"10 kB of escapes":    strings.Repeat("\x1b", 10<<10),
		"10 kB of long runes": "A" + strings.Repeat("\U0001f600", 10<<8), // the cut falls inside a rune
		"invalid UTF-8":       "\xff\xc0\x80\xe2\x82\xed\xa0\x80",
		"invalid to the end":  strings.Repeat("\xff", 10<<10),
	}
	for _, place := range places {
		harmless, _ := render(t, evaluate(t, place.policy, place.input(begin)))
		for name, text := range texts {
			t.Run(place.name+"/"+name, func(t *testing.T) {
				d := evaluate(t, place.policy, place.input(begin+text))
				if d.Err() == nil {
					t.Fatal("passed")
				}
				got, object := render(t, d)
				if !bytes.Contains(got, []byte(begin)) {
					t.Fatalf("the text is not shown:\n%s", got)
				}
				if s := deceiving(strings.ReplaceAll(string(got), "\n", "")); s != "" {
					t.Errorf("%s in %q", s, got)
				}
				if got, want := bytes.Count(got, []byte("\n")), bytes.Count(harmless, []byte("\n")); got != want {
					t.Errorf("%d lines, and %d for a harmless text", got, want)
				}
				if len(got) > 16<<10 || len(object) > 32<<10 {
					t.Errorf("%d bytes of text, %d of JSON", len(got), len(object))
				}
				shown := false
				for _, s := range stringsOf(t, object) {
					shown = shown || strings.Contains(s, begin)
					if bad := deceiving(s); bad != "" {
						t.Errorf("%s in the JSON string %q", bad, s)
					}
				}
				if !shown {
					t.Error("the text is not in the JSON")
				}
			})
		}
	}
}

// deceiving names the first character of a line that must not reach a terminal.
// The list is written out, and not taken from the code under test.
func deceiving(s string) string {
	if !utf8.ValidString(s) {
		return "invalid UTF-8"
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || strings.ContainsRune("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

// stringsOf parses exactly one JSON object and returns its names and texts.
func stringsOf(t *testing.T, data []byte) []string {
	t.Helper()
	if !json.Valid(data) || !bytes.HasPrefix(data, []byte("{")) {
		t.Fatalf("not a JSON object:\n%s", data)
	}
	var out []string
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := token.(string); ok {
			out = append(out, s)
		}
	}
}

// A report of the same evidence is the same report, or nobody could compare two.
func TestOrderDoesNotMatter(t *testing.T) {
	in := denied()
	if n := len(in.Evidence) + len(in.Rejected); n != 8 {
		t.Fatalf("%d pieces, want 8", n)
	}
	d := evaluate(t, release, in)
	if n := len(d.Rules[0].NearMisses); n != 3 || len(d.Evidence) != 8 {
		t.Fatalf("%d near misses and %d pieces reported, want 3 and 8", n, len(d.Evidence))
	}
	text, object := render(t, d)
	random := rand.New(rand.NewPCG(1, 2))
	moved := 0
	for i := range 20 {
		again := denied()
		random.Shuffle(len(again.Evidence), func(i, j int) {
			again.Evidence[i], again.Evidence[j] = again.Evidence[j], again.Evidence[i]
		})
		random.Shuffle(len(again.Rejected), func(i, j int) {
			again.Rejected[i], again.Rejected[j] = again.Rejected[j], again.Rejected[i]
		})
		if again.Evidence[0].Bundle() != in.Evidence[0].Bundle() && again.Rejected[0] != in.Rejected[0] {
			moved++
		}
		gotText, gotObject := render(t, evaluate(t, release, again))
		if !bytes.Equal(gotText, text) {
			t.Errorf("shuffle %d: text\n%s\nwant\n%s", i, gotText, text)
		}
		if !bytes.Equal(gotObject, object) {
			t.Errorf("shuffle %d: JSON\n%s\nwant\n%s", i, gotObject, object)
		}
	}
	if moved == 0 {
		t.Error("no shuffle moved both the evidence and the rejected")
	}
}
