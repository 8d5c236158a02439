// Package key reads and makes signing keys in the formats of the field.
//
// Private keys are read from PEM: PKCS#8 (RFC 5958), SEC 1 (RFC 5915), PKCS#1
// (RFC 8017), and the encrypted form of sigstore and cosign (scrypt and NaCl
// secretbox around PKCS#8). Public keys are PKIX or PKCS#1. Start with [Parse],
// [ParsePublic] or [Generate].
//
// Keys of a cloud service or a device are not for this package: whatever
// implements the Key interface of package attest/sign will do.
package key

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Limits on keys.
const (
	MaxBytes   = 64 << 10 // bytes of a key file
	MinRSABits = 2048
	MaxRSABits = 8192
)

// The PEM types of encrypted keys. The first is written.
const (
	encryptedType       = "ENCRYPTED SIGSTORE PRIVATE KEY"
	encryptedTypeCosign = "ENCRYPTED COSIGN PRIVATE KEY"
)

// ErrPassphrase says that a key is encrypted and the passphrase is missing or wrong.
var ErrPassphrase = errors.New("passphrase missing or wrong")

// A Private is a signing key in memory. It is safe for concurrent use. The zero
// Private cannot sign.
type Private struct {
	signer crypto.Signer
	public Public
}

// Parse reads one PEM block and nothing behind it. passphrase is for the
// encrypted forms and is not looked at otherwise; a wrong or missing one is
// [ErrPassphrase]. Weak keys and unknown forms are errors.
func Parse(data, passphrase []byte) (*Private, error) {
	block, err := onlyBlock(data)
	if err != nil {
		return nil, err
	}
	var parsed any
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case encryptedType, encryptedTypeCosign:
		parsed, err = decrypt(block.Bytes, passphrase)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("key: encrypted PKCS#8 is not supported: decrypt it with openssl pkcs8, or make a key with hallmark keygen")
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, errors.New("key: found a public key, want a private one")
	default:
		return nil, fmt.Errorf("key: PEM block %.64q, want PRIVATE KEY, EC PRIVATE KEY, RSA PRIVATE KEY or %s", block.Type, encryptedType)
	}
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key: private key of type %T, want ECDSA, Ed25519 or RSA", parsed)
	}
	return New(signer)
}

func decrypt(data, passphrase []byte) (any, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	// Only a file of the right shape can have a wrong passphrase.
	var sealed struct {
		KDF struct {
			Name string `json:"name"`
		} `json:"kdf"`
		Cipher struct {
			Name string `json:"name"`
		} `json:"cipher"`
		Ciphertext []byte `json:"ciphertext"`
	}
	if err := json.Unmarshal(data, &sealed); err != nil {
		return nil, fmt.Errorf("encrypted key: malformed: %w", err)
	}
	if sealed.KDF.Name != "scrypt" || sealed.Cipher.Name != "nacl/secretbox" || len(sealed.Ciphertext) == 0 {
		return nil, fmt.Errorf("encrypted key: made with %.32q and %.32q, want scrypt and nacl/secretbox", sealed.KDF.Name, sealed.Cipher.Name)
	}
	// The library accepts three sets of scrypt parameters and no others, so a
	// hostile file cannot ask for gigabytes.
	der, err := encrypted.Decrypt(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w (%v)", ErrPassphrase, err)
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// New takes a signing key of the standard library, or one that behaves like it.
func New(signer crypto.Signer) (*Private, error) {
	if signer == nil {
		return nil, errors.New("key: no key")
	}
	if k, ok := signer.(*rsa.PrivateKey); ok {
		if err := k.Validate(); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
	}
	pub, err := NewPublic(signer.Public())
	if err != nil {
		return nil, err
	}
	return &Private{signer, pub}, nil
}

// An Algorithm is a kind of key that [Generate] makes.
type Algorithm string

// The algorithms. ECDSAP256 is the one that every Sigstore service accepts.
const (
	ECDSAP256 Algorithm = "ecdsa-p256"
	ECDSAP384 Algorithm = "ecdsa-p384"
	ECDSAP521 Algorithm = "ecdsa-p521"
	Ed25519   Algorithm = "ed25519"
	RSA3072   Algorithm = "rsa-3072"
)

// Generate makes a new key with the system's randomness.
func Generate(a Algorithm) (*Private, error) {
	var signer crypto.Signer
	var err error
	switch a {
	case ECDSAP256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ECDSAP521:
		signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case RSA3072:
		signer, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		return nil, fmt.Errorf("key: algorithm %.32q, want %s, %s, %s, %s or %s", a, ECDSAP256, ECDSAP384, ECDSAP521, Ed25519, RSA3072)
	}
	if err != nil {
		return nil, fmt.Errorf("key: generate %s: %w", a, err)
	}
	return New(signer)
}

// Public is the public half; nil for a nil or zero Private.
func (p *Private) Public() crypto.PublicKey { return p.PublicKey().Key() }

// PublicKey is the public half with its names; zero for a nil or zero Private.
func (p *Private) PublicKey() Public {
	if p == nil {
		return Public{}
	}
	return p.public
}

// Sign signs a digest, or for Ed25519 with a zero hash the message itself. It
// does no I/O; ctx is for keys elsewhere that have the same method.
func (p *Private) Sign(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if p == nil || p.signer == nil {
		return nil, errors.New("key: the zero Private cannot sign")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.signer.Sign(rand.Reader, digest, opts)
}

// MarshalPEM writes the key in the clear, as PKCS#8.
func (p *Private) MarshalPEM() ([]byte, error) {
	if p == nil || p.signer == nil {
		return nil, errors.New("key: the zero Private is no key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(p.signer)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// MarshalEncrypted writes the key as cosign and sigstore read it, encrypted
// with the passphrase, which must not be empty.
func (p *Private) MarshalEncrypted(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("key: empty passphrase")
	}
	if p == nil || p.signer == nil {
		return nil, errors.New("key: the zero Private is no key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(p.signer)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	sealed, err := encrypted.Encrypt(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: encryptedType, Bytes: sealed}), nil
}
