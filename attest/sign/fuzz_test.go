package sign_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
)

// FuzzSigningConfig: a signer or an error, and nobody is contacted.
func FuzzSigningConfig(f *testing.F) {
	s, err := sigstoretest.Start(sigstoretest.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.SigningConfig())
	root := s.TrustedRoot()
	s.Close()
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","tsaUrls":[{"url":"file:///x","majorApiVersion":1}],"tsaConfig":{"selector":"EXACT","count":4294967295}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		signer, err := sign.New(sign.Config{
			Token:         func(context.Context) (string, error) { panic("asked for a token") },
			SigningConfig: data, Now: func() time.Time { return time.Unix(1_900_000_000, 0) }, TrustedRoot: root,
		})
		if (signer == nil) == (err == nil) {
			t.Fatal("neither a signer nor an error, or both")
		}
		if err != nil && !strings.HasPrefix(err.Error(), "sign: ") {
			t.Fatal(err)
		}
	})
}
