package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// Limits on trust roots.
const (
	MaxTrustRootBytes = 4 << 20 // bytes of JSON
	MaxKeys           = 256     // public keys in one trust root
	maxTrustRootDepth = 16
)

// A TrustRoot is whom a verifier believes: certificate authorities,
// transparency logs, timestamp authorities, public keys. It is immutable and
// safe for concurrent use. The zero TrustRoot trusts nobody, and New refuses it.
type TrustRoot struct {
	name   string
	digest attest.Digest
	tm     *root.TrustedRoot // nil when there are only keys
	keys   []trustedKey
}

// A Key is a public key to be trusted. Zero times leave that side of its
// validity open.
type Key struct {
	Public crypto.PublicKey // ECDSA P-256/P-384/P-521, Ed25519, or RSA of 2048 to 8192 bits
	From   time.Time        // signatures before it do not count
	Until  time.Time        // nor those at it or after it
}

type trustedKey struct {
	Key
	spki  [sha256.Size]byte
	hints []string // what a bundle may call this key
}

// ParseTrustRoot reads a Sigstore trusted_root.json (media type
// application/vnd.dev.sigstore.trustedroot+json;version=0.1). The name stands
// in reports and is the caller's own. It refuses duplicate names and log ids, a
// root without a certificate authority and without a log, and more than
// MaxTrustRootBytes.
func ParseTrustRoot(name string, data []byte) (*TrustRoot, error) {
	if len(data) > MaxTrustRootBytes {
		return nil, fmt.Errorf("verify: trust root %s of %d bytes, want at most %d", name, len(data), MaxTrustRootBytes)
	}
	if err := strictjson.Check(data, maxTrustRootDepth); err != nil {
		return nil, fmt.Errorf("verify: trust root %s: %w", name, err)
	}
	pb, err := root.NewTrustedRootProtobuf(data)
	if err != nil {
		return nil, fmt.Errorf("verify: trust root %s is not a trusted_root.json: %w", name, err)
	}
	for kind, logs := range map[string]int{"tlogs": 0, "ctlogs": 1} {
		seen := make(map[string]bool)
		list := pb.GetTlogs()
		if logs == 1 {
			list = pb.GetCtlogs()
		}
		for _, l := range list {
			id := string(l.GetLogId().GetKeyId())
			if id == "" || seen[id] {
				return nil, fmt.Errorf("verify: trust root %s: log id %x missing or twice in %s", name, id, kind)
			}
			seen[id] = true
		}
	}
	tm, err := root.NewTrustedRootFromProtobuf(pb)
	if err != nil {
		return nil, fmt.Errorf("verify: trust root %s is not a trusted_root.json: %w", name, err)
	}
	if len(tm.FulcioCertificateAuthorities()) == 0 && len(tm.RekorLogs()) == 0 {
		return nil, fmt.Errorf("verify: trust root %s has no certificate authority and no log: it would trust nobody", name)
	}
	for _, ca := range tm.FulcioCertificateAuthorities() {
		if f, ok := ca.(*root.FulcioCertificateAuthority); !ok || f.Root == nil {
			return nil, fmt.Errorf("verify: trust root %s: certificate authority without a root certificate", name)
		}
	}
	sum := sha256.Sum256(data)
	digest, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		return nil, err
	}
	return &TrustRoot{name: name, digest: digest, tm: tm}, nil
}

// KeyRoot makes a trust root of public keys alone: no certificates, no logs,
// no timestamps. Its digest is that of the keys, in whatever order they are
// given. The same key twice counts once.
func KeyRoot(name string, keys ...Key) (*TrustRoot, error) {
	if len(keys) == 0 {
		return nil, errors.New("verify: no keys: such a trust root would trust nobody")
	}
	return (&TrustRoot{name: name}).WithKeys(keys...)
}

