package conformance_test

import (
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/testing/data"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

func TestX(t *testing.T) {
	raw, err := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	rawRoot, _ := data.TrustedRoot(t, "public-good.json").MarshalJSON()
	r, err := verify.ParseTrustRoot("public-good", rawRoot)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := b.Unverified()
	t.Logf("%s", u.Payload)
	st, _ := attest.Parse(u.Payload)
	v, _ := verify.New(r, verify.Config{})
	ev, err := v.Verify(b, st.Subjects()[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load("x", []byte(policy.From("github.com/sigstore/sigstore-js@**")), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(p.Explain())
	d := p.Evaluate(policy.Input{Artifact: policy.Artifact{Digests: st.Subjects()[0].Digest}, Evidence: []evidence.Evidence{ev}, Now: time.Now(),
		Roots: []policy.Root{{Name: policy.PublicGood, Digest: r.Digest()}}})
	t.Logf("%+v", d)
	for _, n := range d.Rules[0].NearMisses {
		t.Logf("%+v", n)
	}
}
