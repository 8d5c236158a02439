package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"io"
	"math/big"
)

// A keyring derives every key from a seed, by name.
type keyring struct{ seed []byte }

func (k keyring) bytes(name string) []byte {
	sum := sha512.Sum512(fmt.Appendf(nil, "%d %s %x", len(name), name, k.seed))
	return sum[:]
}

func (k keyring) ecdsa256(name string) *signer { return k.ecdsa(name, elliptic.P256()) }

func (k keyring) ecdsa384(name string) *signer { return k.ecdsa(name, elliptic.P384()) }

func (k keyring) ecdsa(name string, curve elliptic.Curve) *signer {
	size := (curve.Params().BitSize + 7) / 8
	for i := 0; ; i++ {
		// A scalar of zero, or not below the order, is refused and derived anew.
		key, err := ecdsa.ParseRawPrivateKey(curve, k.bytes(fmt.Sprintf("%s/%d", name, i))[:size])
		if err == nil {
			return &signer{key}
		}
	}
}

func (k keyring) ed25519(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(k.bytes(name)[:ed25519.SeedSize])
}

// serial is a certificate serial number: positive, and told by its content.
func (k keyring) serial(content string) *big.Int {
	sum := sha256.Sum256(append(k.bytes("serial"), content...))
	return new(big.Int).SetBytes(append([]byte{0x01}, sum[:18]...))
}

// A signer signs the same with the same: ECDSA by RFC 6979.
type signer struct{ *ecdsa.PrivateKey }

func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.PrivateKey.Sign(nil, digest, opts)
}
