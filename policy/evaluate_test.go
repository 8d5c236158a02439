package policy_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// twoRules asks for provenance by a workflow and a message signed by a person.
const twoRules = "policy: v1\nsigners:\n  s: {github: {repo: acme/app, ref: refs/tags/v*}}\n  jo: {email: {issuer: https://accounts.google.com, address: jo@example.com}}\n" +
	"require:\n  - id: build\n    provenance: {by: s}\n  - id: approval\n    signature: {by: jo}\n"

// approval is a message signature by Jo.
func approval(n int, change ...func(*evidence.Facts)) evidence.Evidence {
	c := &evidence.Certificate{Issuer: "https://accounts.google.com", SANs: []evidence.SAN{{Kind: "email", Value: "jo@example.com"}}}
	return piece(n, by(c), nil, append([]func(*evidence.Facts){message}, change...)...)
}

// otherArtifact is good evidence, and about something else.
func otherArtifact(n int) evidence.Evidence {
	return piece(n, by(githubCert()), statement(typeV1, provenanceOf(githubCert()),
		attest.Subject{Name: "app", Digest: attest.DigestSet{"sha256": strings.Repeat("b", 64)}}))
}

// verifyReasons reads every reason that the verifier has out of its source, so
// that a new one cannot be forgotten here.
func verifyReasons(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../verify/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Reason" {
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, text)
			}
		}
		return true
	})
	if len(out) < 16 {
		t.Fatalf("only %d reasons found", len(out))
	}
	return out
}

// Whatever the verifier says, the policy has a code for it. Refused evidence
// satisfies nothing, and takes nothing away from evidence that does.
func TestEveryReasonOfTheVerifier(t *testing.T) {
	codes := map[string]policy.Code{
		"misused": policy.Undecidable, "no-artifact": policy.DigestNeeded, "digest-needed": policy.DigestNeeded,
		"malformed": policy.Malformed, "payload-type": policy.Malformed,
		"subject-mismatch": policy.SubjectMismatch, "bad-signature": policy.BadSignature,
		"not-logged": policy.NotLogged, "log-invalid": policy.NotLogged,
		"no-trusted-time": policy.NoTime, "timestamp-invalid": policy.NoTime, "certificate-expired": policy.NoTime, "key-expired": policy.NoTime,
		"certificate-untrusted": policy.UntrustedSigner, "sct-invalid": policy.UntrustedSigner, "key-unknown": policy.UntrustedSigner,
	}
	undecided := []string{"misused", "no-artifact", "digest-needed"}
	p := load(t, oneRule)
	for _, reason := range verifyReasons(t) {
		t.Run(reason, func(t *testing.T) {
			want, ok := codes[reason]
			if !ok {
				t.Fatal("a new reason: say here which code it gets")
			}
			in := input()
			in.Rejected = []policy.Rejected{{Bundle: "sha256:x", Location: "app.json", Reason: reason, Detail: "because"}}
			d := p.Evaluate(in)
			outcome := policy.Fail
			if slices.Contains(undecided, reason) {
				outcome = policy.Error
			}
			if d.Outcome != outcome || d.Rules[0].Code != want || !strings.Contains(d.Message, "app.json") || !strings.Contains(d.Message, "because") {
				t.Errorf("%s %s %q, want %s %s and what was refused", d.Outcome, d.Rules[0].Code, d.Message, outcome, want)
			}
			if len(d.Evidence) != 1 || d.Evidence[0].Disposition != policy.DispositionRejected || d.Evidence[0].Code != want {
				t.Errorf("disposition %+v, want rejected with %s", d.Evidence, want)
			}
			in.Evidence = []evidence.Evidence{good(1)}
			d = p.Evaluate(in)
			wantPass(t, d)
			if len(d.Evidence) != 2 || d.Evidence[1].Disposition != policy.DispositionRejected {
				t.Errorf("disposition %+v, want the refused piece after the used one", d.Evidence)
			}
		})
	}
}

