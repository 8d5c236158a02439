package verify_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/verify"
)

// FuzzParseTrustRoot: a root or an error, and never a root that trusts nobody.
func FuzzParseTrustRoot(f *testing.F) {
	root, _ := goodVector()
	f.Add(root)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
	f.Add([]byte(`{"tlogs":[{"logId":{"keyId":"AA=="},"publicKey":{"rawBytes":"AA=="}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := verify.ParseTrustRoot("fuzz", data)
		if (r == nil) == (err == nil) {
			t.Fatal("neither a root nor an error, or both")
		}
		if err != nil {
			return
		}
		if _, err := verify.New(r, verify.Config{}); err != nil {
			t.Fatalf("a root that New refuses: %v", err)
		}
	})
}

// FuzzVerify: evidence or an error with a reason; and evidence only of what was
// signed, so that no change of a bundle says anything else.
func FuzzVerify(f *testing.F) {
	root, good := goodVector()
	names, err := filepath.Glob("../testdata/verify/*.txt")
	if err != nil || len(names) == 0 {
		f.Fatal(err)
	}
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ar.Files[len(ar.Files)-1].Data)
	}
	r, err := verify.ParseTrustRoot("fuzz", root)
	if err != nil {
		f.Fatal(err)
	}
	v, err := verify.New(r, verify.Config{})
	if err != nil {
		f.Fatal(err)
	}
	artifact := attest.DigestSet{"sha256": "bc7d9595113fde1cc84e2489f523da6184c8f1417a62ee5d8f2f2f98f6dd3854"}
	b, err := bundle.Parse(good)
	if err != nil {
		f.Fatal(err)
	}
	original, err := v.Verify(b, artifact)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Parse(data)
		if err != nil {
			return
		}
		ev, err := v.Verify(b, artifact)
		var refused *verify.Error
		if err != nil && (!errors.As(err, &refused) || refused.Reason == "" || !ev.IsZero()) {
			t.Fatalf("%v, evidence %v", err, !ev.IsZero())
		}
		if err != nil {
			return
		}
		// Everything good among the seeds is by one workflow about one artifact.
		if ev.Signer().Certificate == nil || ev.Signer().Certificate.BuildSignerURI != original.Signer().Certificate.BuildSignerURI ||
			len(ev.Times()) == 0 || len(ev.Logs()) == 0 || !ev.SCT() {
			t.Fatalf("evidence of something else: %+v", ev.Signer())
		}
		if st := ev.Statement(); st != nil && string(st.Bytes()) != string(original.Statement().Bytes()) {
			t.Fatalf("another statement: %s", st.Bytes())
		}
	})
}
