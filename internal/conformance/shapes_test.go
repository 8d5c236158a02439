package conformance_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/internal/cli"
)

// A shape is one form of a bundle.
type shape struct {
	message     bool   // a message signature, and no statement
	version     string // of the bundle: 0.1, 0.2 or 0.3
	rekor       int    // 1 or 2
	tsa         bool
	detachedTSA bool
	key         bool // signed with a key, and not keyless
}

func (s shape) String() string {
	parts := []string{"envelope", "v" + s.version, fmt.Sprintf("rekor%d", s.rekor), "no tsa", "identity"}
	if s.message {
		parts[0] = "message"
	}
	if s.tsa {
		parts[3] = "tsa"
	}
	if s.detachedTSA {
		parts[3] = "detached tsa"
	}
	if s.key {
		parts[4] = "key"
	}
	return strings.Join(parts, " ")
}

// shapes are all forms that can exist: Rekor v2 knows no promise, so nothing
// older than v0.2 holds its entries, and a certificate needs a timestamp there.
func shapes() []shape {
	var out []shape
	for _, message := range []bool{false, true} {
		for _, version := range []string{"0.1", "0.2", "0.3"} {
			for _, rekor := range []int{1, 2} {
				for _, tsa := range []int{0, 1, 2} {
					for _, key := range []bool{false, true} {
						if rekor == 2 && (version == "0.1" || tsa == 0 && !key) {
							continue
						}
						out = append(out, shape{message, version, rekor, tsa > 0, tsa == 2, key})
					}
				}
			}
		}
	}
	return out
}

const content = "conformance\n"

