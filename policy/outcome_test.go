package policy_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

const oneRule = "policy: v1\nsigners:\n  s: {github: {repo: acme/app, ref: refs/tags/v*}}\nrequire:\n  - provenance: {by: s}\n"

// good is evidence that oneRule accepts.
func good(n int, change ...func(*evidence.Facts)) evidence.Evidence {
	return piece(n, by(githubCert()), statement(typeV1, provenanceOf(githubCert())), change...)
}

// mallory is evidence by another repository's workflow.
func mallory(n int) evidence.Evidence {
	c := githubCert(func(c *evidence.Certificate) {
		c.SourceRepositoryURI, c.Legacy.Repository = "https://github.com/mallory/app", "mallory/app"
	})
	return piece(n, by(c), statement(typeV1, provenanceOf(c)))
}

// TestOutcomes decides about whole inputs; and every code that there is comes
// out of one of them.
func TestOutcomes(t *testing.T) {
	refused := func(reason string) func(*policy.Input) {
		return func(in *policy.Input) {
			in.Evidence = nil
			in.Rejected = []policy.Rejected{{Bundle: "sha256:x", Location: "app.json", Reason: reason, Detail: "why"}}
		}
	}
	with := func(pieces ...evidence.Evidence) func(*policy.Input) {
		return func(in *policy.Input) { in.Evidence = pieces }
	}
	about := func(d attest.DigestSet) *attest.Statement {
		return statement(typeV1, provenanceOf(githubCert()), attest.Subject{Name: "app", Digest: d})
	}
	two := strings.Replace(oneRule, "require:", "  z: {github: {repo: acme/app, ref: refs/tags/v1*}}\nrequire:", 1)
	unanswered := policy.SourceReport{Name: "registry", Error: "status 503", Retryable: true}
	cases := map[string]struct {
		text    string // a policy; empty: oneRule
		change  func(*policy.Input)
		outcome policy.Outcome
		code    policy.Code
		says    string // part of the message
	}{
		"good":        {"", nil, policy.Pass, "", "all 1 rules"},
		"no evidence": {"", with(), policy.Fail, policy.NoEvidence, "no evidence was found"},
		"no evidence, looked for": {"", func(in *policy.Input) {
			in.Evidence, in.Sources = nil, []policy.SourceReport{{Name: "app.sigstore.json"}}
		}, policy.Fail, policy.NoEvidence, "looked in app.sigstore.json"},
		"zero evidence":            {"", with(evidence.Evidence{}), policy.Fail, policy.NoEvidence, "no evidence"},
		"somebody else's":          {"", with(mallory(1)), policy.Fail, policy.UntrustedSigner, "signer.repo is mallory/app"},
		"another type":             {"", with(piece(1, by(githubCert()), statement("https://example.com/x", "{}"))), policy.Fail, policy.WrongType, "there is https://example.com/x"},
		"a predicate that is none": {"", with(piece(1, by(githubCert()), statement(typeV1, "{}"))), policy.Fail, policy.Malformed, "predicate"},
		"another tag":              {strings.Replace(oneRule, "{by: s}", "{by: s, source: {tag: \">=9.0.0\"}}", 1), nil, policy.Fail, policy.Expectation, "source.tag"},
		"two principals":           {two, nil, policy.Fail, policy.Ambiguous, "s and z"},
		"no log entry":             {"", with(good(1, func(f *evidence.Facts) { f.Logs = nil })), policy.Fail, policy.NotLogged, "trust.log"},
		"no time":                  {"", with(good(1, func(f *evidence.Facts) { f.Times = nil })), policy.Fail, policy.NoTime, "trust.time"},
		"another root":             {"", func(in *policy.Input) { in.Roots[0].Digest = keySHA }, policy.Fail, policy.UntrustedSigner, "trust.root"},
		"no roots":                 {"", func(in *policy.Input) { in.Roots = nil }, policy.Fail, policy.UntrustedSigner, "trust.root"},
		"another artifact":         {"", with(piece(1, by(githubCert()), about(attest.DigestSet{"sha256": strings.Repeat("b", 64)}))), policy.Fail, policy.SubjectMismatch, "is about another"},
		"one digest equal, one not": {"", func(in *policy.Input) {
			in.Artifact.Digests = attest.DigestSet{"sha256": sha, "sha512": strings.Repeat("c", 128)}
			in.Evidence = []evidence.Evidence{piece(1, by(githubCert()), about(attest.DigestSet{"sha256": sha, "sha512": strings.Repeat("d", 128)}))}
		}, policy.Fail, policy.SubjectMismatch, "is about another"},
		"commit as digest":            {"", with(piece(1, by(githubCert()), about(attest.DigestSet{"gitCommit": commit}))), policy.Fail, policy.SubjectMismatch, "another"},
		"a source failed, and passes": {"", func(in *policy.Input) { in.Sources = []policy.SourceReport{unanswered} }, policy.Pass, "", ""},
		"a source failed":             {"", func(in *policy.Input) { in.Evidence, in.Sources = nil, []policy.SourceReport{unanswered} }, policy.Error, policy.Fetch, "registry did not answer"},
		"a source failed, and others": {"", func(in *policy.Input) {
			in.Evidence, in.Sources = []evidence.Evidence{mallory(1)}, []policy.SourceReport{unanswered}
		}, policy.Error, policy.Fetch, "registry did not answer"},

		"refused: malformed":             {"", refused("malformed"), policy.Fail, policy.Malformed, "malformed"},
		"refused: payload-type":          {"", refused("payload-type"), policy.Fail, policy.Malformed, "payload-type"},
		"refused: subject-mismatch":      {"", refused("subject-mismatch"), policy.Fail, policy.SubjectMismatch, "subject-mismatch"},
		"refused: bad-signature":         {"", refused("bad-signature"), policy.Fail, policy.BadSignature, "bad-signature"},
		"refused: not-logged":            {"", refused("not-logged"), policy.Fail, policy.NotLogged, "not-logged"},
		"refused: log-invalid":           {"", refused("log-invalid"), policy.Fail, policy.NotLogged, "log-invalid"},
		"refused: no-trusted-time":       {"", refused("no-trusted-time"), policy.Fail, policy.NoTime, "no-trusted-time"},
		"refused: timestamp-invalid":     {"", refused("timestamp-invalid"), policy.Fail, policy.NoTime, "timestamp-invalid"},
		"refused: certificate-expired":   {"", refused("certificate-expired"), policy.Fail, policy.NoTime, "certificate-expired"},
		"refused: key-expired":           {"", refused("key-expired"), policy.Fail, policy.NoTime, "key-expired"},
		"refused: certificate-untrusted": {"", refused("certificate-untrusted"), policy.Fail, policy.UntrustedSigner, "certificate-untrusted"},
		"refused: sct-invalid":           {"", refused("sct-invalid"), policy.Fail, policy.UntrustedSigner, "sct-invalid"},
		"refused: key-unknown":           {"", refused("key-unknown"), policy.Fail, policy.UntrustedSigner, "key-unknown"},
		"refused: for a new reason":      {"", refused("moonphase"), policy.Fail, policy.UntrustedSigner, "moonphase"},
		"refused: digest-needed":         {"", refused("digest-needed"), policy.Error, policy.DigestNeeded, "cannot be checked"},
		"refused: no-artifact":           {"", refused("no-artifact"), policy.Error, policy.DigestNeeded, "cannot be checked"},
		"refused: misused":               {"", refused("misused"), policy.Error, policy.Undecidable, "cannot be checked"},

		"no time given":       {"", func(in *policy.Input) { in.Now = time.Time{} }, policy.Error, policy.Undecidable, "no time"},
		"no digest":           {"", func(in *policy.Input) { in.Artifact.Digests = nil }, policy.Error, policy.Undecidable, "no sha256"},
		"weak digest":         {"", func(in *policy.Input) { in.Artifact.Digests = attest.DigestSet{"sha1": commit} }, policy.Error, policy.Undecidable, "no sha256"},
		"expires now":         {"expires: " + now.Format(time.RFC3339) + "\n" + oneRule, nil, policy.Error, policy.Undecidable, "expired"},
		"expires in a second": {"expires: " + now.Add(time.Second).Format(time.RFC3339) + "\n" + oneRule, nil, policy.Pass, "", ""},
		"out of scope":        {"artifacts: {files: [\"*.deb\", \"x*\"]}\n" + oneRule, nil, policy.NotCovered, "", "speaks about *.deb, x*"},
		"in scope":            {"artifacts: {files: [\"*.deb\", \"*.tar.gz\"]}\n" + oneRule, nil, policy.Pass, "", ""},
		"as much as there may be": {"", func(in *policy.Input) {
			in.Rejected = make([]policy.Rejected, policy.MaxEvidence-len(in.Evidence))
			for i := range in.Rejected {
				in.Rejected[i] = policy.Rejected{Reason: "bad-signature"}
			}
		}, policy.Pass, "", ""},
		"more than there may be": {"", func(in *policy.Input) { in.Rejected = make([]policy.Rejected, policy.MaxEvidence) }, policy.Error, policy.Limit, "10001 pieces"},
	}
	codes := make(map[policy.Code]bool)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.text == "" {
				c.text = oneRule
			}
			in := input(good(1))
			if c.change != nil {
				c.change(&in)
			}
			d := load(t, c.text).Evaluate(in)
			code := d.Code
			if len(d.Rules) > 0 {
				code = d.Rules[0].Code
			}
			codes[code] = true
			if d.Outcome != c.outcome || code != c.code || !strings.Contains(d.Message, c.says) {
				t.Fatalf("%s %s %q, want %s %s %q", d.Outcome, code, d.Message, c.outcome, c.code, c.says)
			}
			var denied *policy.Denied
			var undecided *policy.Undecided
			err := d.Err()
			if (err == nil) != (c.outcome == policy.Pass) || errors.As(err, &denied) != (c.outcome == policy.Fail || c.outcome == policy.NotCovered) ||
				errors.As(err, &undecided) != (c.outcome == policy.Error) {
				t.Errorf("error %v", err)
			}
			if undecided != nil && undecided.Retryable != (c.code == policy.Fetch) {
				t.Errorf("retryable %v", undecided.Retryable)
			}
			if len(d.Rules) > 0 {
				zero := 0
				for _, e := range in.Evidence {
					if e.IsZero() {
						zero++
					}
				}
				if want := len(in.Evidence) + len(in.Rejected) - zero; len(d.Evidence) != want {
					t.Errorf("%d dispositions, want %d", len(d.Evidence), want)
				}
			}
			if d.Outcome == policy.Error && !d.ValidUntil.IsZero() {
				t.Error("an error may be reused")
			}
		})
	}
	f, err := parser.ParseFile(token.NewFileSet(), "check.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(node ast.Node) bool {
		if v, ok := node.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" {
				text, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if n++; !codes[policy.Code(text)] {
					t.Errorf("no case gives %s", text)
				}
			}
		}
		return true
	})
	if n < 14 {
		t.Errorf("only %d codes found", n)
	}
}

