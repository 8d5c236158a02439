package conformance_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/verify"
)

// peer is what sigstore-go says of a keyless bundle with all checks on.
func peer(t *testing.T, trustedRoot, raw []byte, artifact attest.Digest) error {
	t.Helper()
	tm, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sgverify.NewVerifier(tm, sgverify.WithSignedCertificateTimestamps(1), sgverify.WithTransparencyLog(1), sgverify.WithObserverTimestamps(1))
	if err != nil {
		t.Fatal(err)
	}
	b := new(sgbundle.Bundle)
	if err := b.UnmarshalJSON(raw); err != nil {
		return err
	}
	_, err = v.Verify(b, sgverify.NewPolicy(sgverify.WithArtifactDigest(artifact.Algorithm(), artifact.Bytes()), sgverify.WithoutIdentitiesUnsafe()))
	return err
}

// TestNeverMoreThanThePeer: whatever is accepted here, sigstore-go accepts too,
// over all keyless vectors and one changed bit at each of many places.
func TestNeverMoreThanThePeer(t *testing.T) {
	accepted, refused := 0, 0
	for name, v := range readVectors(t) {
		if v.publicKey != nil || !strings.HasPrefix(v.artifact, "sha256:") || !strings.HasSuffix(v.root, ".json") {
			continue
		}
		trustedRoot, err := os.ReadFile(filepath.Join(vectorDir, v.root))
		if err != nil {
			t.Fatal(err)
		}
		artifact, err := attest.ParseDigest(v.artifact)
		if err != nil {
			t.Fatal(err)
		}
		for i := -1; i < 100; i++ {
			raw := slices.Clone(v.bundle)
			if i >= 0 {
				raw[i*len(raw)/100] ^= 1 << (i % 7)
			}
			_, ours, err := v.run(raw)
			if err != nil {
				t.Fatal(err)
			}
			theirs := peer(t, trustedRoot, raw, artifact)
			if ours == "evidence" {
				accepted++
				if theirs != nil {
					t.Errorf("%s, change %d: accepted here, and refused there: %v", name, i, theirs)
				}
			} else {
				refused++
			}
			if i < 0 && ours != "evidence" && theirs == nil && v.expect != "payload-type" && v.expect != "malformed" {
				t.Logf("%s: refused here as %s, and accepted there", name, ours)
			}
		}
	}
	if accepted < 3 || refused < 500 {
		t.Errorf("%d accepted, %d refused: too few to say anything", accepted, refused)
	}
}

// TestPeersBundles verifies the bundles that sigstore-go ships for its own
// tests, each under its own root and under no other.
func TestPeersBundles(t *testing.T) {
	for name, trusted := range map[string]string{
		"sigstore.js@2.0.0-provenance.sigstore.json": "public-good.json",
		"othername.sigstore.json":                    "scaffolding.json",
		"dsse.sigstore.json":                         "public-good.json",
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := data.Bundle(t, name).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			b, err := bundle.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			says, err := b.Unverified()
			if err != nil {
				t.Fatal(err)
			}
			var digest attest.Digest
			if says.MessageDigest != "" {
				digest, err = attest.ParseDigest(says.MessageDigest)
			} else if st, parseErr := attest.Parse(says.Payload); parseErr == nil {
				digest = st.Subjects()[0].Digest.Strong()[0]
			} else {
				err = parseErr
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := verify.ParseTrustRoot("peer", trustedRoot(t, trusted))
			if err != nil {
				t.Fatal(err)
			}
			v, err := verify.New(r, verify.Config{})
			if err != nil {
				t.Fatal(err)
			}
			ev, err := v.Verify(b, attest.Set(digest))
			if err != nil || ev.Signer().Certificate == nil {
				t.Errorf("%v; sigstore-go: %v", err, peer(t, trustedRoot(t, trusted), raw, digest))
			}
			for _, other := range []string{"public-good.json", "scaffolding.json"} {
				if r, err := verify.ParseTrustRoot("peer", trustedRoot(t, other)); err != nil {
					t.Fatal(err)
				} else if v, err := verify.New(r, verify.Config{}); err != nil {
					t.Fatal(err)
				} else if _, err := v.Verify(b, attest.Set(digest)); (err == nil) != (other == trusted) {
					t.Errorf("under %s: %v", other, err)
				}
			}
		})
	}
}
