package sigstoretest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
)

// signWith signs with sigstore-go alone, as an outsider would.
func signWith(t testing.TB, s *sigstoretest.Sigstore, claims sigstoretest.Claims, content sign.Content, v1, v2, tsa bool) *sgbundle.Bundle {
	t.Helper()
	tm, err := root.NewTrustedRootFromJSON(s.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	kp, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := sign.BundleOptions{Context: context.Background(), TrustedRoot: tm}
	if claims != nil {
		token, err := s.Token(claims)
		if err != nil {
			t.Fatal(err)
		}
		opts.CertificateProvider = sign.NewFulcio(&sign.FulcioOptions{BaseURL: s.FulcioURL()})
		opts.CertificateProviderOptions = &sign.CertificateProviderOptions{IDToken: token}
	}
	if v1 {
		for _, u := range s.RekorV1URLs() {
			opts.TransparencyLogs = append(opts.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: u}))
		}
	}
	if v2 {
		for _, u := range s.RekorV2URLs() {
			opts.TransparencyLogs = append(opts.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: u, Version: 2}))
		}
	}
	if tsa {
		for _, u := range s.TSAURLs() {
			opts.TimestampAuthorities = append(opts.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: u}))
		}
	}
	pb, err := sign.Bundle(content, kp, opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sgbundle.NewBundle(pb)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSigstoreGoAccepts(t *testing.T) {
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"predicateType":"https://example.com/p","predicate":{}}`)
	identities := map[string]sigstoretest.Claims{
		"github": sigstoretest.GitHub{Environment: "prod"}.Claims(),
		"gitlab": sigstoretest.GitLab{}.Claims(),
		"email":  sigstoretest.Email("jo@example.com", ""),
		"uri":    sigstoretest.Subject("https://robots.example.com/one", "https://issuer.example.com"),
	}
	logs := map[string][3]bool{"v1": {true, false, false}, "v1 and tsa": {true, false, true}, "v2 and tsa": {false, true, true}, "all": {true, true, true}}
	contents := map[string]sign.Content{
		"dsse":    &sign.DSSEData{Data: payload, PayloadType: "application/vnd.in-toto+json"},
		"message": &sign.PlainData{Data: []byte("hello")},
	}
	s := sigstoretest.New(t, sigstoretest.Options{})
	tm, err := root.NewTrustedRootFromJSON(s.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.NewVerifier(tm, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	if err != nil {
		t.Fatal(err)
	}
	for who, claims := range identities {
		for where, l := range logs {
			for what, content := range contents {
				t.Run(fmt.Sprintf("%s/%s/%s", who, where, what), func(t *testing.T) {
					b := signWith(t, s, claims, content, l[0], l[1], l[2])
					artifact := verify.WithoutArtifactUnsafe()
					if what == "message" {
						artifact = verify.WithArtifactDigest("sha256", b.GetMessageSignature().GetMessageDigest().GetDigest())
					}
					res, err := v.Verify(b, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
					if err != nil {
						t.Fatal(err)
					}
					if res.Signature.Certificate.Issuer != claims["iss"] {
						t.Errorf("issuer %q, want %q", res.Signature.Certificate.Issuer, claims["iss"])
					}
				})
			}
		}
	}
}

func TestManyEntriesStayProvable(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	for i := range 70 {
		// Each bundle is verified by sigstore-go before sign.Bundle returns.
		signWith(t, s, sigstoretest.Email("jo@example.com", ""), &sign.PlainData{Data: fmt.Appendf(nil, "artifact %d", i)}, true, true, true)
	}
}

func TestClockAndSeed(t *testing.T) {
	past := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	opts := sigstoretest.Options{Seed: []byte("seed"), Now: func() time.Time { return past }, DetachedTSA: true, TSAs: 2}
	a, b := sigstoretest.New(t, opts), sigstoretest.New(t, opts)
	ta, err := a.Token(sigstoretest.GitHub{}.Claims())
	if err != nil {
		t.Fatal(err)
	}
	if tb, _ := b.Token(sigstoretest.GitHub{}.Claims()); ta != tb {
		t.Error("the same seed and clock gave two tokens")
	}
	var x, y map[string]any
	if json.Unmarshal(a.TrustedRoot(), &x) != nil || json.Unmarshal(b.TrustedRoot(), &y) != nil {
		t.Fatal("trusted roots are no JSON")
	}
	if fmt.Sprint(x["certificateAuthorities"].([]any)[0].(map[string]any)["certChain"]) != fmt.Sprint(y["certificateAuthorities"].([]any)[0].(map[string]any)["certChain"]) {
		t.Error("the same seed and clock gave two certificate authorities")
	}
	signWith(t, a, sigstoretest.GitHub{}.Claims(), &sign.PlainData{Data: []byte("x")}, false, true, true)
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := sigstoretest.Start(sigstoretest.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