func TestZeroPolicyDecidesNothing(t *testing.T) {
	for _, p := range []*policy.Policy{nil, new(policy.Policy)} {
		if d := p.Evaluate(input(good(1))); d.Outcome != policy.Error || d.Err() == nil {
			t.Errorf("%s %s", d.Outcome, d.Message)
		}
	}
	var zero policy.Decision
	if zero.Outcome == policy.Pass || zero.Err() == nil {
		t.Error("the zero decision is a yes")
	}
}

// At most three near misses, the nearest first.
func TestNearMisses(t *testing.T) {
	stranger := piece(1, byKey(keySHA), statement(typeV1, provenanceOf(githubCert())), func(f *evidence.Facts) { f.Logs, f.Times, f.Root.Digest = nil, nil, keySHA })
	almost := piece(4, by(githubCert()), statement(typeV1, set(provenanceOf(githubCert()), "buildDefinition.externalParameters.inputs", map[string]any{"debug": true})))
	d := load(t, oneRule).Evaluate(input(stranger, mallory(2), mallory(3), almost))
	misses := d.Rules[0].NearMisses
	if d.Outcome != policy.Fail || len(misses) != 3 || misses[0].Evidence.Bundle != almost.Bundle() || len(misses[0].Failed) != 1 || misses[0].Passed < 10 {
		t.Fatalf("%+v", misses)
	}
	for _, m := range misses {
		if m.Evidence.Bundle == stranger.Bundle() {
			t.Error("the farthest is among the nearest")
		}
	}
	if !strings.Contains(d.Message, "provenance.parameters.inputs.debug is true") {
		t.Error(d.Message)
	}
}