// Every piece has exactly one disposition, the right one.
func TestDispositions(t *testing.T) {
	type fate struct {
		Disposition policy.Disposition
		Code        policy.Code
	}
	sbom := piece(5, by(githubCert()), statement("https://spdx.dev/Document", "{}"))
	in := input(
		good(1).At("first"), good(1).At("second"), // one file in two places
		good(2, func(f *evidence.Facts) { f.Envelope = good(1).Envelope() }).At("third"), // one envelope in two files
		mallory(3).At("fork"),
		otherArtifact(4).At("elsewhere"),
		sbom.At("sbom"),
		approval(6).At("approval"),
		evidence.Evidence{}, // nothing was handed in, so nothing is reported
	)
	in.Rejected = []policy.Rejected{{Bundle: "sha256:x", Location: "broken", Reason: "bad-signature"}}
	d := load(t, twoRules).Evaluate(in)
	wantPass(t, d)
	got := make(map[string]fate)
	for _, e := range d.Evidence {
		if _, twice := got[e.Evidence.Location]; twice {
			t.Errorf("%s has two dispositions", e.Evidence.Location)
		}
		got[e.Evidence.Location] = fate{e.Disposition, e.Code}
	}
	want := map[string]fate{
		"first":     {policy.DispositionUsed, ""},
		"second":    {policy.DispositionIgnored, ""},
		"third":     {policy.DispositionIgnored, ""},
		"fork":      {policy.DispositionRejected, policy.UntrustedSigner},
		"elsewhere": {policy.DispositionIgnored, policy.SubjectMismatch},
		"sbom":      {policy.DispositionIgnored, policy.WrongType},
		"approval":  {policy.DispositionUsed, ""},
		"broken":    {policy.DispositionRejected, policy.BadSignature},
	}
	for place, f := range want {
		if got[place] != f {
			t.Errorf("%s: %v, want %v", place, got[place], f)
		}
	}
	if len(d.Evidence) != len(want) {
		t.Errorf("%d pieces are reported, want %d", len(d.Evidence), len(want))
	}
	for _, r := range d.Rules {
		if len(r.Used) != 1 || len(r.NearMisses) != 0 {
			t.Errorf("%s used %d pieces, and has %d near misses; want 1 and none", r.ID, len(r.Used), len(r.NearMisses))
		}
	}
}

// What is missing in a call is never made good by what is there, nor by another
// thing that is missing.
func TestFaultsDoNotCancelOut(t *testing.T) {
	faults := []struct {
		name  string
		apply func(*policy.Input)
	}{
		{"expired", func(in *policy.Input) { in.Now = in.Now.AddDate(10, 0, 0) }},
		{"no time", func(in *policy.Input) { in.Now = time.Time{} }},
		{"no strong digest", func(in *policy.Input) { in.Artifact.Digests = attest.DigestSet{"sha1": commit, "gitCommit": commit} }},
		{"too much", func(in *policy.Input) { in.Rejected = make([]policy.Rejected, policy.MaxEvidence+1) }},
		{"out of scope", func(in *policy.Input) { in.Artifact.Name = "other.zip" }},
		{"no roots", func(in *policy.Input) { in.Roots = nil }},
	}
	p := load(t, "expires: 2030-01-01\nartifacts: {files: [\"*.tar.gz\"]}\n"+oneRule)
	wantPass(t, p.Evaluate(input(good(1))))
	for set := 1; set < 1<<len(faults); set++ {
		in, names := input(good(1)), []string{}
		for i, f := range faults {
			if set&(1<<i) != 0 {
				f.apply(&in)
				names = append(names, f.name)
			}
		}
		if d := p.Evaluate(in); d.Outcome == policy.Pass || d.Err() == nil || d.Message == "" {
			t.Errorf("%v: %s %q", names, d.Outcome, d.Message)
		}
	}
}

func TestScope(t *testing.T) {
	p := load(t, "artifacts: {files: [\"app-*.tar.gz\", \"*.deb\", \"dist/**\"]}\n"+oneRule)
	for name, covered := range map[string]bool{
		"app-1.tar.gz": true, "x.deb": true, "dist/a/b": true,
		"": false, "app-1.tar.gz.sig": false, "APP-1.tar.gz": false, "app-a/b.tar.gz": false, "a/x.deb": false,
		"dist": false, "dist/": false, "dist/../x.rpm": false, "dist//x": false, "x.deb\n": false, "x.deb\u202e": false,
	} {
		t.Run(name, func(t *testing.T) {
			in := input(good(1))
			in.Artifact.Name = name
			d := p.Evaluate(in)
			if covered {
				wantPass(t, d)
				return
			}
			var denied *policy.Denied
			if d.Outcome != policy.NotCovered || !errors.As(d.Err(), &denied) || denied.Decision.Outcome != policy.NotCovered {
				t.Fatalf("%s, %v, want not covered", d.Outcome, d.Err())
			}
			if !strings.Contains(d.Message, "app-*.tar.gz, *.deb, dist/**") {
				t.Errorf("%q does not say what is covered", d.Message)
			}
			if len(d.Rules)+len(d.Evidence) != 0 || !d.ValidUntil.IsZero() {
				t.Errorf("%d rules, %d pieces, valid until %s: want nothing judged, nothing to reuse", len(d.Rules), len(d.Evidence), d.ValidUntil)
			}
		})
	}
}

