package verify_test

import (
	"bytes"
	"crypto"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/verify"
)

// Mistakes that were made here once, or by others.

func stamp(t *testing.T, url string, sig []byte) []byte {
	t.Helper()
	req, err := timestamp.CreateRequest(bytes.NewReader(sig), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(url, "application/timestamp-query", bytes.NewReader(req))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every verified time counts, also the second one of the same authority: the
// order of two tokens decides nothing.
func TestTwoTokensOfOneAuthority(t *testing.T) {
	var offset atomic.Int64
	s := sigstoretest.New(t, sigstoretest.Options{Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	b := raw{s: s, claims: claims, v2: true, tsa: true}.sign(t, dsse(about(t, artifact)))
	v := newVerifier(t, parseRoot(t, s.TrustedRoot()), verify.Config{})
	sig := decode(t, b).GetDsseEnvelope().Signatures[0].Sig
	at := func(d time.Duration) []byte {
		offset.Store(int64(d))
		defer offset.Store(0)
		return stamp(t, s.TSAURLs()[0], sig)
	}
	good, also, late := at(0), at(2*time.Second), at(5*time.Hour)
	for name, test := range map[string]struct {
		tokens [][]byte
		want   verify.Reason
		times  int
	}{
		"good":                {[][]byte{good}, "", 1},
		"good twice":          {[][]byte{good, good}, "", 1},
		"two good ones":       {[][]byte{good, also}, "", 2},
		"good, then too late": {[][]byte{good, late}, verify.CertificateExpired, 0},
		"too late, then good": {[][]byte{late, good}, verify.CertificateExpired, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ev, err := v.Verify(change(t, b, func(pb *protobundle.Bundle) {
				d := pb.VerificationMaterial.TimestampVerificationData
				d.Rfc3161Timestamps = nil
				for _, token := range test.tokens {
					d.Rfc3161Timestamps = append(d.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: token})
				}
			}), digests(t, artifact))
			if test.want != "" {
				wantReason(t, ev, err, test.want)
				return
			}
			if err != nil || len(ev.Times()) != test.times {
				t.Errorf("%v, times %v, want %d", err, ev.Times(), test.times)
			}
		})
	}
}

// The key of a log that has ended counts only where something proves that it
// signed before.
func TestRetiredLog(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	k, err := key.Generate(key.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	retired := func(end string) *verify.Verifier {
		r, err := changeRoot(t, s.TrustedRoot(), func(m map[string]any) {
			for _, l := range m["tlogs"].([]any) {
				l.(map[string]any)["publicKey"].(map[string]any)["validFor"] = map[string]any{"start": "2019-01-01T00:00:00Z", "end": end}
			}
		}).WithKeys(verify.Key{Public: k.Public()})
		if err != nil {
			t.Fatal(err)
		}
		return newVerifier(t, r, verify.Config{})
	}
	sign := func(v1, v2, tsa bool) *protobundle.Bundle {
		opts := sgsign.BundleOptions{Context: t.Context()}
		if v1 {
			opts.TransparencyLogs = append(opts.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: s.RekorV1URLs()[0]}))
		}
		if v2 {
			opts.TransparencyLogs = append(opts.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: s.RekorV2URLs()[0], Version: 2}))
		}
		if tsa {
			opts.TimestampAuthorities = append(opts.TimestampAuthorities, sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{URL: s.TSAURLs()[0]}))
		}
		pb, err := sgsign.Bundle(dsse(about(t, artifact)), keypair{k}, opts)
		if err != nil {
			t.Fatal(err)
		}
		return pb
	}
	withoutPromise := sign(true, false, false)
	withoutPromise.VerificationMaterial.TlogEntries[0].InclusionPromise = nil
	for name, test := range map[string]struct {
		pb   *protobundle.Bundle
		want verify.Reason
	}{
		"promise":           {sign(true, false, false), verify.LogInvalid},
		"proof alone":       {withoutPromise, verify.NoTrustedTime},
		"rekor v2":          {sign(false, true, false), verify.NoTrustedTime},
		"rekor v2, timed":   {sign(false, true, true), verify.LogInvalid},
		"promise and stamp": {sign(true, false, true), verify.LogInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			ev, err := retired("2020-01-01T00:00:00Z").Verify(encode(t, test.pb), digests(t, artifact))
			wantReason(t, ev, err, test.want)
		})
	}
	// One that is to end, and has times that are before.
	if _, err := retired("2999-01-01T00:00:00Z").Verify(encode(t, sign(false, true, true)), digests(t, artifact)); err != nil {
		t.Error(err)
	}
}

// Anybody can write a message signature with an Ed25519 key that nobody knows.
// It is refused, and does not turn a "no" into "could not decide".
func TestPureEd25519MessageIsRefused(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	k, err := key.Generate(key.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	message := decode(t, raw{s: s, claims: claims, v1: true}.sign(t, &sgsign.PlainData{Data: []byte(artifact)}))
	message.VerificationMaterial.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
	if message.GetMessageSignature().Signature, err = k.Sign(t.Context(), []byte(artifact), crypto.Hash(0)); err != nil {
		t.Fatal(err)
	}
	r, err := parseRoot(t, s.TrustedRoot()).WithKeys(verify.Key{Public: k.Public()})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := newVerifier(t, r, verify.Config{}).Verify(encode(t, message), digests(t, artifact))
	wantReason(t, ev, err, verify.BadSignature)
}
