package policy_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

var (
	now     = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	signed  = now.Add(-time.Hour)
	sha     = strings.Repeat("a", 64) // of the artifact
	commit  = "0123456789abcdef0123456789abcdef01234567"
	rootSHA = mustDigest("sha256:" + strings.Repeat("1", 64))
	keySHA  = mustDigest("sha256:" + strings.Repeat("2", 64))
)

func mustDigest(s string) attest.Digest {
	d, err := attest.ParseDigest(s)
	if err != nil {
		panic(err)
	}
	return d
}

// githubCert is the certificate of a GitHub run of acme/app at tag v1.2.3.
func githubCert(change ...func(*evidence.Certificate)) *evidence.Certificate {
	const repo, ref = "https://github.com/acme/app", "refs/tags/v1.2.3"
	uri := repo + "/.github/workflows/release.yml@" + ref
	c := &evidence.Certificate{
		NotBefore: signed.Add(-time.Minute), NotAfter: signed.Add(9 * time.Minute),
		SANs: []evidence.SAN{{Kind: "uri", Value: uri}},
		Legacy: evidence.Legacy{Issuer: "https://token.actions.githubusercontent.com", Trigger: "push", SHA: commit,
			Workflow: "release", Repository: "acme/app", Ref: ref},
		Issuer: "https://token.actions.githubusercontent.com", BuildSignerURI: uri, BuildSignerDigest: commit,
		RunnerEnvironment: "github-hosted", SourceRepositoryURI: repo, SourceDigest: commit, SourceRef: ref,
		SourceRepositoryID: "11", SourceOwnerURI: "https://github.com/acme", SourceOwnerID: "22",
		BuildConfigURI: uri, BuildConfigDigest: commit, BuildTrigger: "push",
		RunInvocationURI: repo + "/actions/runs/1/attempts/1", SourceVisibility: "public",
		TokenSubject: "repo:acme/app:ref:" + ref,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// at moves a run to another ref.
func at(ref string) func(*evidence.Certificate) {
	return func(c *evidence.Certificate) {
		move := func(s *string) { *s = strings.Replace(*s, "refs/tags/v1.2.3", ref, 1) }
		for _, s := range []*string{&c.SANs[0].Value, &c.Legacy.Ref, &c.BuildSignerURI, &c.SourceRef, &c.BuildConfigURI, &c.TokenSubject} {
			move(s)
		}
	}
}

// provenance is what actions/attest-build-provenance says of that run.
func provenanceOf(c *evidence.Certificate) map[string]any {
	repo, ref := c.SourceRepositoryURI, c.SourceRef
	return map[string]any{
		"buildDefinition": map[string]any{
			"buildType": "https://actions.github.io/buildtypes/workflow/v1",
			"externalParameters": map[string]any{"workflow": map[string]any{
				"ref": ref, "repository": repo, "path": ".github/workflows/release.yml"}},
			"internalParameters":   map[string]any{"github": map[string]any{"event_name": c.BuildTrigger, "runner_environment": c.RunnerEnvironment}},
			"resolvedDependencies": []any{map[string]any{"uri": "git+" + repo + "@" + ref, "digest": map[string]any{"gitCommit": c.SourceDigest}}},
		},
		"runDetails": map[string]any{"builder": map[string]any{"id": c.BuildSignerURI},
			"metadata": map[string]any{"invocationId": c.RunInvocationURI}},
	}
}

// set changes a value in nested maps; nil removes it.
func set(m map[string]any, path string, value any) map[string]any {
	parts := strings.Split(path, ".")
	o := m
	for _, p := range parts[:len(parts)-1] {
		if strings.HasSuffix(p, "[0]") {
			o = o[strings.TrimSuffix(p, "[0]")].([]any)[0].(map[string]any)
		} else {
			o = o[p].(map[string]any)
		}
	}
	last := parts[len(parts)-1]
	if value == nil {
		delete(o, last)
	} else {
		o[last] = value
	}
	return m
}

const (
	typeV1  = "https://slsa.dev/provenance/v1"
	typeV02 = "https://slsa.dev/provenance/v0.2"
)

func statement(predicateType string, predicate any, subjects ...attest.Subject) *attest.Statement {
	if subjects == nil {
		subjects = []attest.Subject{{Name: "app", Digest: attest.DigestSet{"sha256": sha}}}
	}
	raw, ok := predicate.(string)
	if !ok {
		data, err := json.Marshal(predicate)
		if err != nil {
			panic(err)
		}
		raw = string(data)
	}
	st, err := attest.New(subjects, attest.Raw{Type: predicateType, JSON: []byte(raw)})
	if err != nil {
		panic(err)
	}
	return st
}

// piece makes evidence under the public good root, logged and timed.
func piece(n int, who evidence.Signer, st *attest.Statement, change ...func(*evidence.Facts)) evidence.Evidence {
	f := evidence.Facts{
		Bundle: fmt.Sprintf("sha256:%064d", n), Envelope: fmt.Sprintf("sha256:%064d", n), Statement: st, Signer: who,
		Root:  evidence.TrustRoot{Name: policy.PublicGood, Digest: rootSHA, HasLogs: true, HasCT: true},
		Times: []evidence.Time{{Kind: evidence.RekorSET, Time: signed, Authority: "https://rekor.example.com"}},
		Logs:  []evidence.LogEntry{{LogID: "ab", Log: "https://rekor.example.com", Index: int64(n), Kind: "dsse 0.0.1", Included: true}},
		SCT:   true,
	}
	for _, c := range change {
		c(&f)
	}
	return evidence.New(f)
}

func by(c *evidence.Certificate) evidence.Signer { return evidence.Signer{Certificate: c} }

func byKey(d attest.Digest) evidence.Signer { return evidence.Signer{Key: &evidence.Key{SPKI: d}} }

// message makes a message signature over the artifact.
func message(f *evidence.Facts) {
	f.Statement, f.Message = nil, mustDigest("sha256:"+sha)
}

func input(pieces ...evidence.Evidence) policy.Input {
	return policy.Input{
		Artifact: policy.Artifact{Name: "app.tar.gz", Digests: attest.DigestSet{"sha256": sha}},
		Evidence: pieces, Now: now,
		Roots: []policy.Root{{Name: policy.PublicGood, Digest: rootSHA}},
	}
}

func load(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Load("policy.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// signerRule is a policy with one signer and a rule that takes any signature.
func signerRule(signer string) string {
	return "policy: v1\nsigners:\n  s: {" + signer + "}\nrequire:\n  - signature: {by: s, content: any}\n"
}

// wantPass and wantFail check the outcome of the first rule, and that only a
// pass is a yes.
func wantPass(t *testing.T, d policy.Decision) {
	t.Helper()
	if d.Outcome != policy.Pass || d.Err() != nil {
		t.Fatalf("%s: %s", d.Outcome, d.Message)
	}
}

func wantFail(t *testing.T, d policy.Decision, code policy.Code, path string) {
	t.Helper()
	if d.Outcome != policy.Fail || d.Err() == nil {
		t.Fatalf("%s: %s, want fail", d.Outcome, d.Message)
	}
	r := d.Rules[0]
	if r.Code != code {
		t.Errorf("code %s (%s), want %s", r.Code, r.Message, code)
	}
	if path == "" {
		return
	}
	if len(r.NearMisses) == 0 {
		t.Fatalf("no near miss: %s", r.Message)
	}
	for _, c := range r.NearMisses[0].Failed {
		if c.Path == path {
			if c.Want == "" || c.Got == "" || c.Code == "" {
				t.Errorf("an empty word in %+v", c)
			}
			return
		}
	}
	t.Errorf("failed checks %+v, want %s", r.NearMisses[0].Failed, path)
}

// files is a folder for policies that name files.
type files map[string]string

func (f files) Open(name string) (fs.File, error) {
	m := make(fstest.MapFS)
	for n, data := range f {
		m[n] = &fstest.MapFile{Data: []byte(data)}
	}
	return m.Open(name)
}

func spki(t testing.TB) attest.Digest {
	t.Helper()
	p, err := key.ParsePublic([]byte(publicKey))
	if err != nil {
		t.Fatal(err)
	}
	return p.Fingerprint()
}

func sumOf(data []byte) attest.Digest {
	sum := sha256.Sum256(data)
	d, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return d
}

// withoutRemarks drops the comments of an explained policy.
func withoutRemarks(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if strings.HasPrefix(line, "  from-") {
			line, _, _ = strings.Cut(line, " #")
		}
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// otherKey is an Ed25519 key.
const otherKey = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