// A digest binds when one strong algorithm is shared and all shared ones agree.
func TestDigestsThatBind(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	c, e := strings.Repeat("c", 128), strings.Repeat("e", 128)
	names := 0
	subject := func(digests ...string) attest.Subject {
		set := make(attest.DigestSet)
		for i := 0; i < len(digests); i += 2 {
			set[digests[i]] = digests[i+1]
		}
		names++ // a statement has no name twice
		return attest.Subject{Name: fmt.Sprint("app", names), Digest: set}
	}
	both := attest.DigestSet{"sha256": a, "sha512": c}
	for _, test := range []struct {
		name     string
		artifact attest.DigestSet
		subjects []attest.Subject
		outcome  policy.Outcome
	}{
		{"both", both, []attest.Subject{subject("sha256", a, "sha512", c)}, policy.Pass},
		{"one of two", both, []attest.Subject{subject("sha512", c)}, policy.Pass},
		{"the second subject", both, []attest.Subject{subject("sha256", b), subject("sha256", a)}, policy.Pass},
		{"sha256 equal, sha512 not", both, []attest.Subject{subject("sha256", a, "sha512", e)}, policy.Fail},
		{"sha512 equal, sha256 not", both, []attest.Subject{subject("sha256", b, "sha512", c)}, policy.Fail},
		{"a conflict behind a match", both, []attest.Subject{subject("sha256", a, "sha512", c), subject("sha256", a, "sha512", e)}, policy.Fail},
		{"a conflict before a match", both, []attest.Subject{subject("sha256", a, "sha512", e), subject("sha256", a, "sha512", c)}, policy.Fail},
		{"sha1 equal, sha256 not", attest.DigestSet{"sha256": a, "sha1": commit}, []attest.Subject{subject("sha256", b, "sha1", commit)}, policy.Fail},
		{"sha1 equal, alone", attest.DigestSet{"sha256": a, "sha1": commit}, []attest.Subject{subject("sha1", commit)}, policy.Fail},
		{"upper case", attest.DigestSet{"sha256": strings.ToUpper(a)}, []attest.Subject{subject("sha256", a)}, policy.Error},
		{"upper case beside a match", attest.DigestSet{"sha256": strings.ToUpper(a), "sha512": c}, []attest.Subject{subject("sha256", a, "sha512", c)}, policy.Fail},
		{"shortened", attest.DigestSet{"sha256": a[:40]}, []attest.Subject{subject("sha256", a)}, policy.Error},
		{"empty text", attest.DigestSet{"sha256": ""}, []attest.Subject{subject("sha256", a)}, policy.Error},
		{"another algorithm's name", attest.DigestSet{"sha3-256": a}, []attest.Subject{subject("sha256", a)}, policy.Error},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := input(piece(1, by(githubCert()), statement(typeV1, provenanceOf(githubCert()), test.subjects...)))
			in.Artifact.Digests = test.artifact
			d := load(t, oneRule).Evaluate(in)
			if d.Outcome != test.outcome {
				t.Fatalf("%s: %s, want %s", d.Outcome, d.Message, test.outcome)
			}
			if test.outcome == policy.Fail && (d.Rules[0].Code != policy.SubjectMismatch || d.Evidence[0].Disposition != policy.DispositionIgnored) {
				t.Errorf("%s, and %s", d.Rules[0].Code, d.Evidence[0].Disposition)
			}
		})
	}
	// A message signature binds in the same way.
	for digest, code := range map[string]policy.Code{a: "", b: policy.SubjectMismatch} {
		r := load(t, twoRules).Evaluate(input(approval(1, func(f *evidence.Facts) { f.Message = mustDigest("sha256:" + digest) }))).Rules[1]
		if r.Code != code || (r.Status == policy.StatusPass) != (code == "") {
			t.Errorf("a message of %.8s…: %s %s, want %q", digest, r.Status, r.Message, code)
		}
	}
}
