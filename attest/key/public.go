package key

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/hallmark-dev/hallmark/attest"
)

// A Public is a public key that may verify signatures: ECDSA on P-256, P-384 or
// P-521, Ed25519, or RSA of 2048 to 8192 bits. It is immutable and safe for
// concurrent use. The zero Public is no key.
type Public struct {
	key crypto.PublicKey
	der []byte
}

// ParsePublic reads one PEM block, "PUBLIC KEY" (PKIX) or "RSA PUBLIC KEY"
// (PKCS#1), and nothing behind it.
func ParsePublic(data []byte) (Public, error) {
	block, err := onlyBlock(data)
	if err != nil {
		return Public{}, err
	}
	var pub crypto.PublicKey
	switch block.Type {
	case "PUBLIC KEY":
		pub, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		pub, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		return Public{}, errors.New("key: found a certificate, want a public key: extract it with openssl x509 -pubkey -noout")
	default:
		return Public{}, fmt.Errorf("key: PEM block %.64q, want PUBLIC KEY or RSA PUBLIC KEY", block.Type)
	}
	if err != nil {
		return Public{}, fmt.Errorf("key: %w", err)
	}
	return NewPublic(pub)
}

// NewPublic takes a public key of the standard library.
func NewPublic(pub crypto.PublicKey) (Public, error) {
	if err := check(pub); err != nil {
		return Public{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Public{}, fmt.Errorf("key: %w", err)
	}
	return Public{pub, der}, nil
}

func check(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256, 384, 521:
			return nil
		}
		return fmt.Errorf("key: ECDSA on %s, want P-256, P-384 or P-521", k.Curve.Params().Name)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("key: Ed25519 key of %d bytes, want %d", len(k), ed25519.PublicKeySize)
		}
		return nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return fmt.Errorf("key: RSA of %d bits, want %d to %d", bits, MinRSABits, MaxRSABits)
		}
		return nil
	}
	return fmt.Errorf("key: public key of type %T, want ECDSA, Ed25519 or RSA", pub)
}

// Key is the key as the standard library has it; nil for the zero Public.
func (p Public) Key() crypto.PublicKey { return p.key }

// Fingerprint is the SHA-256 of the PKIX DER encoding, by which policies and
// evidence name a key. It is zero for the zero Public.
func (p Public) Fingerprint() attest.Digest {
	if p.der == nil {
		return attest.Digest{}
	}
	sum := sha256.Sum256(p.der)
	d, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		panic("key: SHA-256 of wrong length") // cannot be
	}
	return d
}

// Hint is what Sigstore bundles call the key: the fingerprint in base64.
func (p Public) Hint() string { return base64.StdEncoding.EncodeToString(p.Fingerprint().Bytes()) }

// PEM is the key as a "PUBLIC KEY" block, the same bytes each time; nil for the
// zero Public.
func (p Public) PEM() []byte {
	if p.der == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.der})
}

// onlyBlock reads the one PEM block of a file.
func onlyBlock(data []byte) (*pem.Block, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("key: %d bytes, want at most %d", len(data), MaxBytes)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("key: empty, want a PEM block")
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, errors.New("key: no PEM block, want -----BEGIN … KEY-----")
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("key: data around the PEM block, want exactly one block")
	}
	if len(block.Headers) > 0 {
		return nil, errors.New("key: PEM headers, as old OpenSSL encryption has them: convert the key with openssl pkcs8 -topk8, or make one with hallmark keygen")
	}
	return block, nil
}