// WithKeys returns a trust root with the same authorities and logs, and with
// these keys in place of any it had: bundles signed by one of them are
// verified with the root's logs and timestamps. The digest of a root with
// authorities stays that of its file: who may sign is for a policy to say.
func (r *TrustRoot) WithKeys(keys ...Key) (*TrustRoot, error) {
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("verify: %d keys, want at most %d", len(keys), MaxKeys)
	}
	out := &TrustRoot{name: r.name, digest: r.digest, tm: r.tm}
	for i, k := range keys {
		if err := checkKey(k.Public); err != nil {
			return nil, fmt.Errorf("verify: key %d: %w", i, err)
		}
		if !k.From.IsZero() && !k.Until.IsZero() && !k.From.Before(k.Until) {
			return nil, fmt.Errorf("verify: key %d is valid from %s until %s, which is never", i, k.From.Format(time.RFC3339), k.Until.Format(time.RFC3339))
		}
		der, err := x509.MarshalPKIXPublicKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("verify: key %d: %w", i, err)
		}
		sum := sha256.Sum256(der)
		if slices.ContainsFunc(out.keys, func(o trustedKey) bool { return o.spki == sum && o.From.Equal(k.From) && o.Until.Equal(k.Until) }) {
			continue
		}
		out.keys = append(out.keys, trustedKey{k, sum, []string{
			base64.StdEncoding.EncodeToString(sum[:]), hex.EncodeToString(sum[:]), "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]),
		}})
	}
	slices.SortFunc(out.keys, func(a, b trustedKey) int {
		if c := bytes.Compare(a.spki[:], b.spki[:]); c != 0 {
			return c
		}
		return a.From.Compare(b.From)
	})
	if r.tm == nil {
		h := sha256.New()
		for _, k := range out.keys {
			fmt.Fprintf(h, "%x %d %d\n", k.spki, k.From.Unix(), k.Until.Unix())
		}
		digest, err := attest.NewDigest(attest.SHA256, h.Sum(nil))
		if err != nil {
			return nil, err
		}
		out.digest = digest
	}
	return out, nil
}

func checkKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits != 256 && bits != 384 && bits != 521 {
			return fmt.Errorf("ECDSA on a curve of %d bits, want P-256, P-384 or P-521", bits)
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("Ed25519 key of %d bytes, want %d", len(k), ed25519.PublicKeySize)
		}
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 8192 {
			return fmt.Errorf("RSA of %d bits, want 2048 to 8192", bits)
		}
	default:
		return fmt.Errorf("public key of type %T, want ECDSA, Ed25519 or RSA", pub)
	}
	return nil
}

// Name is what the caller called this root.
func (r *TrustRoot) Name() string { return r.name }

// Digest is the SHA-256 of the root's file, or of its keys.
func (r *TrustRoot) Digest() attest.Digest { return r.digest }

// material hands the root to sigstore-go with the one key that a bundle is
// checked against, or none.
type material struct {
	root.TrustedMaterial
	key *trustedKey
	ph  bool // Ed25519ph, for message signatures
}

func (m material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	if m.key == nil {
		return nil, errors.New("no public key is trusted")
	}
	var v signature.Verifier
	var err error
	if edKey, ok := m.key.Public.(ed25519.PublicKey); ok && m.ph {
		v, err = signature.LoadED25519phVerifier(edKey)
	} else {
		v, err = signature.LoadVerifier(m.key.Public, hashOf(m.key.Public))
	}
	if err != nil {
		return nil, err
	}
	return anytime{v}, nil
}

// hashOf is the hash that Sigstore ties to a key: that of the curve's size,
// SHA-256 for RSA. Pure Ed25519 takes none.
func hashOf(pub crypto.PublicKey) crypto.Hash {
	if k, ok := pub.(*ecdsa.PublicKey); ok {
		switch k.Curve.Params().BitSize {
		case 384:
			return crypto.SHA384
		case 521:
			return crypto.SHA512
		}
	}
	return crypto.SHA256
}

// An anytime key leaves its validity to checkKeyTime, which compares all
// verified times and has a reason of its own.
type anytime struct{ signature.Verifier }

func (anytime) ValidAtTime(time.Time) bool { return true }

func (k Key) validAt(t time.Time) bool {
	return (k.From.IsZero() || !t.Before(k.From)) && (k.Until.IsZero() || t.Before(k.Until))
}
