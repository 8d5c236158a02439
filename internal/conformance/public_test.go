// Package conformance verifies bundles that other people made, and bundles of
// every shape that the Sigstore client specification knows.
package conformance_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/testing/data"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A public is a bundle of the public good instance, made by people who do not
// know of this project, from the sigstore-go module.
type public struct {
	bundle   []byte
	digest   attest.DigestSet // of the npm package
	root     *verify.TrustRoot
	verifier *verify.Verifier
}

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func newPublic(t *testing.T) *public {
	t.Helper()
	raw, err := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	// protojson varies in white space.
	var compact any
	if err := json.Unmarshal(raw, &compact); err != nil {
		t.Fatal(err)
	}
	if raw, err = json.Marshal(compact); err != nil {
		t.Fatal(err)
	}
	root, err := verify.ParseTrustRoot(policy.PublicGood, trustedRoot(t, "public-good.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(root, verify.Config{})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := attest.ParseDigest("sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c")
	if err != nil {
		t.Fatal(err)
	}
	return &public{raw, attest.Set(digest), root, v}
}

// decide runs bytes through all stages, as any host does.
func (p *public) decide(t *testing.T, raw []byte, digest attest.DigestSet, rules string) policy.Decision {
	pol, err := policy.Load("test", []byte(rules), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p.decideBy(raw, digest, pol)
}

func (p *public) decideBy(raw []byte, digest attest.DigestSet, rules *policy.Policy) policy.Decision {
	in := policy.Input{Artifact: policy.Artifact{Digests: digest}, Now: now, Roots: []policy.Root{{Name: policy.PublicGood, Digest: p.root.Digest()}}}
	b, err := bundle.Parse(raw)
	if err == nil {
		var ev evidence.Evidence
		if ev, err = p.verifier.Verify(b, digest); err == nil {
			in.Evidence = []evidence.Evidence{ev}
		}
	}
	if err != nil {
		reason := verify.Malformed
		if e := (*verify.Error)(nil); errors.As(err, &e) {
			reason = e.Reason
		}
		in.Rejected = []policy.Rejected{{Reason: string(reason), Detail: err.Error()}}
	}
	return rules.Evaluate(in)
}

const fromJS = "github.com/sigstore/sigstore-js@**"

func TestPublicBundle(t *testing.T) {
	p := newPublic(t)
	d := p.decide(t, p.bundle, p.digest, policy.From(fromJS))
	if d.Outcome != policy.Pass || d.Err() != nil {
		t.Fatalf("%s: %s", d.Outcome, d.Message)
	}
	signer := func(fields string) string {
		return "policy: v1\nsigners:\n  s: {github: {" + fields + "}}\nrequire:\n  - provenance: {by: s}\n"
	}
	if d := p.decide(t, p.bundle, p.digest, signer("repo: sigstore/sigstore-js, ref: refs/heads/main")); d.Outcome != policy.Pass {
		t.Fatalf("%s: %s", d.Outcome, d.Message)
	}
	otherDigest := attest.DigestSet{"sha512": strings.Repeat("0", 128)}
	for name, c := range map[string]struct {
		digest  attest.DigestSet
		policy  string
		outcome policy.Outcome
		code    policy.Code
		path    string // of the failed check; empty: the evidence did not verify
	}{
		"wrong repository": {p.digest, policy.From("github.com/sigstore/sigstore-jss@**"), policy.Fail, policy.UntrustedSigner, "signer.repo"},
		"wrong owner":      {p.digest, policy.From("github.com/sigstor/sigstore-js@**"), policy.Fail, policy.UntrustedSigner, "signer.repo"},
		"other case":       {p.digest, policy.From("github.com/Sigstore/sigstore-js@**"), policy.Fail, policy.UntrustedSigner, "signer.repo"},
		"wrong branch":     {p.digest, signer("repo: sigstore/sigstore-js, ref: refs/heads/dev"), policy.Fail, policy.UntrustedSigner, "signer.ref"},
		"a tag":            {p.digest, policy.From("github.com/sigstore/sigstore-js@v*"), policy.Fail, policy.UntrustedSigner, "signer.ref"},
		"wrong issuer": {p.digest, signer("repo: sigstore/sigstore-js, ref: refs/heads/main, issuer: https://token.actions.githubusercontent.com/acme"),
			policy.Fail, policy.UntrustedSigner, "signer.issuer"},
		"wrong workflow": {p.digest, signer("repo: sigstore/sigstore-js, ref: refs/heads/main, workflow: .github/workflows/other.yml"),
			policy.Fail, policy.UntrustedSigner, "signer.workflow"},
		"wrong digest":      {otherDigest, policy.From(fromJS), policy.Fail, policy.SubjectMismatch, ""},
		"another algorithm": {attest.DigestSet{"sha256": strings.Repeat("0", 64)}, policy.From(fromJS), policy.Error, policy.DigestNeeded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := p.decide(t, p.bundle, c.digest, c.policy)
			if d.Outcome != c.outcome || d.Err() == nil || len(d.Rules) != 1 || d.Rules[0].Code != c.code {
				t.Fatalf("%s %s, want %s %s", d.Outcome, d.Message, c.outcome, c.code)
			}
			if misses := d.Rules[0].NearMisses; c.path != "" && (len(misses) != 1 || misses[0].Failed[0].Path != c.path) {
				t.Errorf("near misses %+v, want %s", misses, c.path)
			}
		})
	}
	t.Run("another trust root", func(t *testing.T) {
		q := newPublic(t)
		root, err := verify.ParseTrustRoot(policy.PublicGood, trustedRoot(t, "scaffolding.json"))
		if err != nil {
			t.Fatal(err)
		}
		if q.verifier, err = verify.New(root, verify.Config{}); err != nil {
			t.Fatal(err)
		}
		if d := q.decide(t, q.bundle, q.digest, policy.From(fromJS)); d.Outcome != policy.Fail || d.Rules[0].Code != policy.NotLogged {
			t.Errorf("%s %s", d.Outcome, d.Message)
		}
	})
}

func trustedRoot(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := data.TrustedRoot(t, name).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// harmless are the places in which a changed bit leaves the public bundle valid,
// as paths in the file. Nothing that is signed or read by a check is among them.
var harmless = []string{
	"unused bits of base64",
	// Which key may have signed is told by the trust root, and not by the
	// signature's own line. The signature behind it is checked.
	"name and key hint of the checkpoint's signature",
}

// TestPublicBundleEveryBit changes every bit of the file, one at a time.
func TestPublicBundleEveryBit(t *testing.T) {
	p := newPublic(t)
	rules, err := policy.Load("test", []byte(policy.From(fromJS)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var original any
	if err := json.Unmarshal(p.bundle, &original); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	codes := make(map[policy.Code]int)
	valid := make(map[string]int)
	var wg sync.WaitGroup
	work := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range work {
				for bit := range 8 {
					raw := slices.Clone(p.bundle)
					raw[i] ^= 1 << bit
					d := p.decideBy(raw, p.digest, rules)
					mu.Lock()
					if d.Outcome == policy.Pass {
						valid[difference(original, raw)]++
					} else {
						codes[d.Rules[0].Code]++
					}
					mu.Unlock()
				}
			}
		})
	}
	for i := range p.bundle {
		work <- i
	}
	close(work)
	wg.Wait()
	t.Logf("%d bytes; refused: %v; valid: %v", len(p.bundle), codes, valid)
	for place := range valid {
		if !slices.Contains(harmless, place) {
			t.Errorf("a changed bit in %s leaves the bundle valid", place)
		}
	}
}

// difference names the place in which raw differs from the original.
func difference(original any, raw []byte) string {
	var changed any
	if err := json.Unmarshal(raw, &changed); err != nil {
		return "unreadable"
	}
	return diff("", original, changed)
}

func diff(path string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			return path
		}
		for k := range a {
			if _, ok := b[k]; !ok {
				return path + " name " + k
			}
			if d := diff(path+"."+k, a[k], b[k]); d != "" {
				return d
			}
		}
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return path
		}
		for i := range a {
			if d := diff(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); d != "" {
				return d
			}
		}
	case string:
		b, ok := b.(string)
		if !ok {
			return path
		}
		x, err := base64.StdEncoding.DecodeString(a)
		y, err2 := base64.StdEncoding.DecodeString(b)
		if a != b && err == nil && err2 == nil && reflect.DeepEqual(x, y) {
			return "unused bits of base64"
		}
		if a != b && strings.HasSuffix(path, ".checkpoint.envelope") && sameCheckpoint(a, b) {
			return "name and key hint of the checkpoint's signature"
		}
		if a != b {
			return path
		}
	default:
		if !reflect.DeepEqual(a, b) {
			return path
		}
	}
	return ""
}

// sameCheckpoint compares two checkpoints but for the name and the first four
// bytes, the key hint, of the signature.
func sameCheckpoint(a, b string) bool {
	split := func(s string) (body string, sig []byte) {
		body, line, _ := strings.Cut(s, "\n\n")
		i := strings.LastIndexByte(line, ' ')
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(line[i+1:], "\n"))
		if err != nil || len(raw) < 4 {
			return body, nil
		}
		return body, raw[4:]
	}
	bodyA, sigA := split(a)
	bodyB, sigB := split(b)
	return bodyA == bodyB && sigA != nil && bytes.Equal(sigA, sigB)
}