// make signs content in the form.
func (s shape) make(t *testing.T, from *sigstoretest.Sigstore, k *key.Private) *protobundle.Bundle {
	t.Helper()
	cfg := sign.Config{TrustedRoot: from.TrustedRoot()}
	if s.key {
		cfg.Key = k
	} else {
		cfg.Fulcio = from.FulcioURL()
		cfg.Token = func(context.Context) (string, error) {
			return from.Token(sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/heads/main"}.Claims())
		}
	}
	if s.rekor == 1 {
		cfg.RekorV1 = from.RekorV1URLs()
	} else {
		cfg.RekorV2 = from.RekorV2URLs()
	}
	if s.tsa {
		cfg.TSA = from.TSAURLs()
	}
	signer, err := sign.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	digest, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var b *bundle.Bundle
	if s.message {
		b, err = signer.SignDigest(t.Context(), digest)
	} else {
		var st *attest.Statement
		if st, err = attest.New([]attest.Subject{{Name: "a", Digest: attest.Set(digest)}}, attest.Raw{Type: "https://example.com/p", JSON: []byte("{}")}); err == nil {
			b, err = signer.Sign(t.Context(), st)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	pb := new(protobundle.Bundle)
	if err := protojson.Unmarshal(b.Bytes(), pb); err != nil {
		t.Fatal(err)
	}
	if s.version != "0.3" {
		pb.MediaType = "application/vnd.dev.sigstore.bundle+json;version=" + s.version
		if cert := pb.VerificationMaterial.GetCertificate(); cert != nil {
			pb.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{
				X509CertificateChain: &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{cert}}}
		}
	}
	if s.version == "0.1" {
		pb.VerificationMaterial.TlogEntries[0].InclusionProof = nil
	}
	return pb
}

// TestShapes runs "hallmark verify" as the Sigstore conformance suite runs a
// client: each form of bundle, good, and bad in each way that it can be.
func TestShapes(t *testing.T) {
	k, err := key.Generate(key.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := key.Generate(key.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	embedded := sigstoretest.New(t, sigstoretest.Options{})
	detached := sigstoretest.New(t, sigstoretest.Options{DetachedTSA: true})
	other := sigstoretest.New(t, sigstoretest.Options{})
	for _, s := range shapes() {
		t.Run(s.String(), func(t *testing.T) {
			from := embedded
			if s.detachedTSA {
				from = detached
			}
			dir := t.TempDir()
			write := func(name string, data []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			encode := func(name string, pb *protobundle.Bundle) string {
				data, err := protojson.Marshal(pb)
				if err != nil {
					t.Fatal(err)
				}
				return write(name, data)
			}
			good := encode("good.json", s.make(t, from, k))
			root, artifact := write("root.json", from.TrustedRoot()), write("artifact", []byte(content))
			who, whoElse := []string{"--certificate-identity", "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main", "--certificate-oidc-issuer", sigstoretest.GitHubIssuer},
				[]string{"--certificate-identity", "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/dev", "--certificate-oidc-issuer", sigstoretest.GitHubIssuer}
			if s.key {
				who, whoElse = []string{"--key", write("key.pub", k.PublicKey().PEM())}, []string{"--key", write("other.pub", stranger.PublicKey().PEM())}
			}
			run := func(who []string, root, bundle, artifact string) (int, string) {
				var stdout, stderr bytes.Buffer
				args := append([]string{"verify", "--trusted-root", root, "--bundle", bundle}, append(who, artifact)...)
				code := cli.Run(t.Context(), args, func(string) string { return "" }, strings.NewReader(""), &stdout, &stderr)
				return code, stdout.String() + stderr.String()
			}
			if code, out := run(who, root, good, artifact); code != 0 {
				t.Fatalf("exit status %d\n%s", code, out)
			}
			wantDenied := func(name string, code int, out string) {
				t.Helper()
				if code != 1 {
					t.Errorf("%s: exit status %d, want 1\n%s", name, code, out)
				}
			}
			code, out := run(whoElse, root, good, artifact)
			wantDenied("another signer", code, out)
			code, out = run(who, write("other.json", other.TrustedRoot()), good, artifact)
			wantDenied("another trust root", code, out)
			code, out = run(who, root, good, write("changed", []byte(content+"x")))
			wantDenied("another artifact", code, out)

			for name, breakIt := range map[string]func(*protobundle.Bundle){
				"signature": func(pb *protobundle.Bundle) {
					if m := pb.GetMessageSignature(); m != nil {
						m.Signature[len(m.Signature)/2] ^= 1
					} else {
						sig := pb.GetDsseEnvelope().Signatures[0].Sig
						sig[len(sig)/2] ^= 1
					}
				},
				"content": func(pb *protobundle.Bundle) {
					if m := pb.GetMessageSignature(); m != nil {
						m.MessageDigest.Digest[3] ^= 1
					} else {
						pb.GetDsseEnvelope().Payload[20] ^= 1
					}
				},
				"log entries left out": func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries = nil },
				"log index":            func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries[0].LogIndex++ },
				"log body":             func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries[0].CanonicalizedBody[30] ^= 1 },
				"promise and checkpoint": func(pb *protobundle.Bundle) {
					e := pb.VerificationMaterial.TlogEntries[0]
					if p := e.InclusionPromise; p != nil {
						p.SignedEntryTimestamp[12] ^= 1
					}
					if p := e.InclusionProof; p != nil {
						p.Checkpoint.Envelope = strings.Replace(p.Checkpoint.Envelope, "\n", "0\n", 2)
					}
				},
				"timestamp": func(pb *protobundle.Bundle) {
					if d := pb.VerificationMaterial.TimestampVerificationData; d != nil && s.rekor == 2 && !s.key {
						stamp := d.Rfc3161Timestamps[0].SignedTimestamp
						stamp[len(stamp)-5] ^= 1
						return
					}
					// Where no time depends on it, a bad timestamp proves nothing and
					// harms nothing: some other part is broken in its place.
					pb.VerificationMaterial.TlogEntries[0].LogId.KeyId[0] ^= 1
				},
			} {
				pb := s.make(t, from, k)
				breakIt(pb)
				code, out := run(who, root, encode("bad.json", pb), artifact)
				wantDenied(name, code, out)
			}
		})
	}
}