func TestValidUntil(t *testing.T) {
	hours := func(n int) string { return now.Add(time.Duration(n) * time.Hour).Format(time.RFC3339) }
	window := func(fields string) string {
		return strings.Replace(oneRule, "s: {github", "s: {"+fields+", github", 1)
	}
	for name, c := range map[string]struct {
		text string
		want int // hours from now
	}{
		"nothing ends":              {oneRule, 24},
		"the policy ends":           {"expires: " + hours(3) + "\n" + oneRule, 3},
		"the policy ends later":     {"expires: " + hours(30) + "\n" + oneRule, 24},
		"a signer's window ends":    {window("until: " + hours(5)), 5},
		"a signer's window began":   {window("from: " + hours(-9)), 24},
		"the policy and the signer": {"expires: " + hours(4) + "\n" + window("until: "+hours(5)), 4},
	} {
		d := load(t, c.text).Evaluate(input(good(1)))
		if d.Outcome != policy.Pass || !d.ValidUntil.Equal(now.Add(time.Duration(c.want)*time.Hour)) || !d.EvaluatedAt.Equal(now) {
			t.Errorf("%s: %s, valid until %s, want %d hours", name, d.Outcome, d.ValidUntil, c.want)
		}
	}
}

// TestTrust counts logs and authorities that are distinct, under the root that
// a signer's trust names.
func TestTrust(t *testing.T) {
	trusted := func(trust string) string {
		return "trust:\n  t: " + trust + "\n" + strings.Replace(oneRule, "s: {github", "s: {trust: t, github", 1)
	}
	logs := func(ids ...string) func(*evidence.Facts) {
		return func(f *evidence.Facts) {
			f.Logs = nil
			for i, id := range ids {
				f.Logs = append(f.Logs, evidence.LogEntry{LogID: id, Log: "https://" + id, Index: int64(i), Included: true})
			}
		}
	}
	stamps := func(authorities ...string) func(*evidence.Facts) {
		return func(f *evidence.Facts) {
			for i, a := range authorities {
				f.Times = append(f.Times, evidence.Time{Kind: evidence.RFC3161, Time: signed.Add(time.Duration(i) * time.Second), Authority: a})
			}
		}
	}
	github := func(f *evidence.Facts) {
		f.Root = evidence.TrustRoot{Name: policy.GitHub, Digest: keySHA}
		f.Logs, f.SCT = nil, false
		f.Times = []evidence.Time{{Kind: evidence.RFC3161, Time: signed, Authority: "https://timestamp.example.com"}}
	}
	for name, c := range map[string]struct {
		text   string
		change []func(*evidence.Facts)
		code   policy.Code // empty: passes
	}{
		"two logs":                             {trusted("{root: public-good, log: 2}"), []func(*evidence.Facts){logs("a", "b")}, ""},
		"two entries of one log":               {trusted("{root: public-good, log: 2}"), []func(*evidence.Facts){logs("a", "a")}, policy.NotLogged},
		"two authorities":                      {trusted("{root: public-good, timestamps: 2}"), []func(*evidence.Facts){stamps("a", "b")}, ""},
		"two stamps of one authority":          {trusted("{root: public-good, timestamps: 2}"), []func(*evidence.Facts){stamps("a", "a")}, policy.NoTime},
		"a log's time is no timestamp":         {trusted("{root: public-good, timestamps: 1}"), nil, policy.NoTime},
		"log: none":                            {trusted("{root: public-good, log: none}"), []func(*evidence.Facts){logs()}, ""},
		"log: none, and no time":               {trusted("{root: public-good, log: none}"), []func(*evidence.Facts){logs(), func(f *evidence.Facts) { f.Times = nil }}, policy.NoTime},
		"no certificate timestamp":             {oneRule, []func(*evidence.Facts){func(f *evidence.Facts) { f.SCT = false }}, policy.UntrustedSigner},
		"GitHub's root":                        {oneRule, []func(*evidence.Facts){github}, ""},
		"GitHub's root without a timestamp":    {oneRule, []func(*evidence.Facts){github, func(f *evidence.Facts) { f.Times[0].Kind = evidence.RekorSET }}, policy.NoTime},
		"GitHub's root where another is named": {trusted("{root: public-good}"), []func(*evidence.Facts){github}, policy.UntrustedSigner},
		"public-good where GitHub's is named":  {trusted("{root: github}"), nil, policy.UntrustedSigner},
		"a name that is not its digest":        {oneRule, []func(*evidence.Facts){func(f *evidence.Facts) { f.Root.Digest = mustDigest("sha256:" + strings.Repeat("3", 64)) }}, policy.UntrustedSigner},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(good(1, c.change...))
			in.Roots = append(in.Roots, policy.Root{Name: policy.GitHub, Digest: keySHA})
			d := load(t, c.text).Evaluate(in)
			if c.code == "" {
				wantPass(t, d)
			} else {
				wantFail(t, d, c.code, "")
			}
		})
	}
	// GitHub's own root vouches for workflows of github.com, and for nobody else.
	person := &evidence.Certificate{Issuer: "https://accounts.google.com", SANs: []evidence.SAN{{Kind: "email", Value: "jo@example.com"}}}
	in := input(piece(1, by(person), nil, message, github))
	in.Roots = append(in.Roots, policy.Root{Name: policy.GitHub, Digest: keySHA})
	wantFail(t, load(t, "policy: v1\nsigners:\n  s: {email: {issuer: https://accounts.google.com, address: jo@example.com}}\nrequire:\n  - signature: {by: s}\n").Evaluate(in), policy.UntrustedSigner, "trust.root")
}
